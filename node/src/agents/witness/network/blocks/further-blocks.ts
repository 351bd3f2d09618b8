import type { OpenedBlock } from '@pekka/node/consensus'
import { MAX_FURTHER_BLOCKS } from '../constants.js'

/** Blocks of an author in an epoch, and between which rounds. */
interface Stored {
  blocks: number
  lowest: number
  highest: number
}

/**
 * Whose blocks of this epoch are more than it can have written honestly: one a round. A block of an equivocator may name many of its others, and
 * those are wanted then; whoever has brought so many isn't listened to any more in this epoch, so that others don't keep, pass
 * on and store without end. What honest members have built on comes from them.
 */
export class FurtherBlocks {
  readonly #stored = new Map<number, Stored>()
  #epoch = 0

  /** A block was stored; each is once. */
  add({ block: { author, epoch, round } }: OpenedBlock): void {
    if (epoch < this.#epoch) return
    if (epoch > this.#epoch) this.#stored.clear()
    this.#epoch = epoch
    const before = this.#stored.get(author) ?? { blocks: 0, lowest: round, highest: round }
    this.#stored.set(author, {
      blocks: before.blocks + 1,
      lowest: Math.min(before.lowest, round),
      highest: Math.max(before.highest, round)
    })
  }

  /** Whether this member isn't listened to in this epoch any more. */
  isOver(epoch: number, author: number): boolean {
    const stored = epoch === this.#epoch ? this.#stored.get(author) : undefined
    return stored !== undefined && stored.blocks - (stored.highest - stored.lowest + 1) >= MAX_FURTHER_BLOCKS
  }
}
