import { decodeSigned, decodeWitnessBlock, fromUtf8, PekkaError, transactionId, utf8 } from '@pekka/node/protocol'
import {
  KNOWN_ROUNDS,
  MAX_ANSWER_BLOCKS,
  openedBlock,
  type BlockKey,
  type CommitRecord,
  type Elected,
  type EpochStart,
  type OpenedBlock
} from '@pekka/node/consensus'
import type { BesideRow, BesideStore } from '@pekka/node/host/storage'
import { ByteCache } from './byte-cache.js'
import { KEPT_EPOCHS, MAX_ANSWER_BYTES, RECENT_BLOCKS_BYTES } from '../constants.js'
import {
  decodeEpochStart,
  decodeExecuted,
  decodeRecord,
  encodeEpochStart,
  encodeExecuted,
  encodeRecord,
  type Executed
} from './records.js'

/** Digits of numbers in keys, so that text order is number order. */
const DIGITS = 12
const digits = (value: number): string => Math.max(0, value).toString().padStart(DIGITS, '0')

const BLOCK = 'block/'
const PLACE = 'place/'
const RECORD = 'commit/'
const EPOCH = 'epoch/'
const EXECUTED = 'executed'
const HALTED = 'halted'
/** Ends a range of keys that begin with a prefix. */
const after = (prefix: string): string => `${prefix}\uffff`

const roundKey = (epoch: number, round: number): string => `${BLOCK}${digits(epoch)}/${digits(round)}/`
const blockKey = ({ block: { epoch, round }, key }: OpenedBlock): string => roundKey(epoch, round) + key

/** Rows deleted in one write. */
const PRUNED_AT_ONCE = 1_000

/** What a witness goes on from after a restart. */
export interface Kept {
  start: EpochStart
  /** Of that epoch, ascending: all that hold blocks above the last one's garbage line. */
  commits: CommitRecord[]
  /** Of that epoch, parents before children. */
  blocks: OpenedBlock[]
  /** null before the first commit. */
  executed: Executed | null
}

/**
 * The blocks of the DAG and the records of its commits, on disk beside the ledger. Blocks wait in memory for the next write that is synced
 * anyway (an own block, a commit) and are answered from there meanwhile; so one sync covers all.
 */
export class BlockKeeper {
  #waiting: OpenedBlock[] = []
  /** Other rows that go with the blocks. */
  #rows: BesideRow[] = []
  /** An epoch that begins, to be written with the commit before its first one. */
  #starting: EpochStart[] = []
  readonly #recent = new ByteCache<Uint8Array>(RECENT_BLOCKS_BYTES)
  #pruning: Promise<void> = Promise.resolve()

  constructor(private readonly store: BesideStore) {}

  /** Blocks that no write holds yet. */
  get waiting(): number {
    return this.#waiting.length
  }

  /** Keeps an accepted block, with the next write. */
  add(block: OpenedBlock): void {
    this.#waiting.push(block)
    this.#recent.set(block.key, block.bytes, block.bytes.length)
  }

  /** Keeps what belongs to accepted blocks, in the same write. */
  addRows(rows: readonly BesideRow[]): void {
    this.#rows.push(...rows)
  }

  /**
   * An epoch begins. It is written with the last commit of the one before, which may still wait to be executed: a restart begins with the
   * last epoch on disk, and would leave out commits before it that are not. Blocks of long ago go.
   */
  begin(start: EpochStart): void {
    this.#starting.push(start)
    const oldest = start.epoch - KEPT_EPOCHS
    if (oldest > 0) this.#pruning = this.#pruning.then(() => this.#prune(oldest))
  }

  /** What waits, for a write that its caller makes now. */
  take(): BesideRow[] {
    const blocks = this.#waiting.flatMap(block => [
      { key: blockKey(block), value: block.bytes },
      { key: PLACE + block.key, value: utf8(`${block.block.epoch}/${block.block.round}`) }
    ])
    this.#waiting = []
    return [...blocks, ...this.#rows.splice(0)]
  }

  /** Everything that waits is on disk when this resolves. */
  async flush(): Promise<void> {
    const rows = this.take()
    if (rows.length > 0) await this.store.write(rows)
  }

  /** Rows of a commit and what it came to, for the ledger's write of that commit. */
  rowsOf(record: CommitRecord, executed: Executed): BesideRow[] {
    const begun = this.#starting.filter(({ firstIndex }) => firstIndex <= record.index + 1)
    this.#starting = this.#starting.filter(({ firstIndex }) => firstIndex > record.index + 1)
    return [
      ...this.take(),
      ...begun.map(epochRow),
      { key: RECORD + digits(record.index), value: encodeRecord(record) },
      { key: EXECUTED, value: encodeExecuted(executed) },
      ...electionRows(executed.elected)
    ]
  }

  /** The signed bytes of a block; null: never accepted here, or of an epoch long ago. */
  async block(key: BlockKey): Promise<Uint8Array | null> {
    const recent = this.#recent.get(key)
    if (recent !== undefined) return recent
    const place = await this.store.get(PLACE + key)
    if (place === null) return null
    const [epoch, round] = fromUtf8(place).split('/').map(Number)
    return await this.store.get(roundKey(epoch ?? 0, round ?? 0) + key)
  }

  /** What a commit came from; null: none such here, or of an epoch long ago. */
  async record(index: number): Promise<CommitRecord | null> {
    const row = await this.store.get(RECORD + digits(index))
    return row === null ? null : decodeRecord(row)
  }

  /** The committee that an epoch began with; null: an epoch that hasn't, or of long ago. */
  async membersOf(epoch: number): Promise<EpochStart['members'] | null> {
    const row = await this.store.get(EPOCH + digits(epoch))
    return row === null ? null : decodeEpochStart(row).members
  }

  /** The first commit whose record is here; 0 where none is. */
  async firstRecord(): Promise<number> {
    for await (const { key } of this.store.rows({ gte: RECORD, lt: after(RECORD), limit: 1 })) {
      return Number(key.slice(RECORD.length))
    }
    return 0
  }

  /** Blocks of some rounds, ascending, at most MAX_ANSWER_BLOCKS and MAX_ANSWER_BYTES of them. */
  async *rounds(epoch: number, from: number, count: number): AsyncGenerator<Uint8Array> {
    await this.flush()
    const range = { gte: roundKey(epoch, from), lt: roundKey(epoch, from + count), limit: MAX_ANSWER_BLOCKS }
    let bytes = 0
    for await (const { value } of this.store.rows(range)) {
      bytes += value.length
      if (bytes > MAX_ANSWER_BYTES) return
      yield value
    }
  }

  /** Notes, for ever, that the consensus has stopped itself. */
  async halt(issue: string): Promise<void> {
    await this.store.write([{ key: HALTED, value: utf8(issue) }])
  }

  /**
   * What is on disk. The first time: the beginning of the network.
   * @throws PekkaError CONSENSUS_CONFLICT when the consensus has stopped itself before
   */
  async load(genesis: EpochStart): Promise<Kept> {
    const halted = await this.store.get(HALTED)
    if (halted !== null) throw new PekkaError('CONSENSUS_CONFLICT', { issue: fromUtf8(halted) })
    const start = (await this.#lastEpoch()) ?? genesis
    if (start === genesis) await this.store.write([epochRow(genesis)])
    const executed = await this.store.get(EXECUTED)
    const commits = await this.#commitsOf(start)
    const gcRound = commits.at(-1)?.gcRound ?? 0
    return {
      start: { ...start, nextMembers: start.nextMembers ?? (await this.elected(start.epoch + 1)) },
      commits,
      blocks: await this.#blocksOf(start.epoch, Math.max(1, gcRound - KNOWN_ROUNDS)),
      executed: executed === null ? null : decodeExecuted(executed)
    }
  }

  /** The epoch that was begun last on disk; null: none was. */
  async lastEpoch(): Promise<number | null> {
    return (await this.#lastEpoch())?.epoch ?? null
  }

  /** The committee that was elected for an epoch; null: not yet, or of long ago. */
  async elected(epoch: number): Promise<Elected['members'] | null> {
    const row = await this.store.get(electionKey(epoch))
    return row === null ? null : (decodeExecuted(row).elected?.members ?? null)
  }

  /** Waits for what goes on in the background. */
  async stop(): Promise<void> {
    await this.#pruning
    await this.flush()
  }

  async #lastEpoch(): Promise<EpochStart | null> {
    const range = { gte: EPOCH, lt: after(EPOCH), reverse: true, limit: 1 }
    for await (const { value } of this.store.rows(range)) return decodeEpochStart(value)
    return null
  }

  async #commitsOf(start: EpochStart): Promise<CommitRecord[]> {
    const commits: CommitRecord[] = []
    const range = { gte: RECORD + digits(start.firstIndex), lt: after(RECORD), reverse: true }
    for await (const { value } of this.store.rows(range)) {
      const record = decodeRecord(value)
      // A commit holds no blocks above its leader's round.
      if (record.epoch !== start.epoch || record.leaderRound <= (commits[0]?.gcRound ?? -1)) break
      commits.push(record)
    }
    return commits.reverse()
  }

  /** By round, so parents before children. Our own disk: what stands there was verified before it was stored. */
  async #blocksOf(epoch: number, from: number): Promise<OpenedBlock[]> {
    const blocks: OpenedBlock[] = []
    const range = { gte: roundKey(epoch, from), lt: after(`${BLOCK}${digits(epoch)}/`) }
    for await (const { value } of this.store.rows(range)) blocks.push(reopen(value))
    return blocks
  }

  async #prune(oldest: number): Promise<void> {
    const range = { gte: BLOCK, lt: `${BLOCK}${digits(oldest)}/`, limit: PRUNED_AT_ONCE }
    for (let more = true; more;) {
      const rows: BesideRow[] = []
      for await (const { key } of this.store.rows(range)) {
        rows.push({ key, value: null }, { key: PLACE + key.slice(key.lastIndexOf('/') + 1), value: null })
      }
      if (rows.length > 0) await this.store.write(rows)
      more = rows.length > 0
    }
    const first = await this.store.get(EPOCH + digits(oldest))
    if (first === null) return
    const records: BesideRow[] = []
    for await (const { key } of this.store.rows({
      gte: RECORD,
      lt: RECORD + digits(decodeEpochStart(first).firstIndex)
    })) {
      records.push({ key, value: null })
    }
    for (let at = 0; at < records.length; at += PRUNED_AT_ONCE) {
      await this.store.write(records.slice(at, at + PRUNED_AT_ONCE))
    }
  }
}

/** A block of our own disk, opened without verifying it once more. */
export function reopen(bytes: Uint8Array): OpenedBlock {
  const signed = decodeWitnessBlock(bytes)
  const transactions = signed.block.transactions.map(payload => {
    const transaction = decodeSigned(payload)
    return { ...transaction, id: transactionId(transaction.transaction), bytes: payload }
  })
  return openedBlock(signed, transactions)
}

const epochRow = (start: EpochStart): BesideRow => ({
  key: EPOCH + digits(start.epoch),
  value: encodeEpochStart(start)
})

/** Rows with which a witness goes on where an epoch begins, without the commits before it. */
export function resumeRows(start: EpochStart, state: Uint8Array): BesideRow[] {
  const { nextMembers } = start
  const elected = nextMembers === null ? null : { epoch: start.epoch + 1, members: [...nextMembers] }
  return [
    epochRow({ ...start, nextMembers: null }),
    { key: EXECUTED, value: encodeExecuted({ index: start.firstIndex - 1, state, elected }) },
    ...electionRows(elected)
  ]
}

const electionKey = (epoch: number): string => `elected/${digits(epoch)}`

const electionRows = (elected: Elected | null): BesideRow[] =>
  elected === null
    ? []
    : [
        {
          key: electionKey(elected.epoch),
          value: encodeExecuted({
            index: 0,
            state: new Uint8Array(32),
            elected: { epoch: elected.epoch, members: [...elected.members] }
          })
        }
      ]
