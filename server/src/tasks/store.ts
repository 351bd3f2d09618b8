import { compareBytes, isEnded, toHex, type OfferTask } from '@pekka/node/protocol'
import { GroupWriter, type BatchTarget, type WriteOperation } from './group-writer.js'
import { RecentBytes } from './recent-bytes.js'
import { decodeRecord, encodeRecord, type TaskRecord } from './record.js'

/** The part of `level` that is used; keys are text, values bytes. */
export interface Table extends BatchTarget {
  get(key: string): Promise<Uint8Array | undefined>
  iterator(range: {
    gte?: string
    gt?: string
    lt?: string
    reverse?: boolean
    limit?: number
  }): AsyncIterable<[string, Uint8Array]>
}

export interface NewOffer {
  /** Signed bytes of the offer and its id. */
  transaction: Uint8Array
  id: Uint8Array
  account: Uint8Array
  lane: Uint8Array
  tasks: {
    terms: OfferTask
    /** Its place in the offer. */
    index: number
    boxes: Uint8Array[]
    bundle: Uint8Array | null
    note: Uint8Array
    /** When it was first submitted, ms; a resend keeps its place in the list. */
    submittedAt: number
    /** When an earlier try ended (was refused), ms. */
    endedAt: number | null
  }[]
}

const taskKey = (task: Uint8Array): string => `task/${toHex(task)}`
const liveKey = (task: Uint8Array): string => `live/${toHex(task)}`
const bundleKey = (task: Uint8Array): string => `bundle/${toHex(task)}`
const offerKey = (offer: Uint8Array): string => `offer/${toHex(offer)}`
const wholeTime = (time: number): string => time.toString().padStart(15, '0')
const endedKey = (time: number, task: Uint8Array): string => `ended/${wholeTime(time)}/${toHex(task)}`
const listPlace = (record: TaskRecord): string => `${wholeTime(record.submittedAt)}-${toHex(record.task)}`
const laneList = (account: Uint8Array, lane: Uint8Array): string => `lane/${toHex(account)}/${toHex(lane)}/`
const accountList = (account: Uint8Array): string => `account/${toHex(account)}/`

/** All tasks; those that haven't ended are in memory. */
export class TaskStore {
  readonly #open = new Map<string, TaskRecord>()
  /** Bundles and offers of what no machine has taken yet, so that the next steps read no disk. */
  readonly #recent = new RecentBytes()
  readonly #writer: GroupWriter

  private constructor(
    private readonly table: Table,
    writer: GroupWriter
  ) {
    this.#writer = writer
  }

  static async open(table: Table, writer: GroupWriter = new GroupWriter(table)): Promise<TaskStore> {
    const store = new TaskStore(table, writer)
    for await (const [, task] of table.iterator({ gte: 'live/', lt: 'live0' })) {
      const record = await store.get(task)
      if (record !== null) store.#open.set(toHex(task), record)
    }
    return store
  }

  /**
   * Takes the tasks of an offer in. They can be seen at once; `durable` resolves when they are on the disk. Tasks that are
   * there already get the new offer's bytes (a resend signed anew, R13).
   */
  add(offer: NewOffer): { records: TaskRecord[]; durable: Promise<void> } {
    const operations: WriteOperation[] = [{ type: 'put', key: offerKey(offer.id), value: offer.transaction }]
    this.#recent.set(offerKey(offer.id), offer.transaction)
    const records = offer.tasks.map(({ terms, index, boxes, bundle, note, submittedAt, endedAt }): TaskRecord => {
      const record: TaskRecord = {
        task: terms.task,
        account: offer.account,
        lane: offer.lane,
        offer: offer.id,
        index,
        boxes,
        bundle: terms.bundle.hash,
        inline: bundle !== null,
        note,
        bridge: 'queued',
        code: null,
        submittedAt,
        view: null,
        candidates: terms.candidates.map(candidate => candidate.provider),
        outputBytes: terms.limits.outputBytes,
        endedAt: null
      }
      this.#open.set(toHex(terms.task), record)
      operations.push({ type: 'put', key: taskKey(terms.task), value: encodeRecord(record) })
      operations.push({ type: 'put', key: liveKey(terms.task), value: terms.task })
      if (endedAt !== null) operations.push({ type: 'del', key: endedKey(endedAt, terms.task) })
      for (const list of [laneList(offer.account, offer.lane), accountList(offer.account)])
        operations.push({ type: 'put', key: list + listPlace(record), value: terms.task })
      if (bundle !== null) {
        operations.push({ type: 'put', key: bundleKey(terms.task), value: bundle })
        this.#recent.set(bundleKey(terms.task), bundle)
      }
      return record
    })
    return { records, durable: this.#writer.write(operations) }
  }

  /** Takes back what {@link add} could not write. */
  forget(records: TaskRecord[]): void {
    for (const record of records) this.#open.delete(toHex(record.task))
  }

  async get(task: Uint8Array): Promise<TaskRecord | null> {
    const open = this.#open.get(toHex(task))
    if (open !== undefined) return open
    const bytes = await this.#read(taskKey(task))
    return bytes === null ? null : decodeRecord(bytes)
  }

  /** As {@link get}, of tasks that haven't ended. */
  live(task: Uint8Array): TaskRecord | undefined {
    return this.#open.get(toHex(task))
  }

  /** Tasks that haven't ended, oldest first. */
  open(): TaskRecord[] {
    return [...this.#open.values()].sort((a, b) => a.submittedAt - b.submittedAt || compareBytes(a.task, b.task))
  }

  async bundle(task: Uint8Array): Promise<Uint8Array | null> {
    return this.#recent.get(bundleKey(task)) ?? (await this.#read(bundleKey(task)))
  }

  async offer(id: Uint8Array): Promise<Uint8Array | null> {
    return this.#recent.get(offerKey(id)) ?? (await this.#read(offerKey(id)))
  }

  /**
   * Changes what the bridge says of a task. Not forced to the disk: after a crash the ledger says it again.
   * @param now ms since 1970
   */
  update(record: TaskRecord, change: Partial<TaskRecord>, now: number): TaskRecord {
    const next = { ...record, ...change }
    const ended = hasEnded(next)
    if (ended) next.endedAt ??= now
    const key = toHex(record.task)
    if (ended) this.#open.delete(key)
    else this.#open.set(key, next)
    if (next.bridge !== 'queued' && next.view?.state !== 'offered') {
      this.#recent.delete(bundleKey(record.task))
      this.#recent.delete(offerKey(record.offer))
    }
    const operations: WriteOperation[] = [lazyPut(taskKey(record.task), next)]
    if (ended) operations.push({ type: 'del', key: liveKey(record.task) })
    if (next.endedAt !== null && record.endedAt === null)
      operations.push({ type: 'put', key: endedKey(next.endedAt, record.task), value: record.task })
    this.#writer.writeLazily(operations)
    return next
  }

  /**
   * A page of tasks, newest first. `lane` null: all of the account.
   * @param before where the page before ended (`next`)
   */
  async list(
    account: Uint8Array,
    lane: Uint8Array | null,
    before: string | null,
    limit: number
  ): Promise<{ records: TaskRecord[]; next: string | null }> {
    const prefix = lane === null ? accountList(account) : laneList(account, lane)
    const range = { gte: prefix, lt: before === null ? `${prefix}~` : prefix + before, reverse: true, limit: limit + 1 }
    await this.#writer.settled()
    const places: [string, Uint8Array][] = []
    for await (const entry of this.table.iterator(range)) places.push(entry)
    const records: TaskRecord[] = []
    for (const [, task] of places.slice(0, limit)) {
      const record = await this.get(task)
      if (record !== null) records.push(record)
    }
    const last = places[limit - 1]
    return { records, next: places.length > limit && last !== undefined ? last[0].slice(prefix.length) : null }
  }

  /** Tasks that ended before `before`, at most `limit`, for the sweeper. */
  async endedBefore(before: number, limit: number): Promise<TaskRecord[]> {
    const found: TaskRecord[] = []
    const range = { gte: 'ended/', lt: `ended/${wholeTime(before)}`, limit }
    for await (const [, task] of this.table.iterator(range)) {
      const record = await this.get(task)
      if (record !== null) found.push(record)
    }
    return found
  }

  /** Removes a task for good. Its log and blobs are the caller's matter. */
  async remove(record: TaskRecord): Promise<void> {
    this.#open.delete(toHex(record.task))
    const operations: WriteOperation[] = [
      { type: 'del', key: taskKey(record.task) },
      { type: 'del', key: bundleKey(record.task) },
      { type: 'del', key: liveKey(record.task) },
      { type: 'del', key: laneList(record.account, record.lane) + listPlace(record) },
      { type: 'del', key: accountList(record.account) + listPlace(record) }
    ]
    if (record.endedAt !== null) operations.push({ type: 'del', key: endedKey(record.endedAt, record.task) })
    const others = await this.#othersOfOffer(record)
    if (!others) operations.push({ type: 'del', key: offerKey(record.offer) })
    this.#writer.writeLazily(operations)
  }

  /** Resolves once everything given so far is written. */
  settled(): Promise<void> {
    return this.#writer.settled()
  }

  /** What the table will hold when all that was given is written. */
  async #read(key: string): Promise<Uint8Array | null> {
    const coming = this.#writer.peek(key)
    if (coming !== undefined) return coming.type === 'put' ? coming.value : null
    return (await this.table.get(key)) ?? null
  }

  async #othersOfOffer(record: TaskRecord): Promise<boolean> {
    const time = wholeTime(record.submittedAt)
    const prefix = accountList(record.account)
    for await (const [, task] of this.table.iterator({ gte: prefix + time, lt: `${prefix}${time}~` })) {
      if (compareBytes(task, record.task) === 0) continue
      const other = await this.get(task)
      if (other !== null && compareBytes(other.offer, record.offer) === 0) return true
    }
    return false
  }
}

/** Encoded when it is written or read: most changes of a short task are replaced by the next one before that. */
const lazyPut = (key: string, record: TaskRecord): WriteOperation => ({
  type: 'put',
  key,
  get value() {
    return encodeRecord(record)
  }
})

/** Nothing more will be done for it: it is paid or refunded, or was never let onto the ledger. */
const hasEnded = (record: TaskRecord): boolean =>
  record.bridge === 'refused' || (record.view !== null && isEnded(record.view.state))
