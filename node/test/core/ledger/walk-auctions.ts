import { bidCommit, equalBytes, toHex, type AuctionView, type Body } from '@pekka/node/protocol'
import { auctionOf, offerAfter, saltOf, type MadeAuction } from './auction-support.js'
import { bytes, type Actor } from './support.js'
import type { Move, Walk } from './walk.js'

/** Moves of auctions in the random walks: right ones, and now and then what fits nothing. */

const at = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(1, list.length)]

/** Few different prices, so that some are alike; a little above the reserve, too. */
const priceOf = (provider: Uint8Array, auction: Uint8Array): bigint =>
  BigInt(200 * (1 + ((((provider[3] ?? 0) * ((auction[4] ?? 0) | 1) + (auction[3] ?? 0)) >> 2) % 6)))

export function auctionMove(walk: Walk, move: Move): { actor: Actor; body: Body } | null {
  const { market, clients, auctions } = walk
  const { chain } = market
  const opener = at(clients, move.who)
  const provider = at(market.providers, move.who)
  if (opener === undefined || provider === undefined) return null
  const row = (made: MadeAuction) => chain.state.get('auction', toHex(made.terms.task))
  const wanted = ({ state, bids, reserve }: AuctionView, what: number): boolean => {
    const bid = bids.find(one => equalBytes(one.provider, provider.provider))
    if (what === 29 || what === 30) return state === 'bidding' && bid === undefined
    if (what === 31) return state === 'revealing' && bid?.revealed === null
    if (what === 32) return state === 'revealing' && reserve === null
    return what === 33 && state === 'awarded'
  }
  // What the move says, else what there is to do; only where there is nothing, or now and then, another one is opened.
  const kinds = move.sense === 0 ? [move.what] : move.value % 12 === 0 ? [28] : [move.what, 29, 31, 32, 33]
  const todo = kinds.flatMap(what =>
    auctions.flatMap(made => {
      const view = row(made)
      return move.sense === 0 || (view !== undefined && wanted(view, what)) ? [{ made, what }] : []
    })
  )
  const [first] = todo
  const { made, what } = (move.sense === 0 ? at(todo, move.task) : first) ?? { made: undefined, what: 28 }
  if (what === 28 || made === undefined) {
    const lock = at([1_000_000n, 2_000_000n, 3_000_000n, 500_000n], move.value) ?? 1n
    const reserve = {
      pricePerSecond: 1_000n,
      cap: 1n + ((BigInt(move.value) * 7n) % 1_100_000n),
      salt: bytes(move.value)
    }
    const change = { lock, bidMs: 3_000 + (move.value % 2_000), revealMs: 3_000 + (move.value % 1_000) }
    const opened = auctionOf(chain.network, opener.account, reserve, change)
    auctions.push(opened)
    walk.tasks.push(opened.terms.task)
    return { actor: opener, body: { kind: 'auction-open', terms: opened.terms } }
  }
  const { terms, reserve } = made
  const auction = terms.task
  const view = row(made)
  const client = clients.find(({ key }) => key !== null && view !== undefined && equalBytes(key, view.lane)) ?? opener
  const pricePerSecond = move.sense === 0 ? BigInt(1 + move.value) : priceOf(provider.provider, auction)
  const salt = saltOf(provider.provider, auction)
  switch (what) {
    case 29:
    case 30: {
      const place = { network: chain.network, auction, bidder: provider.provider }
      const commitment = bidCommit(place, { pricePerSecond, salt })
      return { actor: provider.agent, body: { kind: 'auction-bid', auction, ask: provider.ask.ask, commitment } }
    }
    case 31:
      return { actor: provider.agent, body: { kind: 'auction-reveal', auction, pricePerSecond, salt } }
    case 32:
      return { actor: client, body: { kind: 'auction-reserve', auction, ...reserve } }
    default: {
      const award = view?.award ?? {
        provider: provider.provider,
        ask: provider.ask.ask,
        pricePerSecond,
        cap: terms.lock
      }
      return { actor: client, body: { kind: 'offer', tasks: [offerAfter(terms, award)] } }
    }
  }
}
