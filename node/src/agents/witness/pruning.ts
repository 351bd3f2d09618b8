import { z } from 'zod'
import {
  commitViewSchema,
  decodeCanonical,
  decodeSigned,
  encodeCanonical,
  equalBytes,
  fromHex,
  sha256,
  toHex,
  u64
} from '@pekka/node/protocol'
import { scan, timeView, type Reader } from '@pekka/node/ledger'
import { pause as wait } from '@pekka/node/host/network'
import type { BesideRow, ForgottenHistory, LedgerStore } from '@pekka/node/host/storage'
import {
  COMPACT_BYTES,
  PAST_AT_ONCE,
  PAST_KEPT_MS,
  PRUNE_LOOK_MS,
  PRUNE_SHARE,
  PRUNE_STEP_BYTES,
  PRUNE_STEP_COMMITS
} from './constants.js'
import { MIN_KEPT_COMMITS, type KeepHistory } from './keep-history.js'
import { askKey, endingOf, endRow, endsBefore, pastAskRow, PAST_ASK_KEYS, pastKey, pastRow } from './past.js'

export interface HistoryPrunerComponents {
  store: LedgerStore
  /** The ledger's, after its last commit. */
  state: () => Reader
  /** Whether somebody reads the past now, e.g. who makes a snapshot: nothing is deleted meanwhile. Default: nobody does. */
  needed?: () => boolean
  log: { info(data: object, text: string): void; error(data: object, text: string): void }
  /** Between two steps, ms; default: a timer. */
  pause?: (ms: number, signal: AbortSignal) => Promise<void>
}

export interface HistoryPrunerInit {
  keep: Exclude<KeepHistory, null>
  /** For tests: what stays in any case, and after how many bytes the disk gets the space back. */
  least?: number
  compactBytes?: number
}

/**
 * Deletes commits that are older than the witness keeps, with their transactions, the indices over them and, later, the last views of the
 * tasks that they closed. What goes is whole: each step is one write, so a `kill -9` leaves a store that begins some commits later.
 *
 * It goes no further than a certified checkpoint, so that everything that is here can be proved, and stops before what a restart, the rules
 * (FINAL_WINDOW) and snapshots read. Of what goes it keeps what is needed still: what became of a transaction that isn't
 * expired, and the transactions of live asks. Certificates of epochs are kept for ever elsewhere, blocks go with their epochs.
 */
export class HistoryPruner {
  readonly #stopping = new AbortController()
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null
  /** Bytes of commits that were forgotten since the disk got its space back; null: not read yet. */
  #forgotten: number | null = null

  constructor(
    private readonly components: HistoryPrunerComponents,
    private readonly init: HistoryPrunerInit
  ) {}

  start(): void {
    this.#timer = setInterval(() => void this.look(), PRUNE_LOOK_MS)
    this.#timer.unref()
    void this.look()
  }

  /** The step under way is done when this resolves; the store is still open. */
  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopped'))
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#looking
  }

  /** Deletes what is too old now; one look at a time. Never throws: what couldn't be deleted is by a later look. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .catch((error: unknown) =>
        this.components.log.error({ error: String(error) }, 'old history could not be deleted')
      )
      .finally(() => (this.#looking = null))
    return this.#looking
  }

  async #look(): Promise<void> {
    const { store, log, pause = wait } = this.components
    const { signal } = this.#stopping
    const before = await store.first()
    this.#forgotten ??= readSum(await store.beside.get(FORGOTTEN))
    const stops = (): boolean => signal.aborted || (this.components.needed?.() ?? false)
    const target = await this.#target()
    for (let first = before; first < target && !stops();) {
      const began = performance.now()
      first = await this.#step(first, target)
      // Commits go between, and get most of the time.
      await pause((performance.now() - began) * (1 / PRUNE_SHARE - 1), signal)
    }
    if (!stops()) await this.#forgetPast()
    const first = await store.first()
    if (first > before) log.info({ first, deleted: first - before }, 'old history deleted')
    if (!signal.aborted) await this.#compact()
  }

  /** The first commit that stays. */
  async #target(): Promise<number> {
    const { store } = this.components
    const { keep, least = MIN_KEPT_COMMITS } = this.init
    const [first, last] = [await store.first(), store.last()]
    const bound = last - least + 1
    if (bound <= first) return first
    const wanted = 'commits' in keep ? last - keep.commits + 1 : await this.#firstSince(keep.ms, first, bound)
    const limit = Math.min(wanted, bound)
    if (limit <= first) return first
    const newest = await store.checkpointBefore(Number.MAX_SAFE_INTEGER)
    // A witness that proves nothing yet may have to.
    if (newest === null) return first
    const covering = await store.checkpointBefore(limit)
    // Certificates that old aren't kept: nothing there can be proved as it is.
    if (covering === null) return Math.min(limit, newest.index + 1)
    return Math.max(first, covering.index + 1)
  }

  /** The first commit from `low` on that isn't older than `ms`, by the ledger's time and not this machine's; `high` at most. */
  async #firstSince(ms: number, low: number, high: number): Promise<number> {
    const oldest = timeView(this.components.state()).timestamp - ms
    // Mostly nothing is too old.
    if ((await this.#timestampOf(low)) >= oldest) return low
    let [from, to] = [low + 1, high]
    while (from < to) {
      const middle = Math.floor((from + to) / 2)
      if ((await this.#timestampOf(middle)) >= oldest) to = middle
      else from = middle + 1
    }
    return from
  }

  async #timestampOf(index: number): Promise<number> {
    return datedSchema.parse(decodeCanonical(await this.#read(index))).header.timestamp
  }

  async #read(index: number): Promise<Uint8Array> {
    const bytes = await this.components.store.commit(index)
    if (bytes === null) throw new TypeError(`commit ${index} is gone`)
    return bytes
  }

  /** Forgets some commits from `first` on, whole ones and at least one. @returns the first one that is here then */
  async #step(first: number, target: number): Promise<number> {
    const { store, state } = this.components
    const live = new Set([...scan(state(), 'ask')].map(([, { transaction }]) => toHex(transaction)))
    const now = timeView(state()).timestamp
    const transactions: Uint8Array[] = []
    const changes: { account: Uint8Array; index: number }[] = []
    const beside: BesideRow[] = []
    let size = 0
    let next = first
    while (next < target && next - first < PRUNE_STEP_COMMITS && size < PRUNE_STEP_BYTES) {
      const index = next++
      const bytes = await this.#read(index)
      size += bytes.length
      const commit = commitViewSchema.parse(decodeCanonical(bytes))
      for (const account of commit.accounts) changes.push({ account, index })
      for (const { bytes: signed, outcome } of commit.transactions) {
        transactions.push(outcome.id)
        const id = toHex(outcome.id)
        if (live.has(id)) beside.push(pastAskRow(id, signed))
        const { timestamp } = commit.header
        const end = Math.min(decodeSigned(signed).transaction.expiry, timestamp + PAST_KEPT_MS)
        if (end < now || outcome.status === 'refused') continue
        const code = outcome.status === 'applied' ? null : outcome.code
        beside.push(pastRow({ id: outcome.id, index, timestamp, code }), endRow(end, 'outcome', id))
      }
      for (const view of commit.tasks.filter(task => task.state === 'closed')) {
        const end = commit.header.timestamp + PAST_KEPT_MS
        beside.push(endRow(end, 'closed', toHex(view.task), sha256(encodeCanonical(view))))
      }
    }
    const forgotten = (this.#forgotten ?? 0) + size
    beside.push({ key: FORGOTTEN, value: u64(forgotten) })
    await store.forget({ before: next, transactions, changes, closedTasks: [], beside })
    this.#forgotten = forgotten
    return next
  }

  /** Deletes what was kept of deleted commits for a time, once that is over; and the transactions of asks that are gone. */
  async #forgetPast(): Promise<void> {
    const { store, state } = this.components
    const { beside } = store
    for (let more = true; more && !this.#stopping.signal.aborted;) {
      const gone: BesideRow[] = []
      const closedTasks: Uint8Array[] = []
      let found = 0
      for await (const { key, value } of beside.rows(endsBefore(timeView(state()).timestamp, PAST_AT_ONCE))) {
        found += 1
        gone.push({ key, value: null })
        const { kind, id } = endingOf(key)
        if (kind === 'outcome') gone.push({ key: pastKey(id), value: null })
        else if (await this.#isStill(fromHex(id), value)) closedTasks.push(fromHex(id))
      }
      more = found === PAST_AT_ONCE
      if (found > 0) await store.forget({ ...NOTHING, closedTasks, beside: gone })
    }
    const live = new Set([...scan(state(), 'ask')].map(([, { transaction }]) => askKey(toHex(transaction))))
    const dead: BesideRow[] = []
    for await (const { key } of beside.rows(PAST_ASK_KEYS)) if (!live.has(key)) dead.push({ key, value: null })
    if (dead.length > 0) await store.forget({ ...NOTHING, beside: dead })
  }

  /** Whether the view that was closed then is the task's last one: its id may have been used again since. */
  async #isStill(task: Uint8Array, digest: Uint8Array): Promise<boolean> {
    const view = await this.components.store.closedTask(task)
    return view !== null && equalBytes(sha256(view), digest)
  }

  /** LevelDB keeps what is deleted until it happens to write those places anew. */
  async #compact(): Promise<void> {
    const { store } = this.components
    const { compactBytes = COMPACT_BYTES } = this.init
    const forgotten = this.#forgotten ?? 0
    if (forgotten === 0) return
    // Indices are written anew as a whole: rarely, where there is much of them.
    if (forgotten < Math.max(compactBytes, Math.min(16 * compactBytes, (await store.historyBytes()) / 4))) return
    const { signal } = this.#stopping
    await store.compact(signal)
    if (signal.aborted) return
    this.#forgotten = 0
    await store.forget({ ...NOTHING, beside: [{ key: FORGOTTEN, value: null }] })
  }
}

const NOTHING: ForgottenHistory = { before: 0, transactions: [], changes: [], closedTasks: [], beside: [] }

/** Row beside the ledger: bytes of commits that are deleted and still on the disk, also over a restart. */
const FORGOTTEN = 'forgotten'
const readSum = (row: Uint8Array | null): number =>
  row === null ? 0 : Number(new DataView(row.buffer, row.byteOffset, row.length).getBigUint64(0))

const datedSchema = z.looseObject({ header: z.looseObject({ timestamp: z.number() }) })
