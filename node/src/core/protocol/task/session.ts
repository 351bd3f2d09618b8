import { z } from 'zod'
import { bytes32, credits, whole } from '../encoding/schema.js'

/**
 * Sessions (R33): a task whose machine is kept, so that later cells see what earlier ones made. Cell 0 is the bundle's program;
 * cells 1..k come as signed messages that form the *in* chain, frames form the *out* chain as for any task.
 */

/** A session that nobody uses may wait this long at most, and may live this long in all: the life of an ask's key (R3), ms. */
export const MAX_SESSION_MS = 86_400_000

/** What the client asks for: how long the machine waits between cells, and how long it is kept in all, ms of T. */
export const sessionTermsSchema = z
  .strictObject({ idleMs: whole.min(1000).max(MAX_SESSION_MS), lifeMs: whole.min(1000).max(MAX_SESSION_MS) })
  .refine(({ idleMs, lifeMs }) => idleMs <= lifeMs, 'a session can not wait longer than it lives')
export type SessionTerms = z.infer<typeof sessionTermsSchema>

/** How far the in chain goes: cells after cell 0 that the provider has, and the hash of the chain over them; null: none. */
export const inChainSchema = z
  .strictObject({ count: whole, head: bytes32.nullable() })
  .refine(({ count, head }) => (count === 0) === (head === null), 'a chain has a head as soon as it has a link')
export type InChain = z.infer<typeof inChainSchema>

/** What `alive` says of a session: its in chain, and how many cells (0 among them) have ended. */
export const sessionReportSchema = z
  .strictObject({ in: inChainSchema, cells: whole })
  .refine(({ in: chain, cells }) => cells <= chain.count + 1, 'more cells have ended than came')
export type SessionReport = z.infer<typeof sessionReportSchema>

/** What a tranche or a commit claims for a session beside the running time, cumulative: waiting time, and cells 0..cells − 1. */
export const sessionClaimSchema = z
  .strictObject({ heldMs: whole, in: inChainSchema, cells: whole })
  .refine(({ in: chain, cells }) => cells <= chain.count + 1, 'more cells have ended than came')
export type SessionClaim = z.infer<typeof sessionClaimSchema>

/** Price of a second between cells, never above that of a running one; null: no sessions. */
export const holdPrice = credits.nullable()

/** Whether the machine waits for a cell: all that came have ended. */
export const isIdle = ({ in: chain, cells }: SessionReport): boolean => cells === chain.count + 1
