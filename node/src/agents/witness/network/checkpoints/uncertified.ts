import {
  certify,
  checkpointDigest,
  checkpointMessage,
  toHex,
  type Certificate,
  type Verifier
} from '@pekka/node/protocol'
import type { CheckpointView } from '@pekka/node/ledger'
import type { MadeCheckpoint } from './checkpoint-messages.js'
import { MAX_EARLY_SIGNATURES, MAX_UNCERTIFIED_CHECKPOINTS, MAX_UNCERTIFIED_VIEWS } from '../constants.js'

/** A checkpoint that no quorum has signed yet, as far as this witness knows. */
export interface Uncertified extends MadeCheckpoint {
  readonly index: number
  readonly digest: Uint8Array
  readonly message: Uint8Array
  /** What proves from it; null: made before a restart, or too many wait. */
  view: CheckpointView | null
  /** By place in the committee. */
  readonly signatures: Map<number, Uint8Array>
}

interface Early {
  digest: Uint8Array
  signature: Uint8Array
}

/**
 * Checkpoints that wait for a quorum's signatures, ascending, and signatures that came before this witness had their checkpoint. All of
 * it is bounded: of what is left out certificates can be asked for.
 */
export class UncertifiedCheckpoints {
  readonly #made = new Map<number, Uncertified>()
  /** By block key, by commit. */
  readonly #early = new Map<string, Map<number, Early>>()

  constructor(private readonly verifier: Verifier) {}

  get size(): number {
    return this.#made.size
  }

  /** Ascending. */
  get all(): Uncertified[] {
    return [...this.#made.values()]
  }

  get(index: number): Uncertified | undefined {
    return this.#made.get(index)
  }

  /** Index of the first; null: none waits. */
  get oldest(): number | null {
    for (const index of this.#made.keys()) return index
    return null
  }

  /** @returns those that wait no longer, since too many do */
  add(made: MadeCheckpoint, view: CheckpointView | null): { added: Uncertified; dropped: Uncertified[] } {
    const { checkpoint } = made
    const added: Uncertified = {
      ...made,
      index: checkpoint.index,
      digest: checkpointDigest(checkpoint),
      message: checkpointMessage(checkpoint),
      view,
      signatures: new Map()
    }
    this.#made.set(added.index, added)
    const viewed = this.all.filter(one => one.view !== null)
    for (const old of viewed.slice(0, Math.max(0, viewed.length - MAX_UNCERTIFIED_VIEWS))) old.view = null
    const dropped = this.all.slice(0, Math.max(0, this.size - MAX_UNCERTIFIED_CHECKPOINTS))
    for (const { index } of dropped) this.#made.delete(index)
    return { added, dropped }
  }

  delete(index: number): void {
    this.#made.delete(index)
    for (const signatures of this.#early.values()) signatures.delete(index)
  }

  /** Whether this witness has come to another checkpoint there than who says so. */
  contradicts(index: number, digest: Uint8Array): boolean {
    const made = this.#made.get(index)
    return made !== undefined && toHex(made.digest) !== toHex(digest)
  }

  /** A signature for a checkpoint that isn't here yet. */
  keep(key: string, index: number, early: Early): void {
    const signatures = this.#early.get(key) ?? new Map<number, Early>()
    this.#early.set(key, signatures)
    signatures.set(index, early)
    for (const oldest of signatures.keys()) if (signatures.size > MAX_EARLY_SIGNATURES) signatures.delete(oldest)
  }

  /** Keys that nobody of these committees has need no room any more. */
  forgetOthers(members: ReadonlySet<string>): void {
    for (const key of this.#early.keys()) if (!members.has(key)) this.#early.delete(key)
  }

  /** Counts the signatures that came before their checkpoint. */
  async countEarly(made: Uncertified): Promise<void> {
    for (const [key, signatures] of this.#early) {
      const early = signatures.get(made.index)
      signatures.delete(made.index)
      if (early !== undefined && toHex(early.digest) === toHex(made.digest))
        await this.count(made, key, early.signature)
    }
  }

  /** @returns `false`: it isn't a signature of that member's */
  async count(made: Uncertified, key: string, signature: Uint8Array): Promise<boolean> {
    const member = made.members.findIndex(([other]) => toHex(other) === key)
    const [block] = made.members[member] ?? []
    // Who has left the committee signs nothing; it may not know so yet.
    if (block === undefined || made.signatures.has(member)) return true
    if (!(await this.verifier.verify(block, made.message, signature))) return false
    made.signatures.set(member, signature)
    return true
  }

  /** null while there are too few signatures. */
  certificateOf({ checkpoint, members, signatures }: Uncertified): Certificate | null {
    return certify(checkpoint, members, signatures)
  }
}
