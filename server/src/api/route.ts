import type { Request, Response } from 'express'
import { z } from 'zod'
import { commitCursor, hex32, parseContentId } from '@pekka/node/protocol'
import type { TaskRecord } from '../tasks/index.js'
import type { Grant } from './tokens.js'

/** Parts of a path. */
export const PATH_PARAMETERS = {
  task: hex32.describe('Task id, hexadecimal'),
  account: hex32.describe('Account id, hexadecimal'),
  cid: z
    .string()
    .max(128)
    .transform(text => parseContentId(text))
    .describe('CIDv1 or hexadecimal SHA-256'),
  auction: hex32.describe('Auction id, hexadecimal'),
  /** Of anything on the ledger, whosever it is: no ownership is checked. */
  id: hex32.describe('Id on the ledger, hexadecimal'),
  commit: commitCursor.describe('Index of a commit')
}
export type PathParameter = keyof typeof PATH_PARAMETERS
/** A path's parts as handlers get them. */
export type PathValues = { [P in PathParameter]: z.output<(typeof PATH_PARAMETERS)[P]> }

/** What a handler gets: checked by the route's schemas and, for its task, for ownership. */
export interface Call<Body, Query> {
  body: Body
  query: Query
  path: PathValues
  /** Who asks; there wherever the route asks for a token. */
  grant: Grant
  /** The task of the path; there wherever the path names one. */
  record: TaskRecord
  request: Request
  response: Response
}

/**
 * One route: what the app serves and the API description says come from here. `auth`: `none`, a token, or the owner's.
 * A handler's value is the answer; undefined where it has answered itself.
 */
export interface Route<Body = unknown, Query = unknown> {
  method: 'get' | 'post' | 'put'
  /** Express path, e.g. `/v1/tasks/:task`. */
  path: string
  summary: string
  auth: 'none' | 'token' | 'owner'
  /** Rate limit of log-ins instead of that of all. */
  login?: boolean
  body?: z.ZodType<Body>
  /** Largest body, bytes. */
  bodyLimit?: number
  query?: z.ZodType<Query>
  status?: 200 | 202 | 204
  answer?: z.ZodType
  handle: (call: Call<Body, Query>) => Promise<unknown> | unknown
}

/** Keeps the types of a route's parts together; the table holds them without. */
export const route = <Body, Query>(definition: Route<Body, Query>): Route =>
  // A handler is only ever called with what its own schemas made (app.ts).
  definition as unknown as Route
