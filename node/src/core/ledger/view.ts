import { TABLE_NAMES, type AnyRow, type Row, type Table } from './rows.js'

/** Bounds of a scan over keys: `from` ≤ key < `to`. */
export interface KeyRange {
  from?: string
  to?: string
}

/** The state as contracts read it. Keys come in ascending order of their characters, so every machine sees one order. */
export interface Reader {
  get<T extends Table>(table: T, key: string): Row<T> | undefined
  keys(table: Table, range?: KeyRange): Iterable<string>
}

/** The state as contracts change it. */
export interface View extends Reader {
  put<T extends Table>(table: T, key: string, row: Row<T>): void
  delete(table: Table, key: string): void
}

/** One changed row; `row` null: deleted. */
export interface Write {
  table: Table
  key: string
  row: AnyRow | null
}

/** Rows under a prefix of their keys, ascending. */
export function* scan<T extends Table>(reader: Reader, table: T, prefix = ''): Generator<[string, Row<T>]> {
  const range = prefix === '' ? undefined : { from: prefix, to: `${prefix}\uffff` }
  for (const key of reader.keys(table, range)) {
    const row = reader.get(table, key)
    if (row !== undefined) yield [key, row]
  }
}

type Rows = Map<string, AnyRow>

/** The whole state in memory, with the keys of each table in order. */
export class MemoryState implements View {
  readonly #tables = new Map<Table, { rows: Rows; keys: string[] }>(
    TABLE_NAMES.map(table => [table, { rows: new Map(), keys: [] }])
  )

  get<T extends Table>(table: T, key: string): Row<T> | undefined {
    // put() is the only way in, and it takes the table's own rows.
    return this.#table(table).rows.get(key) as Row<T> | undefined
  }

  *keys(table: Table, range: KeyRange = {}): Generator<string> {
    const { keys } = this.#table(table)
    const end = range.to === undefined ? keys.length : position(keys, range.to)
    for (let at = range.from === undefined ? 0 : position(keys, range.from); at < end; at++) {
      const key = keys[at]
      if (key !== undefined) yield key
    }
  }

  put<T extends Table>(table: T, key: string, row: Row<T>): void {
    const { rows, keys } = this.#table(table)
    if (!rows.has(key)) {
      const last = keys.at(-1)
      if (last === undefined || last < key) keys.push(key)
      else keys.splice(position(keys, key), 0, key)
    }
    rows.set(key, row)
  }

  delete(table: Table, key: string): void {
    const { rows, keys } = this.#table(table)
    if (rows.delete(key)) keys.splice(position(keys, key), 1)
  }

  /** Takes over what a commit changed. */
  write(writes: readonly Write[]): void {
    for (const { table, key, row } of writes) {
      if (row === null) this.delete(table, key)
      else this.put(table, key, row)
    }
  }

  #table(table: Table): { rows: Rows; keys: string[] } {
    const found = this.#tables.get(table)
    if (found === undefined) throw new TypeError(`no table ${table}`)
    return found
  }
}

/** Where `key` stands or would stand among sorted keys. */
function position(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const found = keys[middle]
    if (found !== undefined && found < key) low = middle + 1
    else high = middle
  }
  return low
}

/** Changes over a state that are taken over together (`commitTo`) or dropped. */
export class Overlay implements View {
  readonly #changes = new Map<Table, Map<string, AnyRow | null>>()

  constructor(private readonly below: Reader) {}

  get<T extends Table>(table: T, key: string): Row<T> | undefined {
    const changed = this.#changes.get(table)?.get(key)
    if (changed === undefined) return this.below.get(table, key)
    // As in MemoryState: only this table's rows are put there.
    return changed === null ? undefined : (changed as Row<T>)
  }

  *keys(table: Table, range: KeyRange = {}): Generator<string> {
    const changes = this.#changes.get(table)
    if (changes === undefined || changes.size === 0) return yield* this.below.keys(table, range)
    const added = [...changes.keys()].filter(key => inRange(key, range)).sort(byCharacters)
    let at = 0
    for (const key of this.below.keys(table, range)) {
      for (let mine = added[at]; mine !== undefined && mine < key; mine = added[++at]) {
        if (changes.get(mine) !== null) yield mine
      }
      if (added[at] === key) at++
      if (changes.get(key) !== null) yield key
    }
    for (const mine of added.slice(at)) if (changes.get(mine) !== null) yield mine
  }

  put<T extends Table>(table: T, key: string, row: Row<T>): void {
    this.#set(table, key, row)
  }

  delete(table: Table, key: string): void {
    this.#set(table, key, null)
  }

  /** Applies the changes to another view, in ascending order. */
  commitTo(view: View): void {
    for (const { table, key, row } of this.writes()) {
      if (row === null) view.delete(table, key)
      else view.put(table, key, row)
    }
  }

  /** What changed, by table and ascending key. A row that was made and deleted again is listed as deleted. */
  writes(): Write[] {
    const writes: Write[] = []
    for (const table of TABLE_NAMES) {
      const changes = this.#changes.get(table)
      if (changes === undefined) continue
      for (const key of [...changes.keys()].sort(byCharacters)) {
        writes.push({ table, key, row: changes.get(key) ?? null })
      }
    }
    return writes
  }

  #set(table: Table, key: string, row: AnyRow | null): void {
    let changes = this.#changes.get(table)
    if (changes === undefined) this.#changes.set(table, (changes = new Map()))
    changes.set(key, row)
  }
}

const inRange = (key: string, { from, to }: KeyRange): boolean =>
  (from === undefined || key >= from) && (to === undefined || key < to)

/** By UTF-16 units; never by locale, which differs between machines. */
export const byCharacters = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
