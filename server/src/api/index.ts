/**
 * The HTTP API (core/protocol/wire/http.ts): routes with their schemas, one place that decides who may see what, problem
 * documents, and the description at `/openapi.json` made from the same schemas.
 *
 * ```ts
 * const app = createApp({ routes, guard, limit, tokens, store, metrics, log, version })
 * createServer(app).listen(0, '127.0.0.1')
 * ```
 */
export { auctionRoutes } from './auction-routes.js'
export { createApp, owns, type AppComponents } from './app.js'
export { Guard, isLoopback, type GuardInit } from './guards.js'
export { accountFor, itemOf } from './items.js'
export { ledgerQueries, type AnswerLedgerQuery } from './ledger-query.js'
export { ledgerRoutes } from './ledger-routes.js'
export { RequestLimit } from './limits.js'
export { proofRoutes } from './proof-routes.js'
export { networkRoutes, type NetworkRoutesComponents } from './routes.js'
export { describeApi } from './openapi.js'
export type { Route } from './route.js'
export { taskRoutes, type TaskRoutesComponents } from './task-routes.js'
export { Tokens, type Grant } from './tokens.js'
export * from './constants.js'
