import { z } from 'zod'
import {
  accountRowSchema,
  askRowSchema,
  auctionRowSchema,
  bytes32,
  credits,
  delegateSchema,
  imageRowSchema,
  encodeCanonical,
  millis,
  parametersSchema,
  registryRowSchema,
  slug,
  taskRowSchema,
  toHex,
  whole,
  witnessChainSchema
} from '../protocol/index.js'

/**
 * The rows of the state, by table. A row's stored form is its canonical dag-cbor; its key is text that sorts as said.
 * Accounts, asks and tasks, which clients read with proofs, stand in core/protocol/ledger/state.ts.
 */

/** Table `lane`, key = account id / key, or account id / `policy` for lane 0 (R27). */
export const laneRowSchema = z.strictObject({
  account: bytes32,
  key: bytes32.nullable(),
  sequence: whole,
  previous: bytes32.nullable(),
  /** null: lane 0, or revoked. */
  delegate: delegateSchema.nullable(),
  /** Of the delegate's cap: paid since it was granted, and in open escrows (R28). */
  spent: credits,
  locked: credits
})

/** Table `provider`, key = account id. */
export const providerRowSchema = z.strictObject({
  provider: bytes32,
  name: slug,
  operator: bytes32.nullable(),
  peerKey: bytes32,
  completed: whole,
  failed: whole,
  /** Published asks. */
  asks: whole
})

/** Table `witness`, key = block key: what vouches for it, and the ends of its hash chains by epoch (R26). */
export const witnessRowSchema = z.strictObject({
  account: bytes32,
  witness: bytes32,
  stake: credits,
  /** Ascending. */
  chains: z.array(witnessChainSchema)
})

/** Table `includer`, key = block key: bytes that its blocks may still bring in vain (R30). Absent: its whole quota. */
export const includerRowSchema = z.strictObject({ witness: bytes32, left: whole, at: millis })

/** Table `load`, key = ask id: attempts under way for it, also when the ask itself is gone. Absent: none. */
export const loadRowSchema = z.strictObject({ running: whole })

/** Table `timer`, key = contract time / kind / id: what happens by itself, in the order of T (R12). */
export const timerRowSchema = z.strictObject({ kind: z.enum(['task', 'unbond', 'auction', 'recovery']), id: bytes32 })

/** Table `expiry`, key = timestamp / kind / id: rows that are deleted once a commit's timestamp has passed it. */
export const expiryRowSchema = z.strictObject({ kind: z.enum(['ask', 'closed', 'auction']), id: bytes32 })

/** Table `closed`, key = task id: the id stays taken until offers signed before the close have died (R13). */
export const closedRowSchema = z.strictObject({ until: millis })

/** Table `system`, key = `system`. */
export const systemRowSchema = z.strictObject({
  network: bytes32,
  /** Index of the last commit, −1 before the first. */
  index: z.number().int().min(-1),
  timestamp: millis,
  contractTime: millis,
  /** Hash of the last commit's header; the network's id before the first. */
  head: bytes32,
  /** Final vertices that the next transactions may name as parents. */
  tips: z.array(bytes32).min(1).max(8),
  /** Key of the parameters now in force. */
  parameters: whole,
  /** All credits there are. It never changes. */
  supply: credits,
  /** What the devnet's faucet still holds. */
  faucet: credits,
  /** Levies collected for audits. */
  fund: credits
})

/** All tables with the schemas of their rows. */
export const TABLES = {
  account: accountRowSchema,
  lane: laneRowSchema,
  provider: providerRowSchema,
  witness: witnessRowSchema,
  includer: includerRowSchema,
  ask: askRowSchema,
  load: loadRowSchema,
  task: taskRowSchema,
  auction: auctionRowSchema,
  timer: timerRowSchema,
  expiry: expiryRowSchema,
  closed: closedRowSchema,
  registry: registryRowSchema,
  image: imageRowSchema,
  parameters: parametersSchema,
  system: systemRowSchema
} as const

export type Table = keyof typeof TABLES
type Rows = { [T in Table]: Readonly<z.output<(typeof TABLES)[T]>> }
/** A row as read. Rows are never changed in place: a changed copy is put. */
export type Row<T extends Table> = Rows[T]
export type AnyRow = Rows[Table]

export const TABLE_NAMES: readonly Table[] = [
  'account',
  'lane',
  'provider',
  'witness',
  'includer',
  'ask',
  'load',
  'task',
  'auction',
  'timer',
  'expiry',
  'closed',
  'registry',
  'image',
  'parameters',
  'system'
]

export const encodeRow = (row: AnyRow): Uint8Array => encodeCanonical(row)

/** @throws ZodError when the stored row has another shape: another version's state. */
export function decodeRow<T extends Table>(table: T, value: unknown): Row<T> {
  // The schema of `table` gives that table's row; the compiler can't follow an indexed union of schemas.
  return TABLES[table].parse(value) as unknown as Row<T>
}

// ---- keys

export const SYSTEM = 'system'
/** Key of the one row of `registry`. */
export const REGISTRY = 'registry'

export const laneKey = (account: Uint8Array, key: Uint8Array | null): string =>
  `${toHex(account)}/${key === null ? 'policy' : toHex(key)}`

/** Digits of a time in a key: enough for the largest safe integer, so that text order is time order. */
const TIME_DIGITS = 16

export const timeKey = (at: number): string => at.toString().padStart(TIME_DIGITS, '0')

export const queueKey = (at: number, kind: string, id: Uint8Array): string => `${timeKey(at)}/${kind}/${toHex(id)}`

/** The time in a key of `timer` or `expiry`. */
export const timeOfKey = (key: string): number => Number(key.slice(0, TIME_DIGITS))
