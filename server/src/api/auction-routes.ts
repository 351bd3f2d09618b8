import { auctionAnswerSchema, ledgerProofAnswerSchema, type LedgerAccess } from '@pekka/node/protocol'
import { from, sinceQuery } from './proof-routes.js'
import { route, type Route } from './route.js'

/** Auctions (R31). What they show is public, and is proved like any row of the state. */
export function auctionRoutes({ ledger }: { ledger: LedgerAccess }): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/auctions/:auction',
      summary: 'How an auction stands, until some minutes after its end',
      auth: 'none',
      answer: auctionAnswerSchema,
      handle: async ({ path }) => ({ auction: (await ledger.auctions(path.auction))[0] ?? null })
    }),
    route({
      method: 'get',
      path: '/v1/auctions/:auction/ledger-proof',
      summary: 'Proof of an auction, its bids and its award',
      auth: 'none',
      query: sinceQuery,
      answer: ledgerProofAnswerSchema,
      handle: async ({ path, query }) => ({
        proof: await ledger.prove({ kind: 'rows', rows: [{ table: 'auction', id: path.auction }], ...from(query) })
      })
    })
  ]
}
