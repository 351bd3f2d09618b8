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
 * The genesis of a network that a committee decides, by whoever has all of its keys. Where witnesses belong to different people each makes a
 * record of its own (record.ts).
 */
export function committeeGenesis({
  base,
  members,
  parameters = STANDARD_PARAMETERS,
  epochs = 2
}: CommitteeGenesisInit): Genesis {
  const { nonce } = base
  return agreeingGenesis({
    base,
    members: members.map(({ seed, stake, account }) => ({
      key: createSigner(seed).publicKey,
      stake,
      account,
      tips: chainEnds({ seed, nonce, parameters }, 0, epochs)
    })),
    parameters
  })
}

/** A witness of the first committee as everybody may know it. */
export interface PublicMember {
  /** Its block key. */
  key: Uint8Array
  stake: bigint
  account: Uint8Array
  /** Ends of its hash chains for epochs 0, 1, … */
  tips: Uint8Array[]
}

/** Puts a genesis together from what is public of its witnesses. Throws where something is out of range. */
export function agreeingGenesis({
  base,
  members,
  parameters
}: {
  base: Genesis
  members: readonly PublicMember[]
  parameters: ConsensusParameters
}): Genesis {
  const genesis: Genesis = {
    ...base,
    witnesses: members.map(({ key, stake }) => ({ key, stake })),
    agreement: { ...parameters, members: members.map(({ account, tips }) => ({ account, tips })) }
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
