import { networkId, type Genesis } from '@pekka/node/protocol'
import { STANDARD_PARAMETERS, type ConsensusParameters } from '@pekka/node/consensus'
import { createSigner } from '@pekka/node/host/crypto'
import { RevealChains } from './reveal-chains.js'

/** A witness that sits in the first committee. */
export interface FirstMember {
  /** Seed of its block key. */
  seed: Uint8Array
  stake: bigint
  /** The account that stakes on it; the genesis names it. */
  account: Uint8Array
}

export interface CommitteeGenesisInit {
  /** Everything but who decides. */
  base: Genesis
  members: readonly FirstMember[]
  parameters?: ConsensusParameters
  /** Epochs that the members are registered for; they register for later ones themselves. At least 2, at most 8. */
  epochs?: number
}

/**
 * The genesis of a network that a committee decides. It takes the seeds, since the ends of the first hash chains stand in it; where
 * witnesses belong to different people each makes its own entry with {@link chainEnds}.
 */
export function committeeGenesis({
  base,
  members,
  parameters = STANDARD_PARAMETERS,
  epochs = 2
}: CommitteeGenesisInit): Genesis {
  const { nonce } = base
  const genesis: Genesis = {
    ...base,
    witnesses: members.map(({ seed, stake }) => ({ key: createSigner(seed).publicKey, stake })),
    agreement: {
      ...parameters,
      members: members.map(({ seed, account }) => ({
        account,
        tips: chainEnds({ seed, nonce, parameters }, 0, epochs)
      }))
    }
  }
  // Throws here rather than at the first start where something is out of range.
  networkId(genesis)
  return genesis
}

/** Ends of a witness's hash chains for some epochs. */
export function chainEnds(
  init: { seed: Uint8Array; nonce: Uint8Array; parameters: ConsensusParameters },
  from: number,
  count: number
): Uint8Array[] {
  const chains = new RevealChains(init)
  return Array.from({ length: count }, (_, i) => chains.of(from + i).tip)
}
