import { z } from 'zod'
import { u32, u64, utf8 } from '../encoding/bytes.js'
import { encodeCanonical } from '../encoding/encoding.js'
import { OUTCOMES, usageSchema, type EventOf, type TaskEvent } from './events.js'
import { createHasher, deriveKey, keyInfo, taggedHash, type Hasher } from '../encoding/hash.js'
import { NUMERIC_PATHS } from './numeric.js'
import { bytes32, whole } from '../encoding/schema.js'

/**
 * manifest = {result, run} (R15). `result` holds only what honest runs share and is what audits compare; `run` holds
 * what belongs to this run. The ledger sees a salted commitment of both, never the manifest.
 */
export const resultSchema = z.strictObject({
  v: z.literal(1),
  /** How cells are digested: 2 = canonical form (core/verification), what manifests carry; 1 = exact bytes. */
  scheme: z.literal([1, 2]),
  outcome: z.enum(OUTCOMES),
  exitCode: z.number().int().nullable(),
  cells: z.array(
    z.strictObject({ cell: z.string(), status: z.enum(['ok', 'error', 'skipped', 'not-run']), digest: bytes32 })
  ),
  /** Typed values that came back, by {@link nameDigest}: a receipt is shown to others, and names tell. */
  values: z.array(z.strictObject({ name: bytes32, codec: z.string(), size: whole, digest: bytes32 })),
  /** Files that came back, by {@link nameDigest} of their path; the digest is the SHA-256 of the content. */
  files: z.array(z.strictObject({ name: bytes32, size: whole, digest: bytes32 }))
})
export type Result = z.infer<typeof resultSchema>

/** What stands for a file's path or a value's name in a result. */
export const nameDigest = (name: string): Uint8Array => taggedHash('pekka/result-name/v1', utf8(name))

export const runFactsSchema = z.strictObject({
  v: z.literal(1),
  usage: usageSchema,
  image: bytes32,
  contentDigest: bytes32,
  runtime: z.string().max(64),
  isolation: whole,
  /** The ask's; results are compared within one. */
  cpuClass: z.string().max(64),
  /** Probe fingerprint of the CPU path; null where it isn't known, or the task asked for another path than the pinned one. */
  fingerprint: bytes32.nullable(),
  /** What the numeric libraries said of themselves inside: `blas=Haswell×1 simd=X86_V2 libm=plain`. Empty where unknown. */
  cpuPath: z.string().max(256),
  /** Which numeric path the task asked for. */
  numeric: z.enum(NUMERIC_PATHS),
  /** Seed of unseeded randomness; null: real entropy. */
  seed: whole.max(0xffffffff).nullable(),
  /** What of the machine's identity the program read (R21): `cpu`, `memory`, `kernel` … Sorted. */
  envRead: z.array(z.string().max(32)).max(32),
  /** Exact digests per cell (scheme 1), salted with the task key: equal where two runs of a task wrote the same bytes. */
  raw: z.array(z.strictObject({ cell: z.string(), digest: bytes32 })).max(10_001),
  /** Chain before the frames that carry this manifest. */
  count: whole,
  head: bytes32
})
export type RunFacts = z.infer<typeof runFactsSchema>

/** What the last frame carries: the manifest and the commitment's blind (R7). */
export const manifestEnvelopeSchema = z.strictObject({ result: resultSchema, run: runFactsSchema, blind: bytes32 })
export type ManifestEnvelope = z.infer<typeof manifestEnvelopeSchema>

/** root(result) */
export const resultRoot = (result: Result): Uint8Array => taggedHash('pekka/result/v1', encodeCanonical(result))
/** H(run) */
export const runHash = (run: RunFacts): Uint8Array => taggedHash('pekka/run-facts/v1', encodeCanonical(run))

/** D = H(HKDF(task key, 'digest') ‖ root(result)): salted, so that short outputs cannot be guessed from it. */
export const resultDigest = (taskKey: Uint8Array, result: Result): Uint8Array =>
  taggedHash('pekka/digest/v1', deriveKey(taskKey, keyInfo('pekka/digest/v1')), resultRoot(result))

export interface CommitmentInput {
  network: Uint8Array
  task: Uint8Array
  attempt: number
  provider: Uint8Array
  /** D */
  digest: Uint8Array
  /** H(run) */
  runHash: Uint8Array
  /** 32 random bytes */
  blind: Uint8Array
}

/** c = H(network ‖ task ‖ attempt ‖ provider ‖ D ‖ H(run) ‖ blind), what `commit` carries. */
export const commitment = (i: CommitmentInput): Uint8Array =>
  taggedHash('pekka/commitment/v1', i.network, i.task, u32(i.attempt), i.provider, i.digest, i.runHash, i.blind)

/**
 * Digest scheme 1: per cell the exact bytes of its outputs in order, streams of one name joined however they were cut.
 * A script is one cell named `script`. Provider and client feed the same events (blobs resolved) and get the same
 * digests.
 */
export class ResultDigester {
  readonly #cells = new Map<
    string,
    { hasher: Hasher; stream: { name: string; size: number } | null; status: Result['cells'][number]['status'] }
  >()

  readonly #files: Result['files'] = []
  readonly #values: Result['values'] = []

  add(event: TaskEvent): void {
    switch (event.type) {
      case 'stream':
        return this.#stream(event)
      case 'cell-start':
        this.#cell(event.cell)
        return
      case 'cell-end':
        this.#cell(event.cell).status = event.status
        return
      case 'display_data':
      case 'update_display_data':
        return this.#record(event.cell, event.type, {
          data: event.data,
          metadata: event.metadata,
          display: displayId(event)
        })
      case 'execute_result':
        return this.#record(event.cell, event.type, { data: event.data, metadata: event.metadata })
      case 'clear_output':
        return this.#record(event.cell, event.type, { wait: event.wait })
      case 'error':
        return this.#record(event.cell, event.type, {
          ename: event.ename,
          evalue: event.evalue,
          traceback: event.traceback
        })
      case 'truncated':
        return this.#record(event.cell ?? SCRIPT_CELL, event.type, {
          what: event.what,
          kept: event.keptBytes,
          cut: event.cutBytes
        })
      case 'done':
        if (this.#cells.has(SCRIPT_CELL)) this.#cell(SCRIPT_CELL).status = event.outcome === 'ok' ? 'ok' : 'error'
        return
      case 'files':
        for (const { name, size, hash } of event.files)
          if (hash !== undefined) this.#files.push({ name: nameDigest(name), size, digest: hash })
        return
      case 'values':
        for (const { name, codec, size, hash } of event.values)
          if (hash !== undefined && codec !== null)
            this.#values.push({ name: nameDigest(name), codec, size, digest: hash })
        return
      default:
      // status and progress are not part of the result.
    }
  }

  /** The result so far, with the outcome that `done` named. */
  result(done: EventOf<'done'>): Result {
    const cells = [...this.#cells].map(([cell, state]) => {
      this.#close(state)
      return { cell, status: state.status, digest: state.hasher.digest() }
    })
    return {
      v: 1,
      scheme: 1,
      outcome: done.outcome,
      exitCode: done.exitCode,
      cells,
      values: this.#values,
      files: this.#files
    }
  }

  #cell(id: string) {
    const known = this.#cells.get(id)
    if (known) return known
    const created = { hasher: createHasher().update(utf8('pekka/cell/v1')), stream: null, status: 'not-run' as const }
    this.#cells.set(id, created)
    return created as NonNullable<typeof known>
  }

  #stream(event: EventOf<'stream'>): void {
    const state = this.#cell(event.cell ?? SCRIPT_CELL)
    if (typeof event.text === 'object' && 'blob' in event.text)
      throw new TypeError('a blob must be resolved before it is digested')
    const bytes = typeof event.text === 'string' ? utf8(event.text) : event.text
    if (state.stream?.name !== event.name) {
      this.#close(state)
      state.hasher.update(utf8(`stream:${event.name}:`))
      state.stream = { name: event.name, size: 0 }
    }
    state.hasher.update(bytes)
    state.stream.size += bytes.length
  }

  #record(cell: string, type: string, content: object): void {
    const state = this.#cell(cell)
    this.#close(state)
    const bytes = utf8(`${type}:${sortedJson(content)}`)
    state.hasher.update(bytes).update(u64(bytes.length))
  }

  /** Ends a run of stream text with its length, so that text cannot imitate a record. */
  #close(state: { hasher: Hasher; stream: { name: string; size: number } | null }): void {
    if (state.stream) state.hasher.update(u64(state.stream.size))
    state.stream = null
  }
}

/** Cell id that stands for a script's output in a result. */
export const SCRIPT_CELL = 'script'

const displayId = (event: EventOf<'display_data' | 'update_display_data'>): unknown =>
  event.transient?.['display_id'] ?? null

/** JSON with sorted keys: the same value has the same text on every machine. */
export function sortedJson(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null'
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`
  // A key `__proto__` is lost where bytes become objects, so it must not count on the side that still has it.
  const entries = Object.entries(value).filter(([key, item]) => item !== undefined && key !== '__proto__')
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${sortedJson(item)}`).join(',')}}`
}
