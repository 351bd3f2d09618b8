import { z } from 'zod'
import {
  accountViewSchema,
  asksSchema,
  challengeRequestSchema,
  challengeSchema,
  healthSchema,
  imagesSchema,
  inviteSchema,
  ledgerTimeSchema,
  networkSchema,
  outcomeSchema,
  tokenRequestSchema,
  tokenSchema,
  transactionViewSchema,
  bytesUpTo,
  MAX_TRANSACTION_BYTES,
  PekkaError,
  openSigned,
  toHex,
  type AskView,
  type Clock,
  type LedgerAccess,
  type NetworkInfo,
  type Verifier
} from '@pekka/node/protocol'
import type { LedgerMirror } from '../ledger/index.js'
import type { Invites } from '../links/index.js'
import { TRANSACTION_BODY } from './constants.js'
import { accountFor } from './items.js'
import { route, type Route } from './route.js'
import type { Tokens } from './tokens.js'

export interface NetworkRoutesComponents {
  ledger: LedgerAccess
  mirror: LedgerMirror
  tokens: Tokens
  invites: Invites
  verifier: Verifier
  clock: Clock
  /** Facts that don't change, and addresses and counts of now. */
  network: () => NetworkInfo
  queueConnected: () => boolean
  providers: () => number
  version: string
  startedAt: number
}

const imageQuery = z.strictObject({ image: z.string().max(128).optional() })
const transactionRequestSchema = z.strictObject({ transaction: bytesUpTo(MAX_TRANSACTION_BYTES) })

/** Routes about the network, signing in, accounts and transactions. */
export function networkRoutes(components: NetworkRoutesComponents): Route[] {
  const { ledger, mirror, tokens, invites, verifier, clock } = components
  return [
    route({
      method: 'get',
      path: '/v1/health',
      summary: 'Whether the bridge and what it needs are there',
      auth: 'none',
      answer: healthSchema,
      handle: () => ({
        ok: mirror.connected && components.queueConnected(),
        version: components.version,
        queue: components.queueConnected(),
        ledger: mirror.connected,
        providers: components.providers(),
        uptime: clock.now() - components.startedAt
      })
    }),
    route({
      method: 'get',
      path: '/v1/network',
      summary: 'Which network this is, and who the bridge is',
      auth: 'none',
      answer: networkSchema,
      handle: () => components.network()
    }),
    route({
      method: 'post',
      path: '/v1/challenges',
      summary: 'Something to sign for a token',
      auth: 'none',
      login: true,
      body: challengeRequestSchema,
      answer: challengeSchema,
      handle: ({ body }) => tokens.challenge(body.account, body.key)
    }),
    route({
      method: 'post',
      path: '/v1/tokens',
      summary: 'A token for a signed challenge',
      auth: 'none',
      login: true,
      body: tokenRequestSchema,
      answer: tokenSchema,
      handle: ({ body }) => tokens.issue(body)
    }),
    route({
      method: 'get',
      path: '/v1/images',
      summary: 'Environments that are offered now',
      auth: 'none',
      answer: imagesSchema,
      handle: async () => ({ images: imagesOf(await mirror.asks(null)) })
    }),
    route({
      method: 'get',
      path: '/v1/asks',
      summary: 'Published prices, with the signed transactions that published them',
      auth: 'none',
      query: imageQuery,
      answer: asksSchema,
      handle: async ({ query }) => ({ asks: await mirror.asks(query.image ?? null) })
    }),
    route({
      method: 'get',
      path: '/v1/ledger/time',
      summary: 'Time of the ledger, and vertices a new transaction may name',
      auth: 'none',
      answer: ledgerTimeSchema,
      handle: () => ledger.time()
    }),
    route({
      method: 'post',
      path: '/v1/transactions',
      summary: 'Hands any signed transaction to the ledger; answered when it is final or refused',
      auth: 'none',
      body: transactionRequestSchema,
      bodyLimit: TRANSACTION_BODY,
      answer: outcomeSchema,
      handle: async ({ body }) => {
        // Looked at here, so that nonsense costs the witness nothing.
        await openSigned(body.transaction, verifier)
        return ledger.submit(body.transaction)
      }
    }),
    route({
      method: 'get',
      path: '/v1/transactions/:cid',
      summary: 'A final transaction and what became of it',
      auth: 'none',
      answer: transactionViewSchema,
      handle: async ({ path }) => {
        const found = await ledger.transaction(path.cid)
        if (found === null) throw new PekkaError('BLOB_UNKNOWN')
        return found
      }
    }),
    route({
      method: 'get',
      path: '/v1/accounts/:account',
      summary: 'Balance, delegates and lane heads of the own account',
      auth: 'token',
      answer: accountViewSchema,
      handle: async ({ path, grant }) => {
        const view = await ledger.account(path.account)
        if (view === null) throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(path.account) })
        return accountFor(view, grant.lane)
      }
    }),
    route({
      method: 'post',
      path: '/v1/invites',
      summary: 'A code with which one provider may join',
      auth: 'owner',
      answer: inviteSchema,
      handle: () => ({ ...invites.create(), addresses: components.network().addresses })
    })
  ]
}

/** Offers by image: how many machines, and the range of their prices. */
function imagesOf(asks: AskView[]) {
  const images = new Map<
    string,
    { name: string; digest: Uint8Array; machines: Set<string>; least: bigint; most: bigint }
  >()
  for (const { ask, provider } of asks) {
    const key = `${ask.image.name}/${toHex(ask.image.digest)}`
    const known = images.get(key)
    const price = ask.pricePerSecond
    if (known === undefined) {
      const machines = new Set([toHex(provider.provider)])
      images.set(key, { ...ask.image, machines, least: price, most: price })
      continue
    }
    known.machines.add(toHex(provider.provider))
    if (price < known.least) known.least = price
    if (price > known.most) known.most = price
  }
  return [...images.values()].map(image => ({ ...image, machines: image.machines.size }))
}
