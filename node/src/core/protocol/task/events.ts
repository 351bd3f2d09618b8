import { z } from 'zod'
import { bytes32, bytesUpTo, whole } from '../encoding/schema.js'
import { MAX_BLOB_BYTES } from '../limits.js'
import { MAX_FILES, MAX_RETURNS, MAX_RETURN_BYTES, PART_BYTES, SAFE_CODECS } from './values.js'

/**
 * What a task prints, shows and reports, as the runner inside the sandbox says it: the content of frames (DESIGN §6).
 * A value over 256 KiB is replaced by a {@link BlobRef} before sealing and put back before an event is used or
 * digested. Everything here comes from an untrusted machine: the schema bounds shape and size, cleaning for display is
 * the reader's duty.
 */

/** A sealed blob: the `blob`-th of its run, `hash` and `size` of the sealed bytes. */
export const blobRefSchema = z.strictObject({ blob: whole, hash: bytes32, size: whole.max(MAX_BLOB_BYTES) })
export type BlobRef = z.infer<typeof blobRefSchema>

const cellId = z.string().min(1).max(128)
const text = z.string().max(64 << 20)
/** JSON as Jupyter has it; depth and size are bounded by the frame. */
const json = z.json()
const mimeData = z.record(z.string().max(256), z.union([blobRefSchema, json]))
const metadata = z.record(z.string().max(256), json)
const transient = z.record(z.string().max(256), json)
/** ms since the run began, by the runner's monotonic clock. */
const t = whole

const display = { cell: cellId, data: mimeData, metadata, t }

export const usageSchema = z.strictObject({
  /** From the first cell's start to `done`; what is paid. */
  wallMs: whole,
  /** CPU time of the whole process tree. */
  cpuMs: whole,
  /** Peak memory; 0 where the provider cannot measure it. */
  maxMemoryBytes: whole,
  /** Bytes of output before cutting. */
  outputBytes: whole
})
export type Usage = z.infer<typeof usageSchema>

/**
 * What comes back as bytes: sealed parts of {@link PART_BYTES}, the last one shorter, and the SHA-256 of the whole. Both are
 * absent where it stays there, because it is larger than what may come back. Small ones share a part: `at` says where in its one
 * part it begins, in bytes.
 */
const returned = {
  size: whole,
  hash: bytes32.optional(),
  parts: z
    .array(blobRefSchema)
    .max(MAX_RETURN_BYTES / PART_BYTES)
    .optional(),
  at: whole.max(PART_BYTES).optional()
}

/** How a run ended, as it stands on the ledger: the user's code was fine, failed, met a limit, or was stopped (R37). */
export const OUTCOMES = ['ok', 'user', 'limit', 'stopped'] as const
export type Outcome = (typeof OUTCOMES)[number]

/** Why, in detail; private, inside the frames. */
export const DONE_REASONS = [
  'completed',
  'exception',
  'exit-code',
  'kernel-died',
  'out-of-memory',
  'wall-limit',
  'cpu-limit',
  'output-limit',
  'disk-limit',
  'cancelled',
  /** The sandbox ended without a word (its runner was killed); the host has made this `done`. */
  'runner-lost'
] as const
export type DoneReason = (typeof DONE_REASONS)[number]

export const doneSchema = z.object({
  type: z.literal('done'),
  outcome: z.enum(OUTCOMES),
  reason: z.enum(DONE_REASONS),
  /** Numbers behind the reason: limits, signal, cell. */
  detail: z.record(z.string().max(64), z.union([z.string().max(4096), z.number(), z.boolean(), z.null()])),
  /** Of a script; a notebook has 0, or 1 where a cell raised. */
  exitCode: z.number().int().min(-255).max(255).nullable(),
  usage: usageSchema,
  /** What of the machine's identity the program read (R21). */
  envRead: z.array(z.string().max(32)).max(32).optional(),
  t
})
export type Done = z.infer<typeof doneSchema>

/** A cell of a session (R33) has run, with all that it had to say; `index` 0 is the bundle's program. `t` and usage are its own. */
export const sessionCellEndSchema = doneSchema.extend({ type: z.literal('session-cell-end'), index: whole })

export const taskEventSchema = z.discriminatedUnion('type', [
  z.object({ type: z.literal('cell-start'), cell: cellId, t }),
  z.object({
    type: z.literal('cell-end'),
    cell: cellId,
    status: z.enum(['ok', 'error', 'skipped', 'not-run']),
    executionCount: whole.nullable(),
    t
  }),
  /** Text of a cell (`cell` set, `text` a string) or raw bytes of a script (`cell` null, `text` bytes). */
  z.object({
    type: z.literal('stream'),
    cell: cellId.nullable(),
    name: z.enum(['stdout', 'stderr']),
    text: z.union([text, bytesUpTo(64 << 20), blobRefSchema]),
    t
  }),
  z.object({ type: z.literal('display_data'), ...display, transient: transient.optional() }),
  z.object({ type: z.literal('update_display_data'), ...display, transient: transient.optional() }),
  z.object({ type: z.literal('execute_result'), ...display, executionCount: whole.nullable() }),
  z.object({ type: z.literal('clear_output'), cell: cellId, wait: z.boolean(), t }),
  z.object({
    type: z.literal('error'),
    cell: cellId,
    ename: z.string().max(1024),
    evalue: z.string().max(1 << 20),
    traceback: z.array(z.string().max(1 << 20)).max(1000),
    t
  }),
  z.object({ type: z.literal('status'), state: z.string().max(64), t }),
  z.object({
    type: z.literal('progress'),
    fraction: z.number().min(0).max(1).nullable(),
    text: z.string().max(256),
    t
  }),
  z.object({
    type: z.literal('truncated'),
    cell: cellId.nullable(),
    what: z.enum(['text', 'output']),
    keptBytes: whole,
    cutBytes: whole,
    t
  }),
  /** Regular files that the program wrote or changed below its working directory. Names are as the machine says them. */
  z.object({
    type: z.literal('files'),
    files: z.array(z.object({ name: z.string().max(1024), ...returned })).max(MAX_FILES),
    /** How many there are besides those named. */
    more: whole.optional(),
    t
  }),
  /** Values of names that were to come back, as they were when the program had ended. */
  z.object({
    type: z.literal('values'),
    values: z
      .array(
        z.object({
          name: z.string().max(256),
          /** Its Python type, as the machine says. */
          type: z.string().max(256),
          /** The first characters of how it shows itself. */
          look: z.string().max(1024),
          /** Null where it can't come back: it is a handle. */
          codec: z.enum(SAFE_CODECS).nullable(),
          /** Why it can't, for people. */
          reason: z.string().max(256).nullable(),
          ...returned
        })
      )
      .max(MAX_RETURNS),
    t
  }),
  sessionCellEndSchema,
  doneSchema
])
export type TaskEvent = z.infer<typeof taskEventSchema>
export type EventOf<T extends TaskEvent['type']> = Extract<TaskEvent, { type: T }>
