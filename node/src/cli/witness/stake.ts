import type { LedgerAccess } from '../../core/protocol/index.js'
import { OwnerLane } from '../../agents/witness/network/index.js'
import { readSigner } from '../../host/crypto/index.js'
import type { WitnessPlaces } from './places.js'

/** The lane of the account that stakes on the witness of this folder. */
async function ownerLane(places: WitnessPlaces, ledger: LedgerAccess): Promise<OwnerLane> {
  const [signer, owner] = await Promise.all([readSigner(places.blockKey), readSigner(places.accountKey)])
  return new OwnerLane({ ledger, signer, owner })
}

/**
 * Stakes credits on the witness. Where the network has a faucet the account opens itself and draws what is missing.
 * @throws PekkaError FUNDS_MISSING, ACCOUNT_UNKNOWN and the ledger's own
 */
export async function stakeOn(places: WitnessPlaces, ledger: LedgerAccess, amount: bigint): Promise<void> {
  const lane = await ownerLane(places, ledger)
  const { parameters } = await ledger.time()
  let view = await ledger.account(lane.account)
  if (view === null && parameters.faucetLimit > 0n) {
    await lane.send({ kind: 'open-account', policy: lane.policy, deposit: parameters.openDeposit })
    view = await ledger.account(lane.account)
  }
  const missing = view === null ? 0n : amount - view.balance
  if (view !== null && missing > 0n && view.faucetDrawn + missing <= parameters.faucetLimit) {
    await lane.send({ kind: 'faucet', amount: missing })
  }
  // The running witness registers its hash chains itself once it is staked on.
  await lane.stake(amount, [])
}

/** Takes stake back; it arrives after the network's time for that. @throws PekkaError FUNDS_MISSING, ACCOUNT_UNKNOWN and the ledger's own */
export async function unstakeFrom(places: WitnessPlaces, ledger: LedgerAccess, amount: bigint): Promise<void> {
  await (await ownerLane(places, ledger)).unstake(amount)
}
