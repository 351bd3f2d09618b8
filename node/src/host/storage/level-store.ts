import { Level } from 'level'
import { PekkaError, toHex, u32, u64 } from '@pekka/node/protocol'
import { besideOperations, LevelBeside, type BesideStore } from './beside.js'
import { INDEX_DIGITS, STORE_VERSION, WRITE_BUFFER_BYTES } from './constants.js'
import type {
  ForgottenHistory,
  LedgerBatch,
  LedgerStore,
  RestoredLedger,
  StoredCheckpoint,
  StoredRow
} from './index.js'

export interface LevelLedgerStoreInit {
  /** The folder of the database; made where it is missing. */
  folder: string
  /** false: no write waits for the disk. For filling a store that can be filled again, in benches and tests. Default true. */
  synced?: boolean
}

/** Keys of the database: one letter for the kind, then the id. `s/account/…` rows of the state, `c/…` commits, and so on. */
const META = 'm/'
const STATE = 's/'
const COMMIT = 'c/'
const TRANSACTION = 't/'
const CLOSED = 'k/'
const CHECKPOINT = 'p/'
/** `h/ACCOUNT/INDEX`, without a value: commits that changed an account. */
const CHANGE = 'h/'
/** Ends a range of keys that begin with a prefix. */
const after = (prefix: string): string => `${prefix}\uffff`

const digits = (index: number): string => index.toString().padStart(INDEX_DIGITS, '0')
const commitKey = (index: number): string => COMMIT + digits(index)
const checkpointKey = (index: number): string => CHECKPOINT + digits(index)
const changesKey = (account: Uint8Array): string => `${CHANGE}${toHex(account)}/`
const INDEXED_FROM = `${META}indexed-from`
/** The commit after which a restored ledger begins. */
const BASE = `${META}base`
/** The oldest commit after some were forgotten. */
const FIRST = `${META}first`
/** Kinds of rows that go with old commits. */
const OF_HISTORY = [COMMIT, TRANSACTION, CLOSED, CHANGE]
/** Rows written at once by a restoration. */
const RESTORED_AT_ONCE = 4_096
const NOTHING = new Uint8Array()

type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

/** The ledger in LevelDB: one synced batch a commit. */
export class LevelLedgerStore implements LedgerStore {
  readonly #db: Level<string, Uint8Array>
  readonly beside: BesideStore
  #last = -1
  #first = 0
  #indexedFrom = 0

  constructor(private readonly init: LevelLedgerStoreInit) {
    this.#db = new Level<string, Uint8Array>(init.folder, {
      valueEncoding: 'view',
      writeBufferSize: WRITE_BUFFER_BYTES,
      // What we store is mostly hashes and signatures, which don't compress; the time counts more.
      compression: false
    })
    this.beside = new LevelBeside(this.#db)
  }

  async start(): Promise<void> {
    try {
      await this.#db.open()
    } catch (error) {
      throw openingError(error, this.init.folder)
    }
    this.#last = -1
    const version = await this.#db.get(`${META}version`)
    const found = version === undefined ? null : new DataView(version.buffer, version.byteOffset).getUint32(0)
    if (found !== null && found !== STORE_VERSION) {
      await this.#db.close()
      throw new PekkaError('STATE_VERSION', { path: this.init.folder, found, needed: STORE_VERSION })
    }
    for await (const key of this.#db.keys({ gte: COMMIT, lt: after(COMMIT), reverse: true, limit: 1 })) {
      this.#last = Number(key.slice(COMMIT.length))
    }
    const base = await this.#db.get(BASE)
    if (base !== undefined) this.#last = Math.max(this.#last, numberIn(base))
    this.#first = await this.#findFirst()
    if (found !== null) await this.#startIndex()
  }

  /** Begins at what was noted: before it stand nothing but marks of what was deleted, maybe millions of them. */
  async #findFirst(): Promise<number> {
    const noted = await this.#db.get(FIRST)
    const from = noted === undefined ? COMMIT : commitKey(numberIn(noted))
    for await (const key of this.#db.keys({ gte: from, lt: after(COMMIT), limit: 1 })) {
      return Number(key.slice(COMMIT.length))
    }
    return this.#last + 1
  }

  /** Data from before accounts' commits were noted: they are from here on. */
  async #startIndex(): Promise<void> {
    const noted = await this.#db.get(INDEXED_FROM)
    if (noted !== undefined) {
      this.#indexedFrom = Math.max(numberIn(noted), this.#first)
      return
    }
    this.#indexedFrom = this.#last + 1
    await this.#db.put(INDEXED_FROM, u64(this.#indexedFrom), { sync: true })
  }

  stop(): Promise<void> {
    return this.#db.close()
  }

  async genesis(): Promise<Uint8Array | null> {
    return plain(await this.#db.get(`${META}genesis`))
  }

  async create(genesis: Uint8Array, rows: readonly StoredRow[]): Promise<void> {
    if ((await this.genesis()) !== null) throw new TypeError('there is a ledger here already')
    // What an interrupted restoration left.
    await this.#db.clear()
    await this.#write([
      { type: 'put', key: `${META}version`, value: u32(STORE_VERSION) },
      { type: 'put', key: `${META}genesis`, value: genesis },
      { type: 'put', key: INDEXED_FROM, value: u64(0) },
      ...rows.map(({ table, key, value }) => ({ type: 'put' as const, key: `${STATE}${table}/${key}`, value }))
    ])
  }

  async restore({ genesis, index, rows, transactions, checkpoint, beside }: RestoredLedger): Promise<void> {
    if ((await this.genesis()) !== null) throw new TypeError('there is a ledger here already')
    await this.#db.clear()
    const all = function* (): Generator<Operation> {
      for (const { table, key, value } of rows) yield { type: 'put', key: `${STATE}${table}/${key}`, value }
      for (const { id, index: at, position } of transactions) {
        yield { type: 'put', key: TRANSACTION + toHex(id), value: new Uint8Array([...u64(at), ...u32(position)]) }
      }
      yield { type: 'put', key: checkpointKey(checkpoint.index), value: checkpoint.certificate }
      yield* besideOperations(beside)
    }
    let waiting: Operation[] = []
    for (const operation of all()) {
      waiting.push(operation)
      if (waiting.length < RESTORED_AT_ONCE) continue
      await this.#db.batch(waiting)
      waiting = []
    }
    // Synced, and with it all before it: only now there is a ledger here.
    await this.#write([
      ...waiting,
      { type: 'put', key: `${META}version`, value: u32(STORE_VERSION) },
      { type: 'put', key: `${META}genesis`, value: genesis },
      { type: 'put', key: INDEXED_FROM, value: u64(index + 1) },
      { type: 'put', key: BASE, value: u64(index) }
    ])
    this.#last = index
    this.#first = index + 1
    this.#indexedFrom = index + 1
  }

  async *rows(): AsyncGenerator<StoredRow> {
    for await (const [place, value] of this.#db.iterator({ gte: STATE, lt: after(STATE) })) {
      const end = place.indexOf('/', STATE.length)
      yield { table: place.slice(STATE.length, end), key: place.slice(end + 1), value: plain(value) }
    }
  }

  last(): number {
    return this.#last
  }

  async write(batch: LedgerBatch): Promise<void> {
    if (batch.index !== this.#last + 1) throw new TypeError(`commit ${batch.index} after ${this.#last}`)
    const operations: Operation[] = [{ type: 'put', key: commitKey(batch.index), value: batch.commit }]
    for (const { table, key, value } of batch.rows) {
      const place = `${STATE}${table}/${key}`
      operations.push(value === null ? { type: 'del', key: place } : { type: 'put', key: place, value })
    }
    batch.transactions.forEach((id, position) => {
      const value = new Uint8Array([...u64(batch.index), ...u32(position)])
      operations.push({ type: 'put', key: TRANSACTION + toHex(id), value })
    })
    for (const { task, view } of batch.closedTasks) {
      operations.push({ type: 'put', key: CLOSED + toHex(task), value: view })
    }
    for (const account of batch.accounts ?? []) {
      operations.push({ type: 'put', key: changesKey(account) + digits(batch.index), value: NOTHING })
    }
    operations.push(...besideOperations(batch.beside ?? []))
    await this.#write(operations)
    this.#last = batch.index
  }

  async commit(index: number): Promise<Uint8Array | null> {
    return plain(await this.#db.get(commitKey(index)))
  }

  async first(): Promise<number> {
    return this.#first
  }

  async forget({ before, transactions, changes, closedTasks, beside }: ForgottenHistory): Promise<void> {
    if (before > this.#last) throw new TypeError(`commit ${this.#last} is the last and stays`)
    const operations: Operation[] = []
    const drop = (key: string): void => void operations.push({ type: 'del', key })
    for (let index = this.#first; index < before; index++) drop(commitKey(index))
    for (const id of transactions) drop(TRANSACTION + toHex(id))
    for (const { account, index } of changes) drop(changesKey(account) + digits(index))
    for (const task of closedTasks) drop(CLOSED + toHex(task))
    if (before > this.#first) operations.push({ type: 'put', key: FIRST, value: u64(before) })
    operations.push(...besideOperations(beside))
    // Not synced: the log is read in order, so what a power cut leaves is this whole, or nothing of it and of all after it.
    await this.#db.batch(operations)
    this.#first = Math.max(this.#first, before)
    this.#indexedFrom = Math.max(this.#indexedFrom, this.#first)
  }

  async compact(signal: AbortSignal): Promise<void> {
    const { compactRange } = native(this.#db)
    // Commits stand in their order: what went is one range, and nothing that is here has to be written again.
    const ranges: [string, string][] = [[COMMIT, commitKey(this.#first)]]
    // The others stand by hashes: one such range is read and written whole, and meanwhile LevelDB does no other work.
    for (const kind of [TRANSACTION, CLOSED, CHANGE])
      for (const [i, start] of HEX.entries()) ranges.push([kind + start, HEX[i + 1] ? kind + HEX[i + 1] : after(kind)])
    for (const [start, end] of ranges) {
      if (signal.aborted) return
      await compactRange(start, end)
    }
  }

  async historyBytes(): Promise<number> {
    const { approximateSize } = native(this.#db)
    const sizes = await Promise.all(OF_HISTORY.map(kind => approximateSize(kind, after(kind))))
    return sizes.reduce((sum, size) => sum + size, 0)
  }

  async *changesOf(account: Uint8Array, before: number): AsyncGenerator<number> {
    const prefix = changesKey(account)
    for await (const key of this.#db.keys({ gte: prefix, lt: prefix + digits(before), reverse: true })) {
      yield Number(key.slice(prefix.length))
    }
  }

  indexedFrom(): number {
    return this.#indexedFrom
  }

  async locate(transaction: Uint8Array): Promise<{ index: number; position: number } | null> {
    const found = await this.#db.get(TRANSACTION + toHex(transaction))
    if (found === undefined) return null
    const data = new DataView(found.buffer, found.byteOffset, found.length)
    return { index: Number(data.getBigUint64(0)), position: data.getUint32(8) }
  }

  async closedTask(task: Uint8Array): Promise<Uint8Array | null> {
    return plain(await this.#db.get(CLOSED + toHex(task)))
  }

  async writeCheckpoint({ index, certificate }: StoredCheckpoint, keepFrom: number): Promise<void> {
    await this.#db.put(checkpointKey(index), certificate)
    if (keepFrom > 0) await this.#db.clear({ gte: CHECKPOINT, lt: checkpointKey(keepFrom) })
  }

  async checkpointFrom(index: number): Promise<StoredCheckpoint | null> {
    return await this.#firstCheckpoint({ gte: checkpointKey(index), lt: after(CHECKPOINT) })
  }

  async checkpointBefore(index: number): Promise<StoredCheckpoint | null> {
    return await this.#firstCheckpoint({ gte: CHECKPOINT, lt: checkpointKey(index), reverse: true })
  }

  async #firstCheckpoint(range: { gte: string; lt: string; reverse?: boolean }): Promise<StoredCheckpoint | null> {
    for await (const [key, value] of this.#db.iterator({ ...range, limit: 1 })) {
      return { index: Number(key.slice(CHECKPOINT.length)), certificate: plain(value) }
    }
    return null
  }

  /** One batch in LevelDB's log is written and synced as a whole; after a crash a torn one is dropped as a whole. */
  #write(operations: Operation[]): Promise<void> {
    return this.#db.batch(operations, { sync: this.init.synced ?? true })
  }
}

const HEX = [...'0123456789abcdef']

/** What LevelDB can do and a Level of a browser can't; in Node a Level is LevelDB. */
interface Native {
  compactRange(start: string, end: string): Promise<void>
  approximateSize(start: string, end: string): Promise<number>
}
const isNative = (db: object): db is Native => 'compactRange' in db && 'approximateSize' in db

function native(db: object): Native {
  if (!isNative(db)) throw new TypeError('this is no LevelDB')
  return {
    compactRange: (start, end) => db.compactRange(start, end),
    approximateSize: (start, end) => db.approximateSize(start, end)
  }
}

/** LevelDB hands out Buffers, whose slice() shares memory where Uint8Array's copies; nobody above should meet one. */
function plain(value: Uint8Array): Uint8Array
function plain(value: Uint8Array | undefined): Uint8Array | null
function plain(value: Uint8Array | undefined): Uint8Array | null {
  return value === undefined ? null : new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
}

const numberIn = (value: Uint8Array): number =>
  Number(new DataView(value.buffer, value.byteOffset, value.length).getBigUint64(0))

function openingError(error: unknown, path: string): Error {
  const cause = error instanceof Error ? error.cause : undefined
  const locked = cause instanceof Error && 'code' in cause && cause.code === 'LEVEL_LOCKED'
  return locked ? new PekkaError('STATE_LOCKED', { path }, { cause: error }) : asError(error)
}

const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)))
