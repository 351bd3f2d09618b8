import {
  EMPTY_HASH,
  concat,
  transactionPreimage,
  type OrderedTransaction,
  type TransactionPath
} from '../../protocol/index.js'
import type { Hashing } from './hashing.js'

/** The Merkle tree of core/protocol/proof/transaction-path.ts over what was ordered since the checkpoint before. */
export class TransactionTree {
  /** From the leaves up to the root. */
  readonly #layers: Uint8Array[][]

  constructor(
    readonly ordered: readonly OrderedTransaction[],
    hashing: Hashing
  ) {
    let layer = ordered.map(one => hashing.hash(transactionPreimage(one)))
    this.#layers = [layer]
    while (layer.length > 1) {
      const pairs = layer.length >>> 1
      const hashes = hashing.hashPairs(concat(...layer.slice(0, pairs * 2)))
      const above = Array.from({ length: pairs }, (_, at) => hashes.slice(at * 32, at * 32 + 32))
      layer = [...above, ...layer.slice(pairs * 2)]
      this.#layers.push(layer)
    }
  }

  get root(): Uint8Array {
    return this.#layers.at(-1)?.[0] ?? EMPTY_HASH
  }

  /** The path of the leaf with this number. */
  prove(leaf: number): TransactionPath {
    const siblings = this.#layers.map((layer, height) => layer[Math.floor(leaf / 2 ** height) ^ 1])
    return { leaf, siblings: concat(...siblings.filter(sibling => sibling !== undefined)) }
  }
}
