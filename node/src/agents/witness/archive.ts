import {
  commitViewSchema,
  decodeCanonical,
  decodeCertificate,
  equalBytes,
  type Certificate,
  type Claim,
  type OrderedTransaction
} from '@pekka/node/protocol'
import { orderedAs, TransactionTree, type Hashing } from '@pekka/node/ledger'
import type { LedgerStore, StoredCheckpoint } from '@pekka/node/host/storage'
import { KEPT_TREES } from './constants.js'

export interface CheckpointArchiveComponents {
  store: Pick<LedgerStore, 'commit' | 'checkpointFrom' | 'checkpointBefore'>
  hashing: Hashing
}

/** Earlier checkpoints: shows a transaction that one of them covers, from its commits, read again. */
export class CheckpointArchive {
  /** Transactions of earlier checkpoints, by their index; the one asked for last is the last. */
  readonly #trees = new Map<number, TransactionTree>()

  constructor(
    private readonly components: CheckpointArchiveComponents,
    private readonly network: Uint8Array
  ) {}

  /** What the commits after `from`, up to `to`, ordered. @throws TypeError: one of them is gone */
  async ordered(from: number, to: number): Promise<OrderedTransaction[]> {
    const all = await this.#kept(from, to)
    if (all === null) throw new TypeError(`a commit from ${from + 1} to ${to} is gone`)
    return all
  }

  /** null: one of them is gone. */
  async #kept(from: number, to: number): Promise<OrderedTransaction[] | null> {
    const all: OrderedTransaction[] = []
    for (let index = from + 1; index <= to; index++) {
      const bytes = await this.components.store.commit(index)
      if (bytes === null) return null
      const { transactions } = commitViewSchema.parse(decodeCanonical(bytes))
      transactions.forEach(({ outcome }, position) => all.push(orderedAs(index, position, outcome)))
    }
    return all
  }

  /** Shows a transaction under the checkpoint that covers it; null: that one, the one before it, or a commit between isn't kept. */
  async prove(place: { index: number; position: number }): Promise<{ certificate: Certificate; claim: Claim } | null> {
    const stored = await this.components.store.checkpointFrom(place.index)
    if (stored === null) return null
    const certificate = readCertificate(stored)
    const tree = await this.#treeOf(stored, certificate)
    const leaf = tree?.ordered.findIndex(one => one.index === place.index && one.position === place.position) ?? -1
    const ordered = tree?.ordered[leaf]
    if (tree === null || ordered === undefined) return null
    return { certificate, claim: { kind: 'transaction', ordered, path: tree.prove(leaf) } }
  }

  async #treeOf(stored: StoredCheckpoint, { checkpoint }: Certificate): Promise<TransactionTree | null> {
    const known = this.#trees.get(stored.index)
    const before = await this.components.store.checkpointBefore(stored.index)
    if (before === null && !equalBytes(checkpoint.previous, this.network)) return null
    const ordered = known?.ordered ?? (await this.#kept(before?.index ?? -1, stored.index))
    if (ordered === null) return null
    const tree = known ?? new TransactionTree(ordered, this.components.hashing)
    if (!equalBytes(tree.root, checkpoint.transactionsRoot)) return null
    this.#trees.delete(stored.index)
    this.#trees.set(stored.index, tree)
    for (const index of this.#trees.keys()) if (this.#trees.size > KEPT_TREES) this.#trees.delete(index)
    return tree
  }
}

export const readCertificate = ({ certificate }: StoredCheckpoint): Certificate => decodeCertificate(certificate)
