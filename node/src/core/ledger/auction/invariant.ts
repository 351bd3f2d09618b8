import { awardOf, roundUpCap } from '../../protocol/index.js'
import { timeOfKey } from '../rows.js'
import { lockFor } from '../task/escrow.js'
import { scan, type Reader } from '../view.js'
import { auctionParameters, type AuctionRow } from './record.js'
import { toHex } from '../../protocol/index.js'

/** What holds of each auction. That its locks are its lanes' is checked with the tasks'. */
export function auctionInvariant(view: Reader): string[] {
  const broken: string[] = []
  const timers = new Map<string, number[]>()
  for (const [key, timer] of scan(view, 'timer')) {
    if (timer.kind === 'auction') timers.set(toHex(timer.id), [...(timers.get(toHex(timer.id)) ?? []), timeOfKey(key)])
  }
  for (const [key, row] of scan(view, 'auction')) {
    for (const issue of issuesOf(view, row)) broken.push(`auction ${key} (${row.state}) ${issue}`)
    const own = timers.get(key) ?? []
    const wanted = row.deadline === null ? [] : [row.deadline]
    if (own.join() !== wanted.join()) broken.push(`auction ${key} has timers at ${own.join()}`)
  }
  return broken
}

function* issuesOf(view: Reader, row: AuctionRow): Generator<string> {
  const parameters = auctionParameters(view, row)
  const { terms, state, award, bids, reserve } = row
  const open = state === 'bidding' || state === 'revealing'
  if (roundUpCap(terms.lock) !== terms.lock) yield 'locks another amount than a step'
  if (new Set(bids.map(({ provider }) => toHex(provider))).size !== bids.length) yield 'has two bids of a provider'
  if (open && row.lock !== lockFor({ cap: terms.lock }, parameters)) yield 'locks other than it opened with'
  if (!open && bids.some(({ deposit }) => deposit !== 0n)) yield 'keeps a deposit'
  if (state === 'bidding' && (reserve !== null || bids.some(({ revealed }) => revealed !== null))) yield 'shows a price'
  if (state === 'revealing' && bids.length === 0) yield 'waits for nobody'
  if (state === 'revealing' && reserve !== null && bids.every(({ revealed }) => revealed !== null))
    yield 'has all it waits for'
  if ((state === 'ended') !== (row.ended !== null)) yield 'has ended for no reason'
  if (state === 'ended' && row.lock !== 0n) yield 'has ended and locks money'
  if (state !== 'awarded' && award === null) return
  const found = awardOf(row)
  if (award === null || found === null) return yield 'is awarded to nobody'
  if (toHex(found.provider) !== toHex(award.provider) || found.pricePerSecond !== award.pricePerSecond) {
    yield 'is awarded otherwise than its bids say'
  }
  if (reserve !== null && award.pricePerSecond > reserve.pricePerSecond) yield 'pays more than the reserve'
  if (award.cap > terms.lock) yield 'may cost more than it locked'
  if (state === 'awarded' && row.lock !== lockFor(award, parameters)) yield 'keeps more than its award needs'
}
