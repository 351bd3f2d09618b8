/**
 * Where a ledger is kept: its state, its commits, and where to find transactions and closed tasks again. One commit is one
 * atomic, synced write, so that whatever was acknowledged is there after `kill -9` or a power cut, whole.
 *
 * ```ts
 * const store = createLedgerStore({ folder: '/…/ledger' })
 * await store.start()
 * if ((await store.genesis()) === null) await store.create(genesisBytes, firstRows)
 * for await (const { table, key, value } of store.rows()) …
 * await store.write({ index: 0, rows, commit, transactions, closedTasks })
 * await store.stop()
 * ```
 *
 * @packageDocumentation
 */
import type { BesideRow, BesideStore } from './beside.js'
import { LevelLedgerStore, type LevelLedgerStoreInit } from './level-store.js'

export type { BesideRange, BesideRow, BesideStore } from './beside.js'
export { LevelLedgerStore, type LevelLedgerStoreInit } from './level-store.js'
export { MemoryLedgerStore } from './memory-store.js'

/** One row of the state; keys are text, values canonical bytes. */
export interface StoredRow {
  table: string
  key: string
  value: Uint8Array
}

/** All that one commit changes. */
export interface LedgerBatch {
  /** 0 for the first commit, then one more each time. */
  index: number
  /** Rows of the state; null: deleted. */
  rows: readonly { table: string; key: string; value: Uint8Array | null }[]
  /** The commit as followers get it. */
  commit: Uint8Array
  /** Ids of the ordered transactions, in their order. */
  transactions: readonly Uint8Array[]
  /** Last views of tasks that were closed. */
  closedTasks: readonly { task: Uint8Array; view: Uint8Array }[]
  /** Accounts that it changed: `changesOf` finds it again by them. */
  accounts?: readonly Uint8Array[]
  /** What else belongs to it and is written in the same step. */
  beside?: readonly BesideRow[]
}

/** A ledger that begins after a commit, without the history before it. */
export interface RestoredLedger {
  /** Canonical bytes. */
  genesis: Uint8Array
  /** The commit after which it begins. */
  index: number
  /** All rows of the state. */
  rows: readonly StoredRow[]
  /** Where transactions of the last commits stood; those commits aren't here. */
  transactions: readonly { id: Uint8Array; index: number; position: number }[]
  /** The checkpoint of that commit. */
  checkpoint: StoredCheckpoint
  beside: readonly BesideRow[]
}

/** History that goes: the oldest commits, and what is found by them. */
export interface ForgottenHistory {
  /** All commits before this one; it becomes the first. Lower than the first: none. */
  before: number
  /** Ids of the transactions that those commits ordered. */
  transactions: readonly Uint8Array[]
  /** What they changed of accounts, for `changesOf`. */
  changes: readonly { account: Uint8Array; index: number }[]
  /** Last views of tasks that go. */
  closedTasks: readonly Uint8Array[]
  /** What is kept of them elsewhere, written in the same step. */
  beside: readonly BesideRow[]
}

/** Two versions: on disk (level) and in memory; one conformance suite for both. */
export interface LedgerStore {
  /** Rows beside the ledger, in the same database. */
  readonly beside: BesideStore
  /** @throws PekkaError STATE_VERSION (another version's data), STATE_LOCKED (another process has it open) */
  start(): Promise<void>
  stop(): Promise<void>
  /** The first state's bytes; null: nothing has been created here. */
  genesis(): Promise<Uint8Array | null>
  /** Stores the genesis and the rows of its state, all or nothing. Throws when there is one already. */
  create(genesis: Uint8Array, rows: readonly StoredRow[]): Promise<void>
  /**
   * Begins with a later state instead of the genesis'. Until it resolves nothing has been created here; what an interrupted one left goes.
   * Throws when there is a ledger already.
   */
  restore(ledger: RestoredLedger): Promise<void>
  /** All rows of the state, by table and ascending key. */
  rows(): AsyncIterable<StoredRow>
  /** Index of the last commit, −1 before the first. */
  last(): number
  /** Stores one commit, all or nothing; resolves once it is on disk. Throws when `index` isn't the next. */
  write(batch: LedgerBatch): Promise<void>
  commit(index: number): Promise<Uint8Array | null>
  /** Index of the oldest commit that is here; where there is none, of the next one. */
  first(): Promise<number>
  /**
   * Forgets the oldest commits, all or nothing. It outlives a `kill -9`; a power cut may take it back, and then it is forgotten again.
   * The last commit stays. Throws when it would go.
   */
  forget(history: ForgottenHistory): Promise<void>
  /** Gives the disk the space of what was forgotten, piece by piece; commits go between. Ends early when the signal aborts. */
  compact(signal: AbortSignal): Promise<void>
  /** About how many bytes the commits take, with what is found by them. What was written last may not be counted yet. */
  historyBytes(): Promise<number>
  /** Indices of the commits before `before` that changed an account, newest first. Complete from `indexedFrom` on. */
  changesOf(account: Uint8Array, before: number): AsyncIterable<number>
  /** The oldest commit that `changesOf` knows: the first, or the next one at the first start on data from before it was kept. */
  indexedFrom(): number
  /** In which commit a transaction stands, and as the how manieth. */
  locate(transaction: Uint8Array): Promise<{ index: number; position: number } | null>
  closedTask(task: Uint8Array): Promise<Uint8Array | null>
  /**
   * Keeps a checkpoint's certificate by the commit that it is about, and forgets those of commits before `keepFrom`. It outlives a
   * `kill -9`; a power cut may take the newest ones, which can be made again from commits, since those are synced.
   */
  writeCheckpoint(checkpoint: StoredCheckpoint, keepFrom: number): Promise<void>
  /** The first one about this commit or a later one: the one whose transactions include this commit's. */
  checkpointFrom(index: number): Promise<StoredCheckpoint | null>
  /** The last one about an earlier commit. */
  checkpointBefore(index: number): Promise<StoredCheckpoint | null>
}

/** A checkpoint as it is kept: the commit that it is about, and its canonical certificate. */
export interface StoredCheckpoint {
  index: number
  certificate: Uint8Array
}

/** A store on disk. */
export const createLedgerStore = (init: LevelLedgerStoreInit): LedgerStore => new LevelLedgerStore(init)
