import { credits } from '../../core/client/index.js'
import { PekkaError, type LedgerAccess } from '../../core/protocol/index.js'
import { OwnerLane } from '../../agents/witness/network/index.js'
import { readSigner } from '../../host/crypto/index.js'
import { PendingTransaction, type Left } from './pending.js'
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
 * @throws PekkaError FUNDS_MISSING, ACCOUNT_UNKNOWN and the ledger's own; USAGE where an earlier command had left something else
 */
export async function stakeOn(places: WitnessPlaces, ledger: Ledger, amount: bigint): Promise<Staked> {
  const { lane, left } = await openLane(places, ledger)
  if (isDone(left, 'stake', amount)) return 'earlier'
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

/** Takes stake back; it arrives after the network's time for that. @throws PekkaError as {@link stakeOn} */
export async function unstakeFrom(places: WitnessPlaces, ledger: Ledger, amount: bigint): Promise<Staked> {
  const { lane, left } = await openLane(places, ledger)
  if (isDone(left, 'unstake', amount)) return 'earlier'
  await lane.unstake(amount)
  return 'signed'
}

/**
 * Whether what is asked for is what an earlier command had left, and is done.
 * @throws PekkaError USAGE: that had left another stake, whose end the user hasn't been told yet: both together may not be what is wanted
 */
function isDone(left: Left | null, kind: 'stake' | 'unstake', amount: bigint): boolean {
  if (left === null) return false
  const { body } = left.transaction
  if (body.kind !== 'stake' && body.kind !== 'unstake') return false
  if (body.kind === kind && body.amount === amount) return left.applied
  const end = left.applied ? 'has been carried out now' : 'was refused, and is given up now'
  throw new PekkaError('USAGE', {
    issue: `An earlier command had sent "pekka witness ${body.kind} ${credits(body.amount)}" and got no answer that it was done. It ${end}. Nothing else was signed: run this command again if it is still wanted.`
  })
}
