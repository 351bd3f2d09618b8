import type { Level } from 'level'

/** One row beside the ledger; null: deleted. */
export interface BesideRow {
  key: string
  value: Uint8Array | null
}

/** Keys between two, in their order as text. */
export interface BesideRange {
  gte: string
  lt: string
  reverse?: boolean
  limit?: number
}

/**
 * Plain rows that a witness keeps in the ledger's database (blocks, records of its consensus), so that a commit and what belongs to
 * it are written in one step: see `beside` of a LedgerBatch. Open while the ledger's store is.
 */
export interface BesideStore {
  get(key: string): Promise<Uint8Array | null>
  rows(range: BesideRange): AsyncIterable<{ key: string; value: Uint8Array }>
  /** All or nothing; resolves once it is on disk. */
  write(rows: readonly BesideRow[]): Promise<void>
}

const BESIDE = 'x/'

type Operation = { type: 'put'; key: string; value: Uint8Array } | { type: 'del'; key: string }

export const besideOperations = (rows: readonly BesideRow[]): Operation[] =>
  rows.map(({ key, value }) =>
    value === null ? { type: 'del', key: BESIDE + key } : { type: 'put', key: BESIDE + key, value }
  )

export class LevelBeside implements BesideStore {
  constructor(private readonly db: Level<string, Uint8Array>) {}

  async get(key: string): Promise<Uint8Array | null> {
    const value = await this.db.get(BESIDE + key)
    return value === undefined ? null : plain(value)
  }

  async *rows({ gte, lt, ...rest }: BesideRange): AsyncGenerator<{ key: string; value: Uint8Array }> {
    for await (const [key, value] of this.db.iterator({ gte: BESIDE + gte, lt: BESIDE + lt, ...rest })) {
      yield { key: key.slice(BESIDE.length), value: plain(value) }
    }
  }

  async write(rows: readonly BesideRow[]): Promise<void> {
    await this.db.batch(besideOperations(rows), { sync: true })
  }
}

export class MemoryBeside implements BesideStore {
  readonly #rows = new Map<string, Uint8Array>()

  async get(key: string): Promise<Uint8Array | null> {
    return this.#rows.get(key) ?? null
  }

  async *rows({ gte, lt, reverse, limit }: BesideRange): AsyncGenerator<{ key: string; value: Uint8Array }> {
    const keys = [...this.#rows.keys()].filter(key => key >= gte && key < lt).sort()
    if (reverse === true) keys.reverse()
    for (const key of keys.slice(0, limit)) {
      const value = this.#rows.get(key)
      if (value !== undefined) yield { key, value }
    }
  }

  async write(rows: readonly BesideRow[]): Promise<void> {
    for (const { key, value } of rows) {
      if (value === null) this.#rows.delete(key)
      else this.#rows.set(key, value.slice())
    }
  }
}

/** LevelDB hands out Buffers, whose slice() shares memory where Uint8Array's copies. */
const plain = (value: Uint8Array): Uint8Array => new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
