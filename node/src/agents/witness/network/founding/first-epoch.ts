import type { Genesis } from '@pekka/node/protocol'
import { elect, firstBeacon, type EpochStart, type Member } from '@pekka/node/consensus'

/** What the genesis says: its witnesses sit in the first two epochs. */
export function firstEpoch(genesis: Genesis, network: Uint8Array, seats: number): EpochStart {
  const membersOf = (epoch: number): Member[] =>
    elect(
      genesis.witnesses.map(({ key, stake }, i) => ({
        key,
        stake,
        tip: genesis.agreement?.members[i]?.tips[epoch] ?? network
      })),
      seats
    )
  return {
    epoch: 0,
    members: membersOf(0),
    nextMembers: membersOf(1),
    firstIndex: 0,
    history: network,
    timestamp: genesis.createdAt,
    beacon: firstBeacon(network)
  }
}
