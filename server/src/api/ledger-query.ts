import { PekkaError, type LedgerQuery } from '@pekka/node/protocol'
import { parse } from './codec.js'
import { PATH_PARAMETERS, type Call, type PathParameter, type Route } from './route.js'

/** Answers what a page of the ledger is asked for, by the path and the query of its HTTP route. */
export type AnswerLedgerQuery = (request: LedgerQuery) => Promise<unknown>

/**
 * The ledger's routes for who asks over the socket: the same handlers and schemas.
 * @param routes those of `ledgerRoutes`: they use path and query alone, and show anybody's token the same
 */
export function ledgerQueries(routes: readonly Route[]): AnswerLedgerQuery {
  return async ({ path, query }) => {
    const segments = path.split('/')
    const route = routes.find(one => fits(one.path.split('/'), segments))
    if (route === undefined) throw new PekkaError('ROUTE_UNKNOWN')
    const call = {
      path: valuesOf(route.path.split('/'), segments),
      query: route.query === undefined ? undefined : parse(route.query, query)
    }
    // All that these routes' handlers use.
    return await route.handle(call as unknown as Call<unknown, unknown>)
  }
}

const fits = (pattern: readonly string[], segments: readonly string[]): boolean =>
  pattern.length === segments.length && pattern.every((part, at) => part.startsWith(':') || part === segments[at])

function valuesOf(pattern: readonly string[], segments: readonly string[]): Record<string, unknown> {
  const named = [...pattern.entries()].filter(([, part]) => part.startsWith(':'))
  return Object.fromEntries(
    named.map(([at, part]) => {
      // Only names of the table stand in paths (route.ts), and each gets what its own schema makes.
      const name = part.slice(1) as PathParameter
      return [name, parse<unknown>(PATH_PARAMETERS[name], segments[at])]
    })
  )
}
