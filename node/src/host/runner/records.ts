import { PekkaError, taskEventSchema, type Done, type NumericPath, type TaskEvent } from '@pekka/node/protocol'
import { z } from 'zod'
import { encodeRecord, type RawRecord } from './codec.js'
import { MAX_MIMES } from './constants.js'

/**
 * What the records of the wire protocol say, version 1 (sandbox-images/runner/README.md). A runner stands in the sandbox
 * with the user's code, so all it sends is checked like anything else from outside.
 */

const whole = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)

type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue }

// ---- host to runner

const limitsSchema = z.strictObject({
  wallMs: whole.min(1),
  cpuMs: whole.min(1),
  memoryBytes: whole.min(1),
  diskBytes: whole.min(1),
  /** All output of the task. */
  outputBytes: whole.min(1),
  /** Stream text of one cell. */
  cellTextBytes: whole.min(1)
})
export type RunLimits = z.infer<typeof limitsSchema>

export interface RunCell {
  id: string
  source: string
  /** `raises-exception` and `skip-execution` are honoured. */
  tags: string[]
}

/** `seed` is an unsigned 32-bit number, or null for real entropy. */
export type RunCommand = (
  | { kind: 'cells'; cells: RunCell[]; limits: RunLimits; seed: number | null; stopOnError: boolean }
  | { kind: 'script'; file: string; args: string[]; source: Uint8Array; limits: RunLimits; seed: number | null }
) & {
  returns?: RunReturns
  /** Which numeric path; another than the pinned one starts an interpreter of its own. */
  numeric?: NumericPath
  /** CPUs of the task, rounded up: what `os.cpu_count()` says. */
  cpus?: number
  /** Another run follows in the same kernel (R33); the runner says in `done` whether it is still there. Cells only. */
  keep?: boolean
}

/** What may come back besides output: values of `names`, each of `maxBytes`, and files, all of `totalBytes`. */
export interface RunReturns {
  names: readonly string[]
  maxBytes: number
  totalBytes: number
}

/** The record that starts a run. Sources travel as payload, because they may be large. */
export function encodeRun(command: RunCommand): Uint8Array {
  const limits = limitsSchema.parse(command.limits)
  const { kind, seed, returns = null, numeric = 'pinned', cpus = 1, keep = false } = command
  const common = { op: 'run', v: 1, kind, limits, seed, numeric, cpus, returns, ...(keep ? { keep } : {}) }
  if (command.kind === 'script') {
    return encodeRecord({ ...common, file: command.file, args: command.args }, command.source)
  }
  const cells = command.cells.map(({ id, source, tags }) => ({ id, source, tags }))
  return encodeRecord({ ...common, stopOnError: command.stopOnError }, Buffer.from(JSON.stringify(cells)))
}

// ---- runner to host

const readySchema = z.strictObject({
  type: z.literal('ready'),
  v: z.literal(1),
  /** Version of the runner in the image. */
  runner: z.string().max(64),
  python: z.string().max(64),
  /** Modules that the kernel has imported. */
  preloaded: z.array(z.string().max(128)).max(256),
  bootMs: whole,
  t: whole
})
export type RunnerReady = z.infer<typeof readySchema>

/** The runner (not the task) met a fault of its own, or did not understand its host. */
const faultSchema = z.object({
  type: z.literal('done'),
  reason: z.literal('runner-error'),
  detail: z.object({ message: z.string().max(4096) })
})

/** Large values of a display, one after the other in the payload. */
const partsSchema = z
  .array(z.strictObject({ mime: z.string().max(256), bytes: whole, json: z.boolean() }))
  .max(MAX_MIMES)
type Parts = z.infer<typeof partsSchema>

const protocolError = (issue: string) => new PekkaError('RUNNER_PROTOCOL', { issue })
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** @throws PekkaError RUNNER_PROTOCOL: not a `ready` of this version; RUNNER_LOST: the runner reports a fault of its own */
export function parseReady(raw: RawRecord): RunnerReady {
  throwFault(raw)
  return checked(readySchema, raw.header)
}

/**
 * The event that a record says.
 *
 * @throws PekkaError RUNNER_PROTOCOL: unknown type, wrong shape, or a payload that doesn't fit the header; RUNNER_LOST: the
 *   runner reports a fault of its own
 */
export function parseEvent({ header, payload }: RawRecord): TaskEvent {
  throwFault({ header, payload })
  const { parts, data, ...rest } = header
  if (rest['type'] === 'stream' && rest['cell'] === null) {
    if ('text' in rest) throw protocolError('text of a script outside the payload')
    return checked(taskEventSchema, { ...rest, text: payload })
  }
  if (data === undefined) {
    if (payload.length > 0 || parts !== undefined)
      throw protocolError(`a payload with ${String(rest['type']).slice(0, 32)}`)
    return checked(taskEventSchema, rest)
  }
  // The values are JSON because JSON.parse made them; a schema that walks through a large table would only cost time.
  const event = checked(taskEventSchema, { ...rest, data: {} })
  if (!('data' in event)) throw protocolError(`data with ${event.type}`)
  const values = [...readInline(data), ...readParts(checked(partsSchema, parts ?? []), payload)]
  return { ...event, data: Object.fromEntries(values) }
}

function throwFault({ header }: RawRecord): void {
  if (header['type'] !== 'done' || header['reason'] !== 'runner-error') return
  throw new PekkaError('RUNNER_LOST', { message: checked(faultSchema, header).detail.message })
}

function checked<T>(schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw protocolError(`${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim())
}

function readInline(data: unknown): [string, JsonValue][] {
  if (typeof data !== 'object' || data === null || Array.isArray(data)) throw protocolError('data that is no object')
  // What JSON.parse returns is JSON.
  const entries = Object.entries(data as Record<string, JsonValue>)
  if (entries.length > MAX_MIMES || entries.some(([mime]) => mime.length > 256))
    throw protocolError('data that is no mime bundle')
  return entries
}

function readParts(parts: Parts, payload: Uint8Array): [string, JsonValue][] {
  const entries: [string, JsonValue][] = []
  let at = 0
  for (const part of parts) {
    const bytes = payload.subarray(at, at + part.bytes)
    at += part.bytes
    try {
      const text = utf8.decode(bytes)
      // What JSON.parse returns is JSON.
      entries.push([part.mime, part.json ? (JSON.parse(text) as JsonValue) : text])
    } catch {
      throw protocolError('a part that is not what it says')
    }
  }
  if (at !== payload.length) throw protocolError('parts that do not fill the payload')
  return entries
}

/** The end of a run whose runner has vanished, from what was seen of it. */
export function lostDone(seen: { t: number; outputBytes: number; cell: string | null }): Done {
  return {
    type: 'done',
    // Nothing but the task is in the sandbox, so it is the task that ended it. A host that knows better says so.
    outcome: 'user',
    reason: 'runner-lost',
    detail: { cell: seen.cell },
    exitCode: null,
    usage: { wallMs: seen.t, cpuMs: 0, maxMemoryBytes: 0, outputBytes: seen.outputBytes },
    t: seen.t
  }
}
