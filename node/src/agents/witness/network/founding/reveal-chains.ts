import { taggedHash, u64 } from '@pekka/node/protocol'
import { RevealChain, type ConsensusParameters } from '@pekka/node/consensus'
import { CHAIN_MARGIN_MILLI } from '../constants.js'

/** Epochs whose chains are kept: the present one, and the next. */
const KEPT = 2

/**
 * A witness's hash chains by epoch (R26), derived from the seed of its block key and the network's nonce: whoever has the key has the
 * chains, so a lost disk loses none. The nonce, since the network's id isn't known when the first ends go into its genesis.
 */
export class RevealChains {
  readonly #chains = new Map<number, RevealChain>()

  constructor(private readonly init: { seed: Uint8Array; nonce: Uint8Array; parameters: ConsensusParameters }) {}

  of(epoch: number): RevealChain {
    const known = this.#chains.get(epoch)
    if (known !== undefined) return known
    const { seed, nonce, parameters } = this.init
    const length = Math.ceil((parameters.epochRounds * CHAIN_MARGIN_MILLI) / 1_000) + 2 * parameters.gcDepth
    const chain = new RevealChain(taggedHash('pekka/reveal-chain/v1', seed, nonce, u64(epoch)), length)
    this.#chains.set(epoch, chain)
    for (const old of this.#chains.keys()) if (this.#chains.size > KEPT) this.#chains.delete(old)
    return chain
  }
}
