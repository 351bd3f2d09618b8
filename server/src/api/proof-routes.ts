import { z } from 'zod'
import { MAX_CLAIMS, hex32, ledgerProofAnswerSchema, type LedgerAccess } from '@pekka/node/protocol'
import type { LedgerMirror } from '../ledger/index.js'
import { withCurrentView } from './items.js'
import { route, type Route } from './route.js'

export interface ProofRoutesComponents {
  ledger: LedgerAccess
  mirror: LedgerMirror
}

/** Ids with commas between. */
const ids = z
  .string()
  .max(MAX_CLAIMS * 65)
  .transform(text => text.split(','))
  .pipe(z.array(hex32).min(1).max(MAX_CLAIMS))
/** The epoch whose committee the asker trusts, where that isn't the first (proofRequestSchema). */
const since = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional()
export const sinceQuery = z.strictObject({ since })
/** As it stands in a request: what is left out isn't there at all. */
export const from = ({ since }: { since?: number }): { since?: number } => (since === undefined ? {} : { since })
const asksQuery = z.strictObject({ asks: ids, since })
const imagesQuery = z.strictObject({ images: ids, since })

/** Proofs of what the ledger says. The bridge hands on what witnesses signed; who gets one believes only them. */
export function proofRoutes(components: ProofRoutesComponents): Route[] {
  const { ledger } = components
  const answer = ledgerProofAnswerSchema
  return [
    route({
      method: 'get',
      path: '/v1/ledger/checkpoint',
      summary: 'The last checkpoint, signed by the witnesses',
      auth: 'none',
      query: sinceQuery,
      answer,
      handle: async ({ query }) => ({ proof: await ledger.prove({ kind: 'rows', rows: [], ...from(query) }) })
    }),
    route({
      method: 'get',
      path: '/v1/ledger/asks/proof',
      summary: 'Proof of published prices with their sealing keys, or that they are gone',
      auth: 'none',
      query: asksQuery,
      answer,
      handle: async ({ query }) => {
        const rows = query.asks.map(id => ({ table: 'ask' as const, id }))
        return { proof: await ledger.prove({ kind: 'rows', rows, ...from(query) }) }
      }
    }),
    route({
      method: 'get',
      path: '/v1/ledger/images/proof',
      summary: 'Proof of what the registry says of images, by their digests, or that it says nothing',
      auth: 'none',
      query: imagesQuery,
      answer,
      handle: async ({ query }) => {
        const rows = query.images.map(id => ({ table: 'image' as const, id }))
        return { proof: await ledger.prove({ kind: 'rows', rows, ...from(query) }) }
      }
    }),
    route({
      method: 'get',
      path: '/v1/transactions/:cid/ledger-proof',
      summary: 'Proof that a transaction was ordered, and of what became of it',
      auth: 'none',
      query: sinceQuery,
      answer,
      handle: async ({ path, query }) => ({
        proof: await ledger.prove({ kind: 'transaction', id: path.cid, ...from(query) })
      })
    }),
    route({
      method: 'get',
      path: '/v1/accounts/:account/ledger-proof',
      summary: 'Proof of the own account’s money',
      auth: 'token',
      query: sinceQuery,
      answer,
      handle: async ({ path, query }) => ({
        proof: await ledger.prove({ kind: 'rows', rows: [{ table: 'account', id: path.account }], ...from(query) })
      })
    }),
    route({
      method: 'get',
      path: '/v1/tasks/:task/ledger-proof',
      summary: 'Proof of a task’s state and payment; of a closed task, of the transaction that moved it last',
      auth: 'token',
      query: sinceQuery,
      answer,
      handle: async ({ record, query }) => {
        const { view } = await withCurrentView(components, record)
        const last = view?.state === 'closed' ? view.transactions.at(-1) : undefined
        const what =
          last === undefined
            ? { kind: 'rows' as const, rows: [{ table: 'task' as const, id: record.task }] }
            : { kind: 'transaction' as const, id: last }
        return { proof: await ledger.prove({ ...what, ...from(query) }) }
      }
    })
  ]
}
