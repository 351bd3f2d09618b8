import {
  stateKeyPreimage,
  toHex,
  type Checkpoint,
  type Claim,
  type OrderedTransaction,
  type ProvenTable,
  type TransactionOutcome
} from '../../protocol/index.js'
import type { CommitResult } from '../commit.js'
import { needSystem } from '../money.js'
import { encodeRow, TABLE_NAMES, type AnyRow, type Table } from '../rows.js'
import type { Reader } from '../view.js'
import type { Hashing } from './hashing.js'
import { StateTree, type RowChange } from './state-tree.js'
import { TransactionTree } from './transaction-tree.js'

/** Of a checkpoint, what the state doesn't say: whose it is and what was before. */
export type CheckpointPlace = Pick<Checkpoint, 'epoch' | 'previous' | 'committee' | 'nextCommittee' | 'resume'>

/** A transaction as its checkpoint names it. */
export const orderedAs = (index: number, position: number, outcome: TransactionOutcome): OrderedTransaction => ({
  index,
  position,
  id: outcome.id,
  code: outcome.status === 'applied' ? null : outcome.code
})

/** A row that has changed since the last checkpoint, as it was then. */
interface Changed {
  readonly table: Table
  readonly key: string
  readonly before: AnyRow | undefined
}

/**
 * One checkpoint and what shows things under it. It stays as it is while later ones are made: rows that change are noted in it, or in
 * those after it, as they were.
 */
export class CheckpointView {
  readonly #changed = new Map<string, Changed>()
  #next: CheckpointView | null = null

  constructor(
    private readonly hashing: Hashing,
    /** Roots of the state, and of what was ordered since the checkpoint before. */
    readonly state: StateTree,
    readonly transactions: TransactionTree
  ) {}

  /** Rows that have changed between this checkpoint and the next one. */
  get changed(): readonly Changed[] {
    return [...this.#changed.values()]
  }

  /** How many rows those are. */
  get size(): number {
    return this.#changed.size
  }

  /** The checkpoint after it. What changes from now on is noted there. */
  followedBy(next: CheckpointView): void {
    this.#next = next
  }

  /** A row changes for the first time since this checkpoint: it was `before`. */
  note(table: Table, key: string, before: () => AnyRow | undefined): void {
    const name = `${table}/${key}`
    if (!this.#changed.has(name)) this.#changed.set(name, { table, key, before: before() })
  }

  /** Whether a row has changed since this checkpoint, which then shows it as it was. */
  isChanged(table: Table, key: string): boolean {
    return this.#changeOf(`${table}/${key}`) !== undefined
  }

  /** Shows a row as it is at this checkpoint, or that there is none. `state`: the state now. */
  proveRow(state: Reader, table: ProvenTable, id: Uint8Array): Claim {
    const key = toHex(id)
    const changed = this.#changeOf(`${table}/${key}`)
    const row = changed === undefined ? state.get(table, key) : changed.before
    const { path } = this.state.prove(keyOf(this.hashing, table, key))
    return { kind: 'row', table, key, row: row === undefined ? null : encodeRow(row), path }
  }

  /** Shows a transaction that was ordered between this checkpoint and the one before it; null: it wasn't. */
  proveTransaction(id: Uint8Array): Claim | null {
    const name = toHex(id)
    const leaf = this.transactions.ordered.findIndex(ordered => toHex(ordered.id) === name)
    const ordered = this.transactions.ordered[leaf]
    if (ordered === undefined) return null
    return { kind: 'transaction', ordered, path: this.transactions.prove(leaf) }
  }

  #changeOf(name: string): Changed | undefined {
    return this.#changed.get(name) ?? (this.#next === null ? undefined : this.#next.#changeOf(name))
  }
}

/**
 * Follows the commits of a ledger, makes checkpoints of it, and proves what held at the last one. A commit costs a note for each row
 * it changes; the hashing is done for a whole checkpoint at once, so a row that changed in each commit is hashed once.
 */
export class CheckpointTrees {
  #last: CheckpointView
  #ordered: OrderedTransaction[] = []

  /**
   * @param state what the first checkpoint's changes are counted from; all of it is hashed
   * @param ordered transactions that are in `state` already and in no checkpoint yet
   */
  constructor(
    private readonly hashing: Hashing,
    state: Reader,
    ordered: readonly OrderedTransaction[] = []
  ) {
    this.#ordered = [...ordered]
    const tree = StateTree.empty(hashing).update(this.#allRows(state))
    this.#last = new CheckpointView(hashing, tree, new TransactionTree([], hashing))
  }

  /** Notes what a commit changes. Call it before the writes are taken over. */
  add(result: CommitResult, before: Reader): void {
    for (const { table, key } of result.writes) this.#last.note(table, key, () => before.get(table, key))
    for (const [position, { outcome }] of result.ordered.entries()) {
      this.#ordered.push(orderedAs(result.header.index, position, outcome))
    }
  }

  /** The last checkpoint. Before the first: the state that this began with, of which only rows can be shown. */
  get last(): CheckpointView {
    return this.#last
  }

  /** Root of the state at the last checkpoint; before the first, of the state that this began with. */
  get stateRoot(): Uint8Array {
    return this.#last.state.root
  }

  /** Rows and transactions that the next checkpoint will hash. */
  get waiting(): number {
    return this.#last.size + this.#ordered.length
  }

  /** Whether a row has changed since the last checkpoint, which then shows it as it was. */
  isChanged(table: Table, key: string): boolean {
    return this.#last.isChanged(table, key)
  }

  /** The checkpoint of the state after the last commit that was added. From now on proofs are about it. */
  checkpoint(state: Reader, place: CheckpointPlace): Checkpoint {
    const changes = this.#last.changed.map(({ table, key }) => this.#leafOf(table, key, state.get(table, key)))
    const next = new CheckpointView(
      this.hashing,
      this.#last.state.update(changes),
      new TransactionTree(this.#ordered, this.hashing)
    )
    this.#last.followedBy(next)
    this.#last = next
    this.#ordered = []
    const { network, index, head, timestamp, contractTime } = needSystem(state)
    return {
      v: 1,
      network,
      index,
      head,
      timestamp,
      contractTime,
      ...place,
      stateRoot: next.state.root,
      transactionsRoot: next.transactions.root,
      transactions: next.transactions.ordered.length
    }
  }

  /** Shows a row as it is at the last checkpoint, or that there is none. `state`: the state now. */
  proveRow(state: Reader, table: ProvenTable, id: Uint8Array): Claim {
    return this.#last.proveRow(state, table, id)
  }

  /** Shows a transaction that was ordered between the last checkpoint and the one before it; null: it wasn't. */
  proveTransaction(id: Uint8Array): Claim | null {
    return this.#last.proveTransaction(id)
  }

  #leafOf(table: Table, key: string, row: AnyRow | undefined): RowChange {
    const value = row === undefined ? null : this.hashing.hash(encodeRow(row))
    return { key: keyOf(this.hashing, table, key), value }
  }

  *#allRows(state: Reader): Generator<RowChange> {
    for (const table of TABLE_NAMES) {
      for (const key of state.keys(table)) yield this.#leafOf(table, key, state.get(table, key))
    }
  }
}

const keyOf = (hashing: Hashing, table: Table, key: string): Uint8Array => hashing.hash(stateKeyPreimage(table, key))
