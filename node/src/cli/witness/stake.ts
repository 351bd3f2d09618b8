import type { LedgerAccess } from '../../core/protocol/index.js'
import { OwnerLane } from '../../agents/witness/network/index.js'
import { readSigner } from '../../host/crypto/index.js'
import { isSame, PendingTransaction } from './pending.js'
import type { WitnessPlaces } from './places.js'

type Ledger = Pick<LedgerAccess, 'time' | 'account' | 'submit'>

/** `signed`: now; `earlier`: an earlier command had sent just this, and it has come through. */
export type Staked = 'signed' | 'earlier'

/** The lane of the account that stakes on the witness of this folder, after what an earlier command left there. */
async function openLane(places: WitnessPlaces, ledger: Ledger) {
  const [signer, owner] = await Promise.all([readSigner(places.blockKey), readSigner(places.accountKey)])
  const pending = new PendingTransaction(places.pending)
  const left = await pending.resend(ledger)
  const remembering = {
    time: (signal?: AbortSignal) => ledger.time(signal),
    account: (account: Uint8Array, signal?: AbortSignal) => ledger.account(account, signal),
    submit: (bytes: Uint8Array, signal?: AbortSignal) => pending.submit(ledger, bytes, signal)
  }
  return { lane: new OwnerLane({ ledger: remembering, signer, owner }), left }
}

/**
 * Stakes credits on the witness. Where the network has a faucet the account opens itself and draws what is missing.
 * @throws PekkaError FUNDS_MISSING, ACCOUNT_UNKNOWN and the ledger's own
 */
export async function stakeOn(places: WitnessPlaces, ledger: Ledger, amount: bigint): Promise<Staked> {
  const { lane, left } = await openLane(places, ledger)
  if (isSame(left, 'stake', amount)) return 'earlier'
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
  return 'signed'
}

/** Takes stake back; it arrives after the network's time for that. @throws PekkaError FUNDS_MISSING, ACCOUNT_UNKNOWN and the ledger's own */
export async function unstakeFrom(places: WitnessPlaces, ledger: Ledger, amount: bigint): Promise<Staked> {
  const { lane, left } = await openLane(places, ledger)
  if (isSame(left, 'unstake', amount)) return 'earlier'
  await lane.unstake(amount)
  return 'signed'
}
