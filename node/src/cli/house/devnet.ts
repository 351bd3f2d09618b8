import { PekkaError } from '@pekka/node/protocol'
import type { HousePlaces } from './places.js'

/** What the processes of an embedded network have in common. */
export interface Devnet {
  /** Id of the network, hex: the hash of its genesis. */
  network: string
  /** File of the genesis: first accounts, faucet, parameters. */
  genesis: string
  /** Key file of each provider's account. */
  providers: Readonly<Record<string, string>>
}

/** The network of this home; made at the first start. */
export async function openDevnet(places: HousePlaces): Promise<Devnet> {
  throw new PekkaError('SETUP_FAILED', { step: 'The ledger', log: places.devnet })
}
