import type { BlockKeeper } from './block-keeper.js'
import { MAX_ANSWERS_PER_PEER } from '../constants.js'
import type { WitnessLinks } from '../links.js'
import { serveBlocks } from './serve-blocks.js'

/**
 * Answers to peers' questions for blocks, beside reading on: two peers that answer one another and read nothing meanwhile would wait for
 * ever. Questions beyond a few at once are dropped; whoever asked asks again, or another one.
 */
export class Answers {
  /** How many are under way, by peer. */
  readonly #under = new Map<string, number>()

  constructor(private readonly components: { keeper: BlockKeeper; log: { warn(data: object, text: string): void } }) {}

  give(peer: string, question: Parameters<typeof serveBlocks>[1], links: Pick<WitnessLinks, 'sendSlowly'>): void {
    const { keeper, log } = this.components
    const under = this.#under.get(peer) ?? 0
    if (under >= MAX_ANSWERS_PER_PEER) return
    this.#under.set(peer, under + 1)
    serveBlocks(keeper, question, part => links.sendSlowly(peer, part))
      .catch((error: unknown) => log.warn({ peer, error: String(error) }, 'an answer failed'))
      .finally(() => {
        const left = (this.#under.get(peer) ?? 1) - 1
        if (left > 0) this.#under.set(peer, left)
        else this.#under.delete(peer)
      })
  }
}
