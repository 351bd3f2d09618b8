import { z } from 'zod'
import {
  MAX_DAG_COMMITS,
  accountItemSchema,
  accountPageSchema,
  blockPageSchema,
  checkpointPageSchema,
  commitCursor,
  commitDetailSchema,
  commitPageSchema,
  dagWindowSchema,
  evidenceAnswerSchema,
  hex32,
  imagePageSchema,
  ledgerTaskState,
  openBodyName,
  placeCursor,
  slug,
  taskPageSchema,
  taskViewSchema,
  transactionDetailSchema,
  transactionPageSchema,
  witnessPageSchema
} from '@pekka/node/protocol'
import { WITNESS_STATES, type LedgerExplorer } from '../ledger/index.js'
import { COMMIT_PAGE, LEDGER_PAGE, MAX_COMMIT_PAGE, MAX_LEDGER_PAGE } from './constants.js'
import { route, type Route } from './route.js'

const number = (max: number, standard: number) => z.coerce.number().int().min(1).max(max).default(standard)
const limit = number(MAX_LEDGER_PAGE, LEDGER_PAGE)
const commitLimit = number(MAX_COMMIT_PAGE, COMMIT_PAGE)

const commitsQuery = z.strictObject({ before: commitCursor.optional(), limit: commitLimit })
const blocksQuery = z.strictObject({
  witness: hex32.optional(),
  epoch: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).optional(),
  before: commitCursor.optional(),
  limit: commitLimit
})
const witnessesQuery = z.strictObject({ state: z.enum(WITNESS_STATES).optional(), after: hex32.optional(), limit })
const idsQuery = z.strictObject({ after: hex32.optional(), limit })
const imagesQuery = z.strictObject({ name: slug.optional(), after: hex32.optional(), limit })
const transactionsQuery = z.strictObject({
  account: hex32.optional(),
  task: hex32.optional(),
  kind: openBodyName.optional(),
  before: placeCursor.optional(),
  limit
})
const tasksQuery = z.strictObject({
  account: hex32.optional(),
  provider: hex32.optional(),
  state: ledgerTaskState.optional(),
  before: placeCursor.optional(),
  limit
})
const evidenceQuery = z.strictObject({
  witness: hex32,
  epoch: z.coerce.number().int().min(0),
  round: z.coerce.number().int().min(1)
})
const dagQuery = z.strictObject({ to: commitCursor.optional(), commits: number(MAX_DAG_COMMITS, MAX_DAG_COMMITS / 2) })

/**
 * The ledger for people who look around in it (core/protocol/wire/explorer.ts). Witnesses tell all of it to anybody, so any token of this bridge
 * sees it; but a token it takes, since a page costs a witness some reading.
 */
export function ledgerRoutes(explorer: LedgerExplorer): Route[] {
  const auth = 'token' as const
  const method = 'get' as const
  return [
    route({
      method,
      path: '/v1/ledger/commits',
      summary: 'Commits of the ledger, newest first',
      auth,
      query: commitsQuery,
      answer: commitPageSchema,
      handle: ({ query }) => explorer.commits(query.before ?? null, query.limit)
    }),
    route({
      method,
      path: '/v1/ledger/commits/:commit',
      summary: 'A commit with its transactions and what it changed',
      auth,
      answer: commitDetailSchema,
      handle: ({ path }) => explorer.commit(path.commit)
    }),
    route({
      method,
      path: '/v1/ledger/transactions',
      summary: 'Final transactions, newest first: all, or of an account, a task, a kind',
      auth,
      query: transactionsQuery,
      answer: transactionPageSchema,
      handle: ({ query: { account = null, task = null, kind = null, before = null, limit: most } }) =>
        explorer.transactions({ account, task, kind }, before, most)
    }),
    route({
      method,
      path: '/v1/ledger/transactions/:id',
      summary: 'A final transaction, whole',
      auth,
      answer: transactionDetailSchema,
      handle: ({ path }) => explorer.transaction(path.id)
    }),
    route({
      method,
      path: '/v1/ledger/accounts',
      summary: 'Accounts and their money, by their ids',
      auth,
      query: idsQuery,
      answer: accountPageSchema,
      handle: ({ query }) => explorer.accounts(query.after ?? null, query.limit)
    }),
    route({
      method,
      path: '/v1/ledger/accounts/:id',
      summary: 'Money and policy of any account',
      auth,
      answer: accountItemSchema,
      handle: ({ path }) => explorer.account(path.id)
    }),
    route({
      method,
      path: '/v1/ledger/images',
      summary: 'What the registry says of images, by their digests: all, or of a name',
      auth,
      query: imagesQuery,
      answer: imagePageSchema,
      handle: ({ query: { name = null, after = null, limit: most } }) => explorer.images(name, after, most)
    }),
    route({
      method,
      path: '/v1/ledger/tasks',
      summary: 'Tasks as the ledger has them, newest first: all, or of a client, a provider, in a state',
      auth,
      query: tasksQuery,
      answer: taskPageSchema,
      handle: ({ query: { account = null, provider = null, state = null, before = null, limit: most } }) =>
        explorer.tasks({ account, provider, state }, before, most)
    }),
    route({
      method,
      path: '/v1/ledger/tasks/:id',
      summary: 'Any task as the ledger has it',
      auth,
      answer: taskViewSchema,
      handle: ({ path }) => explorer.task(path.id)
    }),
    route({
      method,
      path: '/v1/ledger/blocks',
      summary:
        'Blocks of the witnesses, by the commits that brought them into the order, newest commit first: all, of a witness, an epoch',
      auth,
      query: blocksQuery,
      answer: blockPageSchema,
      handle: ({ query: { witness = null, epoch = null, before = null, limit: most } }) =>
        explorer.blocks(before, most, { witness, epoch })
    }),
    route({
      method,
      path: '/v1/ledger/checkpoints',
      summary: 'Checkpoints that witnesses have signed, newest first',
      auth,
      query: commitsQuery,
      answer: checkpointPageSchema,
      handle: ({ query }) => explorer.checkpoints(query.before ?? null, query.limit)
    }),
    route({
      method,
      path: '/v1/ledger/witnesses',
      summary: 'The committee, and who else is staked on: all, or in a state',
      auth,
      query: witnessesQuery,
      answer: witnessPageSchema,
      handle: ({ query: { state = null, after = null, limit: most } }) => explorer.witnesses(after, most, state)
    }),
    route({
      method,
      path: '/v1/ledger/evidence',
      summary: 'Two blocks that a witness signed for one round',
      auth,
      query: evidenceQuery,
      answer: evidenceAnswerSchema,
      handle: ({ query }) => explorer.evidence(query)
    }),
    route({
      method,
      path: '/v1/ledger/dag',
      summary: 'A window of the DAG for drawing: commits, blocks and transactions with their edges',
      auth,
      query: dagQuery,
      answer: dagWindowSchema,
      handle: ({ query }) => explorer.dag(query.to ?? null, query.commits)
    })
  ]
}
