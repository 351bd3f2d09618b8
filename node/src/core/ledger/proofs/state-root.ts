import { bitOf, compareBytes, EMPTY_HASH, keyInfo, MAX_PATH_DEPTH, stateKeyPreimage } from '../../protocol/index.js'
import type { Hashing } from './hashing.js'

/** Rows of one piece of memory. */
const PIECE_ROWS = 1 << 14
/** Key in the tree, and the hash of the leaf. */
const KEPT_BYTES = 64

/** The root of a state that is read row by row. It keeps 64 bytes of a row, whatever the row is: for rows that nobody vouches for yet. */
export class StateRoot {
  readonly #pieces: Uint8Array[] = []
  #count = 0

  constructor(private readonly hashing: Hashing) {}

  get rows(): number {
    return this.#count
  }

  /** @param value the row's canonical bytes. No row may be added twice. */
  add(table: string, key: string, value: Uint8Array): void {
    const at = this.#count++ % PIECE_ROWS
    if (at === 0) this.#pieces.push(new Uint8Array(PIECE_ROWS * KEPT_BYTES))
    const { hashing } = this
    const treeKey = hashing.hash(stateKeyPreimage(table, key))
    const leaf = hashing.hash(keyInfo('pekka/state-leaf/v1', treeKey, hashing.hash(value)))
    const piece = this.#pieces.at(-1)
    piece?.set(treeKey, at * KEPT_BYTES)
    piece?.set(leaf, at * KEPT_BYTES + 32)
  }

  /** {@link StateTree.root} of these rows. */
  root(): Uint8Array {
    const order = new Uint32Array(this.#count).map((_, row) => row)
    order.sort((a, b) => compareBytes(this.#kept(a, 0), this.#kept(b, 0)))
    return this.#rootOf(order, 0)
  }

  #rootOf(rows: Uint32Array, depth: number): Uint8Array {
    const [only] = rows
    if (only === undefined) return EMPTY_HASH
    if (rows.length === 1) return this.#kept(only, 32)
    if (depth === MAX_PATH_DEPTH) throw new TypeError('a row was added twice')
    let [low, high] = [0, rows.length]
    while (low < high) {
      const at = (low + high) >>> 1
      if (bitOf(this.#kept(rows[at] ?? 0, 0), depth) === 0) low = at + 1
      else high = at
    }
    const pair = new Uint8Array(64)
    pair.set(this.#rootOf(rows.subarray(0, low), depth + 1))
    pair.set(this.#rootOf(rows.subarray(low), depth + 1), 32)
    return this.hashing.hashPairs(pair)
  }

  #kept(row: number, from: 0 | 32): Uint8Array {
    const at = (row % PIECE_ROWS) * KEPT_BYTES + from
    return this.#pieces[Math.floor(row / PIECE_ROWS)]?.subarray(at, at + 32) ?? EMPTY_HASH
  }
}
