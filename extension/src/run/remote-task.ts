import { equalBytes, toHex, type EventOf, type TaskEvent, type TaskItem } from '@pekka/node/protocol'
import type { TaskFollower, TaskNote, TaskObserver, TaskPhase, TaskUpdate } from '@pekka/node/client'
import { Signal, type ISignal } from '@lumino/signaling'
// Past the room's index, which needs JupyterLab: this is tested without a page.
import { cleanText } from '../outputs/text.js'
import { Heard } from './heard.js'
import { chargedOf, isOver, phaseOfView, type RunEnd, type TaskSnapshot } from './snapshot.js'

export interface RemoteTaskComponents {
  /** What people call a provider; undefined while nobody knows. */
  nameOf: (provider: Uint8Array) => string | undefined
  now: () => number
}

/** Gets a task's events while somebody shows them. */
export interface EventSink {
  /** Another machine begins anew: what was shown is of the one before. */
  superseded(): void
  events(events: TaskEvent[]): void
}

/** How a task's output is followed: by the client's follower, or by that of a kept machine's cell. */
export type Followed = Pick<TaskFollower, 'current' | 'ended' | 'open' | 'stop'>

/** What makes a run a cell of a kept machine (R33), and not a task of its own. */
export interface KeptCell {
  /** Its place in the session. */
  index: number
  follow(observer: TaskObserver): Promise<Followed>
  /** Stops this cell; the machine stays. @throws PekkaError */
  interrupt(): Promise<void>
}

/** One task as this page knows it: from its events where it follows them, else from what the bridge tells of it. */
export class RemoteTask {
  /** Its task's, hexadecimal; of a kept machine's cell with the cell's place behind it. */
  readonly id: string
  /** On the ledger, hexadecimal. */
  readonly taskId: string
  #item: TaskItem | null = null
  #note: TaskNote | null = null
  #phase: TaskPhase = { phase: 'sending' }
  #follower: Followed | null = null
  /** Who is to hear of the task, from before its follower is made; the newest alone. */
  #following: { sink: EventSink | null } | null = null
  /** Followers are made one after the other: the newest is then also the last to subscribe. */
  #making: Promise<unknown> = Promise.resolve()
  #finished: TaskUpdate['finished'] = null
  #heard = this.#anew()
  #saved: string | null = null
  #brought: string | null = null
  #lost: Uint8Array | null = null
  #provider: Uint8Array | null = null
  #cancelling = false
  /** The follower has reached an end: nothing more of its output will come. */
  #complete = false
  /** Gets all events too, whoever shows them. */
  keeper: EventSink | null = null
  readonly #changed = new Signal<this, void>(this)

  constructor(
    private readonly components: RemoteTaskComponents,
    readonly bytes: Uint8Array,
    private readonly submittedAt: number,
    /** Null: it is a task of its own. */
    readonly kept: KeptCell | null = null
  ) {
    this.taskId = toHex(bytes)
    this.id = kept === null ? this.taskId : `${this.taskId}.${kept.index}`
  }

  get changed(): ISignal<this, void> {
    return this.#changed
  }

  get note(): TaskNote | null {
    return this.#note
  }

  set note(note: TaskNote | null) {
    this.#note = note ?? this.#note
  }

  get item(): TaskItem | null {
    return this.#item
  }

  get finished(): TaskUpdate['finished'] {
    return this.#finished
  }

  /** Also while its follower is being made. */
  get followed(): boolean {
    return this.#following !== null
  }

  /** Whether all output of a followed task has been handed to its sink. */
  get complete(): boolean {
    return this.#complete
  }

  /** Resolves when all output of a followed task has been handed to its sink, or when it isn't followed any more. */
  async whole(): Promise<void> {
    while (!this.#complete && this.followed) await this.#change()
  }

  get cancelling(): boolean {
    return this.#cancelling
  }

  set cancelling(value: boolean) {
    this.#cancelling = value
    this.#changed.emit()
  }

  /** Files that the finished run brought back, and a way to their bytes. */
  get returned(): { files: EventOf<'files'>['files']; follower: Pick<Followed, 'open'> } | null {
    return this.#complete && this.#follower !== null && this.#heard.files !== null
      ? { files: this.#heard.files.files, follower: this.#follower }
      : null
  }

  /** Values that the finished run brought back, and a way to their bytes; null before, and where it is not to be used. */
  get values(): { values: EventOf<'values'>['values']; follower: Pick<Followed, 'open'> } | null {
    return this.#complete && this.#follower !== null && this.#heard.values !== null && this.#phase.phase !== 'mismatch'
      ? { values: this.#heard.values.values, follower: this.#follower }
      : null
  }

  /** Says what became of the values. */
  set brought(what: string) {
    this.#brought = what
    this.#changed.emit()
  }

  /** Says where the files were put. */
  set saved(where: string) {
    this.#saved = where
    this.#changed.emit()
  }

  /** The bridge's word about a task that isn't followed; a followed one hears it through its follower. */
  tell(item: TaskItem): void {
    const known = this.#item?.view?.transactions.length ?? -1
    if (this.#item && (item.view?.transactions.length ?? -1) < known) return
    this.#item = item
    if (this.#follower === null || this.#follower.current.phase.phase === 'sending') {
      if (item.bridge === 'refused') this.#phase = { phase: 'refused', code: item.code ?? 'INTERNAL' }
      else if (item.view === null) this.#phase = { phase: 'waiting', since: item.submittedAt }
      else this.#phase = phaseOfView(item.view)
    }
    this.#changed.emit()
  }

  /**
   * Follows the task from its beginning; what it was followed by before hears nothing more. Resolves when its follower is there,
   * or when another came in between. @throws PekkaError
   *
   * @param make makes the follower
   */
  async follow(sink: EventSink | null, make: (observer: TaskObserver) => Promise<Followed>): Promise<void> {
    this.#follower?.stop()
    this.#follower = null
    const mine = (this.#following = { sink })
    const isMine = (): boolean => this.#following === mine
    const observer = this.#observer(sink, isMine)
    const made = this.#making.then(async () => {
      if (!isMine()) return
      const follower = await make(observer)
      if (isMine()) this.#adopt(follower, mine)
      else follower.stop()
    })
    this.#making = made.catch(() => undefined)
    try {
      await made
    } catch (error) {
      if (isMine()) this.unfollow(sink)
      throw error
    }
  }

  /** Ends what was begun with this sink; somebody else may follow the task by now. */
  unfollow(sink: EventSink | null): void {
    if (this.#following?.sink !== sink) return
    this.#follower?.stop()
    this.#follower = null
    this.#following = null
    // Somebody may wait for its output.
    this.#changed.emit()
  }

  #adopt(follower: Followed, mine: { sink: EventSink | null }): void {
    this.#follower = follower
    follower.ended.catch((error: unknown) => {
      // What the bridge tells of the task goes on; only its output isn't followed any more.
      console.error('The output of a remote run can no longer be followed', error)
      if (this.#following === mine) this.unfollow(mine.sink)
    })
  }

  #change(): Promise<void> {
    return new Promise(resolve => {
      const once = (): void => {
        this.#changed.disconnect(once)
        resolve()
      }
      this.#changed.connect(once)
    })
  }

  /** The follower's observer, passing events on to `sink` while it is the one to hear them. */
  #observer(sink: EventSink | null, isMine: () => boolean): TaskObserver {
    this.#heard = this.#anew()
    this.#complete = false
    // A follower begins at the first event.
    this.keeper?.superseded()
    return {
      superseded: (): void => {
        if (!isMine()) return
        this.#lost = this.#provider
        this.#heard = this.#anew()
        sink?.superseded()
        this.keeper?.superseded()
        this.#changed.emit()
      },
      events: (events: TaskEvent[]): void => {
        if (!isMine()) return
        for (const event of events) this.#heard.take(event)
        sink?.events(events)
        this.keeper?.events(events)
        this.#changed.emit()
      },
      update: (update: TaskUpdate): void => {
        if (!isMine()) return
        this.#item = update.item ?? this.#item
        this.#finished = update.finished
        this.#phase = update.phase
        this.#complete = isOver(update)
        if ('provider' in update.phase && update.phase.provider !== null) {
          if (this.#provider && !equalBytes(this.#provider, update.phase.provider)) this.#lost ??= this.#provider
          this.#provider = update.phase.provider
        }
        if (update.phase.phase === 'settled' || update.phase.phase === 'refunded') this.#cancelling = false
        this.#changed.emit()
      }
    }
  }

  #anew(): Heard {
    // A kept machine's cell isn't known to the bridge by itself, nor when it was sent.
    const earliest = (): number => (this.kept === null ? this.sentAt : -Infinity)
    return new Heard(() => this.components.now(), earliest)
  }

  /** Quicker than a whole {@link snapshot}. */
  get over(): boolean {
    return isOver({ phase: this.#phase })
  }

  /** ms since 1970 */
  get sentAt(): number {
    return this.#item?.submittedAt ?? this.submittedAt
  }

  get snapshot(): TaskSnapshot {
    const view = this.#item?.view ?? null
    const attempt = view?.attempts.at(-1)
    const committed = view?.attempts.find(({ ended }) => ended === 'committed')
    const provider = committed?.provider ?? attempt?.provider ?? this.#provider
    const candidate = view?.offer.candidates.find(c => provider !== null && equalBytes(c.provider, provider))
    const attempts = Math.max(1, view?.attempts.length ?? 1)
    const alone = this.kept === null
    return {
      task: this.id,
      kept: this.kept?.index ?? null,
      title: this.#note?.title ?? 'Remote task',
      kind: this.#note?.kind ?? 'cell',
      path: this.#note?.path ?? null,
      cells: this.#note?.cells ?? [],
      submittedAt: this.sentAt,
      phase: this.#phase,
      lost: attempts > 1 || this.#lost ? this.#name(this.#lost ?? view?.attempts.at(-2)?.provider ?? null) : null,
      attempt: 'attempt' in this.#phase ? this.#phase.attempt : attempts,
      tries: view?.offer.candidates.length ?? attempts,
      provider: this.#name(provider),
      image: view?.offer.image.name ?? null,
      cap: view?.offer.cap ?? 0n,
      price: candidate?.pricePerSecond ?? view?.offer.candidates[0]?.pricePerSecond ?? null,
      runningSince: this.#heard.runningSince ?? (this.#heard.end || !alone ? null : (attempt?.acceptedAt ?? null)),
      end: this.#heard.end ?? (alone ? this.#endOf(committed?.claim ?? null) : null),
      error: this.#heard.error,
      missingModule: this.#heard.missingModule,
      // What the machine costs is the session's.
      paid: alone ? (view?.paid ?? null) : null,
      charged: alone ? chargedOf(view, candidate) : null,
      refunded: alone ? (view?.refunded ?? null) : null,
      progress: this.#heard.progress,
      fraction: this.#heard.fraction,
      lastLines: this.#heard.lastLines,
      files: (this.#heard.files?.files ?? []).map(({ name, size, parts }) => ({
        name: cleanText(name),
        size,
        stays: parts === undefined
      })),
      canFetch: this.#complete && this.#follower !== null && (this.#finished !== null || !alone),
      values: (this.#heard.values?.values ?? []).map(({ name, type, size, reason, parts }) => ({
        name: cleanText(name).slice(0, 80),
        type: cleanText(type).slice(0, 80),
        size,
        stays: parts === undefined ? cleanText(reason ?? 'too large').slice(0, 120) : null
      })),
      brought: this.#brought,
      saved: this.#saved,
      moreFiles: this.#heard.files?.more ?? 0,
      cancelling: this.#cancelling
    }
  }

  /** Of a run whose output isn't here: what stands on the ledger. */
  #endOf(claim: { outcome: RunEnd['outcome']; usage: { wallMs: number; cpuMs: number } } | null): RunEnd | null {
    if (claim === null) return null
    const reason = { ok: 'completed', user: 'exception', limit: 'wall-limit', stopped: 'cancelled' } as const
    const usage = { ...claim.usage, maxMemoryBytes: 0, outputBytes: 0 }
    return { reason: reason[claim.outcome], outcome: claim.outcome, detail: {}, usage }
  }

  #name(provider: Uint8Array | null): string | null {
    return provider === null ? null : (this.components.nameOf(provider) ?? toHex(provider).slice(0, 8))
  }
}
