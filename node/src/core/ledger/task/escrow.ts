import type { OfferTask, Parameters } from '../../protocol/index.js'

/** What a task locks of its client's and its provider's money. */

/** Divides upwards: what is due is never rounded away. */
const share = (amount: bigint, of: number, whole: bigint): bigint => (amount * BigInt(of) + whole - 1n) / whole

/** Levy on a charge; on the cap it is what an offer locks for it (R19). */
export const levyOn = (charge: bigint, parameters: Parameters): bigint => share(charge, parameters.levyPpm, 1_000_000n)

/** Slice of the bond that answers for a task (R22). */
export const sliceOf = (offer: Pick<OfferTask, 'cap'>, parameters: Parameters): bigint =>
  share(offer.cap, parameters.sliceFactorMilli, 1000n)

/** What an offer locks for one task: cap + levy + storage deposit. */
export const lockFor = (offer: Pick<OfferTask, 'cap'>, parameters: Parameters): bigint =>
  offer.cap + levyOn(offer.cap, parameters) + parameters.storageDeposit

/** What a bid locks of its bidder's money (R31). */
export const bidDeposit = (lock: bigint, depositMilli: number): bigint => share(lock, depositMilli, 1000n)
