import { toHex } from '@pekka/node/protocol'
import { MemoryBeside, type BesideStore } from './beside.js'
import type {
  ForgottenHistory,
  LedgerBatch,
  LedgerStore,
  RestoredLedger,
  StoredCheckpoint,
  StoredRow
} from './index.js'

/** The ledger in memory: for simulations and unit tests. It keeps what it holds over stop and start. */
export class MemoryLedgerStore implements LedgerStore {
  #genesis: Uint8Array | null = null
  readonly #rows = new Map<string, StoredRow>()
  readonly #commits = new Map<number, Uint8Array>()
  #last = -1
  #first = 0
  readonly #transactions = new Map<string, { index: number; position: number }>()
  readonly #closed = new Map<string, Uint8Array>()
  /** Commits that changed an account, ascending. */
  readonly #changes = new Map<string, number[]>()
  readonly beside: BesideStore = new MemoryBeside()
  /** By ascending index. */
  #checkpoints: StoredCheckpoint[] = []

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async genesis(): Promise<Uint8Array | null> {
    return this.#genesis
  }

  async create(genesis: Uint8Array, rows: readonly StoredRow[]): Promise<void> {
    if (this.#genesis !== null) throw new TypeError('there is a ledger here already')
    this.#genesis = genesis.slice()
    for (const row of rows) this.#rows.set(`${row.table}/${row.key}`, { ...row, value: row.value.slice() })
  }

  async restore({ genesis, index, rows, transactions, checkpoint, beside }: RestoredLedger): Promise<void> {
    await this.create(genesis, rows)
    this.#last = index
    this.#first = index + 1
    for (const { id, index: at, position } of transactions) this.#transactions.set(toHex(id), { index: at, position })
    await this.writeCheckpoint(checkpoint, 0)
    await this.beside.write(beside)
  }

  async *rows(): AsyncGenerator<StoredRow> {
    for (const place of [...this.#rows.keys()].sort()) {
      const row = this.#rows.get(place)
      if (row !== undefined) yield row
    }
  }

  last(): number {
    return this.#last
  }

  async write(batch: LedgerBatch): Promise<void> {
    if (batch.index !== this.last() + 1) throw new TypeError(`commit ${batch.index} after ${this.last()}`)
    this.#last = batch.index
    this.#commits.set(batch.index, batch.commit.slice())
    for (const { table, key, value } of batch.rows) {
      if (value === null) this.#rows.delete(`${table}/${key}`)
      else this.#rows.set(`${table}/${key}`, { table, key, value: value.slice() })
    }
    batch.transactions.forEach((id, position) => this.#transactions.set(toHex(id), { index: batch.index, position }))
    for (const account of batch.accounts ?? []) {
      const key = toHex(account)
      const indices = this.#changes.get(key)
      if (indices === undefined) this.#changes.set(key, [batch.index])
      else indices.push(batch.index)
    }
    await this.beside.write(batch.beside ?? [])
    for (const { task, view } of batch.closedTasks) this.#closed.set(toHex(task), view.slice())
  }

  async commit(index: number): Promise<Uint8Array | null> {
    return this.#commits.get(index) ?? null
  }

  async first(): Promise<number> {
    return this.#first
  }

  async forget({ before, transactions, changes, closedTasks, beside }: ForgottenHistory): Promise<void> {
    if (before > this.#last) throw new TypeError(`commit ${this.#last} is the last and stays`)
    for (; this.#first < before; this.#first++) this.#commits.delete(this.#first)
    for (const id of transactions) this.#transactions.delete(toHex(id))
    for (const task of closedTasks) this.#closed.delete(toHex(task))
    for (const { account, index } of changes) {
      const left = (this.#changes.get(toHex(account)) ?? []).filter(one => one !== index)
      this.#changes.set(toHex(account), left)
    }
    await this.beside.write(beside)
  }

  async compact(): Promise<void> {}

  async historyBytes(): Promise<number> {
    return [...this.#commits.values()].reduce((sum, { length }) => sum + length, 0)
  }

  async *changesOf(account: Uint8Array, before: number): AsyncGenerator<number> {
    for (const index of (this.#changes.get(toHex(account)) ?? []).toReversed()) if (index < before) yield index
  }

  indexedFrom(): number {
    return this.#first
  }

  async locate(transaction: Uint8Array): Promise<{ index: number; position: number } | null> {
    return this.#transactions.get(toHex(transaction)) ?? null
  }

  async closedTask(task: Uint8Array): Promise<Uint8Array | null> {
    return this.#closed.get(toHex(task)) ?? null
  }

  async writeCheckpoint({ index, certificate }: StoredCheckpoint, keepFrom: number): Promise<void> {
    const kept = this.#checkpoints.filter(one => one.index !== index && one.index >= keepFrom)
    this.#checkpoints = [...kept, { index, certificate: certificate.slice() }].sort((a, b) => a.index - b.index)
  }

  async checkpointFrom(index: number): Promise<StoredCheckpoint | null> {
    return this.#checkpoints.find(one => one.index >= index) ?? null
  }

  async checkpointBefore(index: number): Promise<StoredCheckpoint | null> {
    return this.#checkpoints.findLast(one => one.index < index) ?? null
  }
}
