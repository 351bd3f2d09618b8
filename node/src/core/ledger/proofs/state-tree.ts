import {
  bitOf,
  compareBytes,
  EMPTY_HASH,
  equalBytes,
  keyInfo,
  makeStatePath,
  type StatePath
} from '../../protocol/index.js'
import type { Hashing } from './hashing.js'

interface Leaf {
  readonly key: Uint8Array
  readonly value: Uint8Array
  readonly hash: Uint8Array
}

/** Two rows or more below it; one side may be empty where their keys begin alike. */
interface Branch {
  readonly left: Node
  readonly right: Node
  /** Filled in once, by the update that made it. */
  hash: Uint8Array
}

type Node = Leaf | Branch | null

const isLeaf = (node: Leaf | Branch): node is Leaf => 'key' in node
const hashOf = (node: Node): Uint8Array => node?.hash ?? EMPTY_HASH

/** One row of the state: {@link stateKey}, and {@link stateValue} of its bytes or null where it goes. */
export interface RowChange {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}

/**
 * The compact sparse Merkle tree of core/protocol/proof/state-path.ts. A tree never changes: an update gives another one that shares
 * what is alike, so the tree of a checkpoint still proves while the state goes on.
 */
export class StateTree {
  private constructor(
    private readonly hashing: Hashing,
    private readonly top: Node
  ) {}

  static empty(hashing: Hashing): StateTree {
    return new StateTree(hashing, null)
  }

  get root(): Uint8Array {
    return hashOf(this.top)
  }

  /**
   * The tree after these changes, in any order. Costs about log2(rows) + 1 hashes a changed row, less where changes lie close;
   * equal rows give equal roots whatever the way there.
   * @throws TypeError when a key is changed twice
   */
  update(changes: Iterable<RowChange>): StateTree {
    const sorted = [...changes].sort((a, b) => compareBytes(a.key, b.key))
    for (const [at, { key }] of sorted.entries()) {
      const before = sorted[at - 1]
      if (before !== undefined && equalBytes(before.key, key)) throw new TypeError('a row is changed twice')
    }
    const update = new Update(this.hashing, sorted)
    const top = update.merge(this.top, 0, 0, sorted.length)
    update.hashLayers()
    return new StateTree(this.hashing, top)
  }

  /** The row's digest, or null where there is none, and the path that shows it. */
  prove(key: Uint8Array): { value: Uint8Array | null; path: StatePath } {
    const siblings: Uint8Array[] = []
    let node = this.top
    while (node !== null && !isLeaf(node)) {
      const right = bitOf(key, siblings.length) === 1
      siblings.push(hashOf(right ? node.left : node.right))
      node = right ? node.right : node.left
    }
    if (node === null) return { value: null, path: makeStatePath(siblings, null) }
    if (equalBytes(node.key, key)) return { value: node.value, path: makeStatePath(siblings, null) }
    return { value: null, path: makeStatePath(siblings, { key: node.key, value: node.value }) }
  }
}

/** What precedes key and value in a leaf's preimage (stateLeaf): its tag and both lengths, which are always the same. */
const LEAF_PREIMAGE = keyInfo('pekka/state-leaf/v1', new Uint8Array(32), new Uint8Array(32))
const KEY_AT = LEAF_PREIMAGE.length - 68
const VALUE_AT = LEAF_PREIMAGE.length - 32

/** One update: new branches by depth, so that each layer is hashed at once when all below it are. */
class Update {
  readonly #layers: Branch[][] = []
  readonly #preimage = LEAF_PREIMAGE.slice()

  constructor(
    private readonly hashing: Hashing,
    private readonly changes: readonly RowChange[]
  ) {}

  /** `node` at `depth` after the changes from…to−1, whose keys all begin as its path does. */
  merge(node: Node, depth: number, from: number, to: number): Node {
    if (from === to) return node
    if (node === null || isLeaf(node)) return this.#replace(node, depth, from, to)
    const middle = this.#middle(depth, from, to)
    const left = this.merge(node.left, depth + 1, from, middle)
    const right = this.merge(node.right, depth + 1, middle, to)
    return left === node.left && right === node.right ? node : this.#join(left, right, depth)
  }

  /** Where there was at most one row: it and the new ones. */
  #replace(old: Leaf | null, depth: number, from: number, to: number): Node {
    const leaves: Leaf[] = []
    let left = old
    for (const { key, value } of this.changes.slice(from, to)) {
      const order = left === null ? 1 : compareBytes(left.key, key)
      if (left !== null && order < 0) leaves.push(left)
      if (left !== null && order === 0 && value !== null && equalBytes(left.value, value)) leaves.push(left)
      else if (value !== null) leaves.push(this.#leaf(key, value))
      if (order <= 0) left = null
    }
    if (left !== null) leaves.push(left)
    return this.#build(leaves, depth, 0, leaves.length)
  }

  #build(leaves: readonly Leaf[], depth: number, from: number, to: number): Node {
    if (to - from < 2) return leaves[from] !== undefined && from < to ? leaves[from] : null
    let middle = from
    while (middle < to && bitOf(leaves[middle]?.key ?? EMPTY_HASH, depth) === 0) middle++
    return this.#join(this.#build(leaves, depth + 1, from, middle), this.#build(leaves, depth + 1, middle, to), depth)
  }

  /** A row that is left alone moves up. */
  #join(left: Node, right: Node, depth: number): Node {
    if (left === null && (right === null || isLeaf(right))) return right
    if (right === null && left !== null && isLeaf(left)) return left
    const branch: Branch = { left, right, hash: EMPTY_HASH }
    ;(this.#layers[depth] ??= []).push(branch)
    return branch
  }

  /** The first change whose key turns right at `depth`. */
  #middle(depth: number, from: number, to: number): number {
    let [low, high] = [from, to]
    while (low < high) {
      const at = (low + high) >>> 1
      if (bitOf(this.changes[at]?.key ?? EMPTY_HASH, depth) === 0) low = at + 1
      else high = at
    }
    return low
  }

  #leaf(key: Uint8Array, value: Uint8Array): Leaf {
    this.#preimage.set(key, KEY_AT)
    this.#preimage.set(value, VALUE_AT)
    return { key, value, hash: this.hashing.hash(this.#preimage) }
  }

  hashLayers(): void {
    for (let depth = this.#layers.length - 1; depth >= 0; depth--) {
      const layer = this.#layers[depth] ?? []
      const pairs = new Uint8Array(layer.length * 64)
      for (const [at, { left, right }] of layer.entries()) {
        pairs.set(hashOf(left), at * 64)
        pairs.set(hashOf(right), at * 64 + 32)
      }
      const hashes = this.hashing.hashPairs(pairs)
      // Copies: a view would keep the whole layer's hashes as long as one of them.
      for (const [at, branch] of layer.entries()) branch.hash = hashes.slice(at * 32, at * 32 + 32)
    }
  }
}
