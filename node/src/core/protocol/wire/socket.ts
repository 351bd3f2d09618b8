import { z } from 'zod'
import { taskItemSchema } from './http.js'
import { bytes32, whole } from '../encoding/schema.js'

/**
 * The live stream over socket.io. Every payload but a few numbers is CBOR in one binary attachment, so that both ends
 * check it with one schema. `auth: {token}` at connection; a token sees its lane (or, the owner's, its account) only.
 *
 * client → bridge
 * - `subscribe` (CBOR {task, after}) → ack: CBOR {item: TaskItem} or a problem. Entries after `after` (−1: all) follow
 *   as `entries`, then live ones. At most ACK_WINDOW_BYTES are unacknowledged; the bridge stops there, and stops
 *   acknowledging the provider when its own window fills, so a paused client is felt by the provider.
 * - `unsubscribe` (CBOR {task})
 * - `ack` (CBOR {task, n}): entries up to n are taken.
 * - `follow-ledger` (CBOR {after, account, task}) → ack: CBOR {after} or a problem. Final transactions of the commits after `after` (null: of
 *   those to come) follow as `ledger`; `account` and `task` leave others out. A later one takes its place. Whose they are doesn't matter.
 * - `unfollow-ledger`
 * - `query-ledger` (CBOR {path, query}) → ack: CBOR {answer} or a problem: the page of the ledger that `GET` of that path with that query
 *   answers over HTTP (`/v1/ledger/…`, explorer.ts), under the same limits. At most 16 at a time on a connection.
 *
 * bridge → client
 * - `entries` (CBOR {task, entries: LogEntry[]})
 * - `task` (CBOR TaskItem): a task of this lane changed (state, money), also ones not subscribed to.
 * - `account` (CBOR AccountView) after money or lanes changed.
 * - `ledger` (CBOR LedgerBatch), acknowledged by the client once it is taken; the next one comes then.
 */
export const SOCKET_PATH = '/v1/live'

export const subscribeSchema = z.strictObject({ task: bytes32, after: z.number().int().min(-1) })
export const unsubscribeSchema = z.strictObject({ task: bytes32 })
export const ackSchema = z.strictObject({ task: bytes32, n: whole })
export const subscribedSchema = z.union([
  z.object({ ok: z.literal(true), item: taskItemSchema }),
  z.object({ ok: z.literal(false), code: z.string(), data: z.record(z.string(), z.unknown()) })
])
export const followLedgerSchema = z.strictObject({
  after: z.number().int().min(-1).nullable(),
  account: bytes32.nullable(),
  task: bytes32.nullable()
})
export type FollowLedger = z.infer<typeof followLedgerSchema>
export const followingLedgerSchema = z.union([
  z.object({ ok: z.literal(true), after: z.number().int().min(-1) }),
  z.object({ ok: z.literal(false), code: z.string(), data: z.record(z.string(), z.unknown()) })
])

/** As in a `GET`: values of the query are text. */
export const ledgerQuerySchema = z.strictObject({
  path: z.string().max(256),
  query: z.record(z.string().max(32), z.string().max(256))
})
export type LedgerQuery = z.infer<typeof ledgerQuerySchema>
/** `answer`: as the route's own schema has it. */
export const ledgerQueryAnswerSchema = z.union([
  z.object({ ok: z.literal(true), answer: z.unknown() }),
  z.object({ ok: z.literal(false), code: z.string(), data: z.record(z.string(), z.unknown()) })
])

export type Packed = Uint8Array

export interface ClientToServerEvents {
  subscribe: (request: Packed, answer: (packed: Packed) => void) => void
  unsubscribe: (request: Packed) => void
  ack: (request: Packed) => void
  'follow-ledger': (request: Packed, answer: (packed: Packed) => void) => void
  'unfollow-ledger': () => void
  'query-ledger': (request: Packed, answer: (packed: Packed) => void) => void
}
export interface ServerToClientEvents {
  entries: (packed: Packed) => void
  task: (packed: Packed) => void
  account: (packed: Packed) => void
  ledger: (packed: Packed, taken: () => void) => void
}
