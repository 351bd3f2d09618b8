import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { chmod, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { z } from 'zod'
import {
  CBOR,
  PekkaError,
  actRequestSchema,
  asPekkaError,
  bytes32,
  credits,
  decodeCbor,
  encodeCbor,
  ownerRequestSchema,
  pairRequestSchema,
  partlySignedSchema,
  submitRequestSchema
} from '../../core/protocol/index.js'
import type { PairingCodes } from './codes.js'
import type { Wallet } from './wallet.js'

/** Requests are a few hundred bytes; several copies of a transaction with many signatures some thousands. */
const MAX_BODY = 64 * 1024

type Route = (body: unknown) => Promise<unknown>

export interface WalletServerInit {
  http: { host: string; port: number }
  /** Unix socket path for the user's own processes. */
  socket: string
  allowedOrigins: string[]
}

/**
 * Two doors. TCP on loopback: browsers pair, with a one-time code, nothing else. The unix socket (mode 0600, so the file
 * system says who may): the command line asks for codes, delegates, and the owner's signature.
 */
export class WalletServer {
  readonly #public: Server
  readonly #local: Server

  constructor(
    private readonly components: {
      wallet: Wallet
      codes: PairingCodes
      log: { warn(data: object, message: string): void }
    },
    private readonly init: WalletServerInit
  ) {
    this.#public = createServer(this.#listener(this.#publicRoutes(), true))
    this.#local = createServer(this.#listener(this.#localRoutes(), false))
  }

  /** @returns the address browsers use. */
  async start(): Promise<string> {
    const { http, socket } = this.init
    await rm(socket, { force: true })
    await listen(this.#local, { path: socket })
    await chmod(socket, 0o600)
    await listen(this.#public, http)
    // A TCP server's address is an object.
    const { address, port } = this.#public.address() as AddressInfo
    return `http://${address.includes(':') ? `[${address}]` : address}:${port}`
  }

  async stop(): Promise<void> {
    for (const server of [this.#public, this.#local]) {
      server.closeAllConnections()
      await new Promise<void>(resolve => server.close(() => resolve()))
    }
    await rm(this.init.socket, { force: true })
  }

  #publicRoutes(): Record<string, Route> {
    const { wallet, codes } = this.components
    return {
      'POST /v1/pair': async body => {
        const request = parse(pairRequestSchema, body)
        if (!codes.redeem(request)) throw new PekkaError('PAIRING_FAILED')
        return await wallet.pair(request)
      },
      'GET /v1/health': async () => ({ ok: true })
    }
  }

  #localRoutes(): Record<string, Route> {
    const { wallet, codes } = this.components
    return {
      'POST /v1/codes': async () => ({ code: codes.create() }),
      'POST /v1/delegates': async body => {
        const { key, perTask } = parse(delegateRequestSchema, body)
        return await wallet.grant(key, perTask)
      },
      'POST /v1/revocations': async body => {
        await wallet.revoke(parse(keySchema, body).key)
        return { ok: true }
      },
      'POST /v1/token-signatures': async body => await wallet.signToken(parse(challengeSchema, body).challenge),
      'POST /v1/faucet': async body => {
        await wallet.draw(parse(amountSchema, body).amount)
        return { ok: true }
      },
      'GET /v1/account': async () => await wallet.view(),
      'POST /v1/owner': async body => await wallet.owner(parse(ownerRequestSchema, body).account ?? undefined),
      'GET /v1/owner/key': async () => wallet.keys,
      'POST /v1/owner/transactions': async body => {
        const { body: what, account } = parse(actRequestSchema, body)
        return await wallet.act(what, account ?? undefined)
      },
      'POST /v1/owner/signatures': async body => await wallet.sign(parse(partlySignedSchema, body)),
      'POST /v1/owner/submissions': async body => ({ id: await wallet.submit(parse(submitRequestSchema, body).parts) }),
      'POST /v1/owner/rotation': async () => await wallet.rotate(),
      'GET /v1/owner/seen': async () => await wallet.seen(),
      'POST /v1/owner/seen/forget': async body => {
        await wallet.forgetSeen(parse(networkSchema, body).network)
        return { ok: true }
      },
      'POST /v1/owner/account': async body => {
        await wallet.use(parse(accountSchema, body).account)
        return { ok: true }
      },
      'GET /v1/health': async () => ({ ok: true })
    }
  }

  #listener(routes: Record<string, Route>, browsers: boolean): RequestListener {
    return (request, response) => {
      void this.#answer(routes, browsers, request, response)
    }
  }

  async #answer(
    routes: Record<string, Route>,
    browsers: boolean,
    request: IncomingMessage,
    response: ServerResponse
  ): Promise<void> {
    try {
      response.setHeader('cache-control', 'no-store')
      response.setHeader('x-content-type-options', 'nosniff')
      if (browsers && this.#preflight(request, response)) return
      const path = new URL(request.url ?? '/', 'http://wallet').pathname
      const route = routes[`${request.method} ${path}`]
      if (!route) throw new PekkaError('ROUTE_UNKNOWN')
      const bytes = await readBody(request)
      const value = await route(bytes.length === 0 ? {} : decodeCbor(bytes))
      response.setHeader('content-type', CBOR)
      response.end(encodeCbor(value))
    } catch (cause) {
      const error = asPekkaError(cause)
      if (error.code === 'INTERNAL') this.components.log.warn({ err: String(error.cause) }, 'request failed')
      response.statusCode = error.status
      response.setHeader('content-type', 'application/problem+json')
      response.end(JSON.stringify(error.toProblem()))
    }
  }

  /** Allows pages of the listed origins; a page of another origin is refused even before its code is looked at (B7). */
  #preflight(request: IncomingMessage, response: ServerResponse): boolean {
    const { origin, host } = request.headers
    if (origin !== undefined) {
      if (!this.init.allowedOrigins.includes(origin) && !isOwnPage(origin, host))
        throw new PekkaError('ORIGIN_REFUSED', { origin: origin.slice(0, 200) })
      response.setHeader('access-control-allow-origin', origin)
      response.setHeader('access-control-allow-headers', 'content-type, x-xsrftoken')
      response.setHeader('vary', 'origin')
    }
    if (request.method !== 'OPTIONS') return false
    response.statusCode = 204
    response.end()
    return true
  }
}

/**
 * A page of the very host it asks, under a name of this machine: through JupyterLab's proxy (which passes Host on) on whatever
 * port the user has forwarded. A name that merely resolves to this machine is none of ours (B12).
 */
function isOwnPage(origin: string, host: string | undefined): boolean {
  if (host === undefined || !/^(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?$/i.test(host)) return false
  const page = origin.toLowerCase()
  return page === `http://${host.toLowerCase()}` || page === `https://${host.toLowerCase()}`
}

const accountSchema = z.strictObject({ account: bytes32 })
const networkSchema = z.strictObject({ network: bytes32 })
const keySchema = z.strictObject({ key: bytes32 })
const delegateRequestSchema = z.strictObject({ key: bytes32, perTask: credits.optional() })
const challengeSchema = z.strictObject({ challenge: bytes32 })
const amountSchema = z.strictObject({ amount: credits })

function parse<T>(schema: z.ZodType<T>, body: unknown): T {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new PekkaError('SCHEMA_MISMATCH', { issue: parsed.error.issues[0]?.message ?? '' })
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    size += chunk.length
    if (size > MAX_BODY) throw new PekkaError('INPUT_TOO_LARGE', { size, max: MAX_BODY })
    chunks.push(chunk)
  }
  return new Uint8Array(Buffer.concat(chunks))
}

const listen = (server: Server, where: { path: string } | { host: string; port: number }): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.off('error', reject)
      resolve()
    })
  })
