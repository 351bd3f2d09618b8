import { randomBytes } from 'node:crypto'
import express, {
  type ErrorRequestHandler,
  type Express,
  type Request,
  type RequestHandler,
  type Response
} from 'express'
import helmet from 'helmet'
import type { Logger } from 'pino'
import { CBOR, PekkaError, asPekkaError, equalBytes, isPekkaError, toHex } from '@pekka/node/protocol'
import type { Metrics } from '../metrics.js'
import type { TaskRecord, TaskStore } from '../tasks/index.js'
import { answer, parse, readBody } from './codec.js'
import { LOOPBACK_LOGINS, REMOTE_LOGINS, SMALL_BODY } from './constants.js'
import { isLoopback, type Guard } from './guards.js'
import { RequestLimit } from './limits.js'
import { describeApi } from './openapi.js'
import { PATH_PARAMETERS, type Call, type PathParameter, type PathValues, type Route } from './route.js'
import type { Grant, Tokens } from './tokens.js'

export interface AppComponents {
  routes: Route[]
  guard: Guard
  /** Of all requests; the socket's questions count in it too. */
  limit: RequestLimit
  tokens: Tokens
  store: TaskStore
  metrics: Metrics
  log: Logger
  version: string
}

/** The HTTP side as an express app; it needs no port. */
export function createApp(components: AppComponents): Express {
  const { routes, guard, metrics, log, version } = components
  const app = express()
  app.disable('x-powered-by')
  app.set('etag', false)
  // `X-Forwarded-*` is never believed (guards.ts): an address is the socket's.
  app.set('trust proxy', false)
  app.use(measure(metrics))
  app.use(
    helmet({
      contentSecurityPolicy: {
        useDefaults: false,
        directives: { defaultSrc: ["'none'"], frameAncestors: ["'self'"], baseUri: ["'none'"], formAction: ["'none'"] }
      },
      referrerPolicy: { policy: 'no-referrer' },
      // A page of an allowed origin reads our answers, through CORS.
      crossOriginResourcePolicy: { policy: 'cross-origin' },
      strictTransportSecurity: false
    })
  )
  app.use(admit(guard))
  app.use(components.limit.handler)
  const logins = new RequestLimit(LOOPBACK_LOGINS, REMOTE_LOGINS).handler
  const description = describeApi(routes, version)
  app.get('/openapi.json', (_request, response) => void response.json(description))
  app.get('/metrics', async (request, response) => {
    if (!isLoopback(request.socket.remoteAddress)) throw new PekkaError('ROUTE_UNKNOWN')
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics())
  })
  for (const route of routes) {
    const before = route.login === true ? [logins] : []
    app[route.method](route.path, ...before, identify(components, route), ...bodyOf(route), serve(route))
  }
  app.use(() => {
    throw new PekkaError('ROUTE_UNKNOWN')
  })
  app.use(problem(log))
  return app
}

/** How long a browser may go without asking again, seconds; none keeps it longer than two hours. */
const PREFLIGHT_AGE = 7_200

/** CORS, Host and Origin, before anything else is looked at. */
function admit(guard: Guard): RequestHandler {
  return (request, response, next) => {
    guard.check(request)
    const { origin } = request.headers
    if (origin === undefined) return next()
    response.setHeader('Access-Control-Allow-Origin', origin)
    response.vary('Origin')
    if (request.method !== 'OPTIONS') return next()
    response.setHeader('Access-Control-Allow-Methods', 'GET, POST, PUT')
    response.setHeader('Access-Control-Allow-Headers', 'Authorization, Content-Type, X-Pekka-Token')
    response.setHeader('Access-Control-Max-Age', String(PREFLIGHT_AGE))
    response.status(204).end()
  }
}

/** What the middlewares found out about a request. */
interface Found {
  grant?: Grant
  record?: TaskRecord
  path: Partial<PathValues>
}

const foundOf = (response: Response): Found => {
  // Set by `identify`, which stands before every handler.
  return response.locals['found'] as Found
}

/**
 * The one place that decides who may: reads the path, checks the token, and that the task or account named belongs to it.
 * What isn't one's own is as if it weren't there (I7).
 */
function identify({ tokens, store }: AppComponents, route: Route): RequestHandler {
  return async (request, response, next) => {
    const found: Found = { path: {} }
    response.locals['found'] = found
    const grant = route.auth === 'none' ? null : tokens.check(tokenOf(request))
    if (grant !== null) found.grant = grant
    if (route.auth === 'owner' && grant?.lane !== null)
      throw new PekkaError('BODY_NOT_ALLOWED', { body: route.summary })
    for (const [name, value] of Object.entries(request.params))
      // Only names of the table stand in paths (route.ts), and each gets what its own schema makes.
      Object.assign(found.path, { [name]: parse<unknown>(PATH_PARAMETERS[name as PathParameter], value) })
    const { task, account } = found.path
    if (grant === null) return next()
    if (account !== undefined && !equalBytes(account, grant.account))
      throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(account) })
    if (task !== undefined) {
      const record = await store.get(task)
      if (record === null || !owns(grant, record)) throw new PekkaError('TASK_UNKNOWN')
      found.record = record
    }
    next()
  }
}

/** Tasks belong to (account, lane); the owner's token sees all of the account (R38). */
export const owns = (grant: Grant, record: Pick<TaskRecord, 'account' | 'lane'>): boolean =>
  equalBytes(grant.account, record.account) && (grant.lane === null || equalBytes(grant.lane, record.lane))

function tokenOf(request: Request): string | undefined {
  const header = request.headers['x-pekka-token']
  if (typeof header === 'string') return header
  return /^Bearer ([\w-]+)$/.exec(request.headers.authorization ?? '')?.[1]
}

function bodyOf(route: Route): RequestHandler[] {
  if (route.body === undefined) return []
  const limit = route.bodyLimit ?? SMALL_BODY
  return [express.raw({ type: CBOR, limit }), express.json({ limit })]
}

function serve(route: Route): RequestHandler {
  return async (request, response) => {
    const found = foundOf(response)
    const value = await route.handle({
      body: route.body === undefined ? undefined : readBody(request, route.body),
      query: route.query === undefined ? undefined : parse(route.query, request.query),
      request,
      response,
      // There wherever the route's path and `auth` say so, which is what a handler may rely on (route.ts).
      ...(found as Pick<Call<unknown, unknown>, 'path' | 'grant' | 'record'>)
    })
    if (response.headersSent) return
    if (route.status === 204) response.status(204).end()
    else if (value !== undefined) answer(request, response, route.status ?? 200, value)
  }
}

function measure(metrics: Metrics): RequestHandler {
  return (request, response, next) => {
    const started = performance.now()
    response.on('finish', () => {
      // The route's pattern, never the address itself: ids are nobody's business here.
      const { route: matched }: { route?: { path?: unknown } } = request
      const route = typeof matched?.path === 'string' ? matched.path : 'none'
      metrics.httpRequests.inc({ route, status: response.statusCode })
      metrics.httpSeconds.observe({ route }, (performance.now() - started) / 1000)
    })
    next()
  }
}

/** Wraps whatever was thrown, once: a problem document, and a number in the log for what is our fault. */
function problem(log: Logger): ErrorRequestHandler {
  return (thrown: unknown, request, response, next) => {
    let error = asPekkaError(bodyError(thrown))
    if (error.code === 'INTERNAL' && !isPekkaError(thrown)) {
      const id = randomBytes(4).toString('hex')
      log.error({ err: thrown, id, method: request.method }, 'a request failed')
      error = new PekkaError('INTERNAL', { id })
    }
    if (response.headersSent) return next(thrown)
    response
      .status(error.status)
      .setHeader('Cache-Control', 'no-store')
      .type('application/problem+json')
      .send(JSON.stringify(error.toProblem()))
  }
}

/** What express' body parsers and router throw, in our words. */
function bodyError(thrown: unknown): unknown {
  if (!(thrown instanceof Error) || isPekkaError(thrown) || !('status' in thrown)) return thrown
  if (thrown.status === 413)
    return new PekkaError('BLOB_TOO_LARGE', { max: 'limit' in thrown ? Number(thrown.limit) : 0 })
  if (typeof thrown.status === 'number' && thrown.status < 500)
    return new PekkaError('SCHEMA_MISMATCH', { issue: thrown.message.slice(0, 200) })
  return thrown
}
