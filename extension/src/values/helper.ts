import { z } from 'zod'
import { CODECS, PekkaError } from '@pekka/node/protocol'
import type { TravelSource } from '@pekka/node/client'
import type { KernelDoor } from './kernel.js'

const rowSchema = z.object({
  name: z.string(),
  /** The name that needs it; null where the cells read it. */
  by: z.string().nullable(),
  needs: z.array(z.string()),
  /** Null where it can't travel. */
  codec: z.enum(CODECS).nullable(),
  size: z.number(),
  /** `DataFrame, 3 rows × 2 columns`. */
  kind: z.string(),
  type: z.string(),
  reason: z.string().nullable(),
  /** The Python that alone can read it; null where all can. */
  python: z.string().nullable(),
  secret: z.boolean()
})
/** A value of the user's kernel, as the helper describes it. */
export type SurveyRow = z.infer<typeof rowSchema>

const surveySchema = z.object({ values: z.array(rowSchema), python: z.string(), more: z.number() })
export type Survey = z.infer<typeof surveySchema>

const exportedSchema = z.object({
  /** Under which they are fetched. */
  token: z.string(),
  values: z.array(
    z.object({
      name: z.string(),
      codec: z.enum(CODECS).nullable(),
      python: z.string().nullable(),
      size: z.number(),
      reason: z.string().nullable()
    })
  )
})

/** Bytes of one answer of the kernel. Its websocket carries them as base64 in JSON; 4 MiB are 20 ms of a page's time. */
const ANSWER_BYTES = 4 << 20

/** Describes values, those that others need first: those of `names`, and those of `builtins` that the kernel has otherwise than Python. */
export async function survey(
  door: KernelDoor,
  names: readonly string[],
  builtins: readonly string[],
  signal?: AbortSignal
): Promise<Survey> {
  const answer = await door.call('survey', [names, builtins], signal)
  return surveySchema.parse('json' in answer ? answer.json : null)
}

export interface ExportedValue {
  name: string
  codec: SurveyRow['codec'] & string
  python: string | null
  type: string
  source: TravelSource
}

/** Values as they were when they were written, whatever cells and other runs do meanwhile. */
export interface Exported {
  values: ExportedValue[]
  /** Has the kernel let them go. Never throws: it does so by itself when nobody comes for some hours. */
  release(): Promise<void>
}

/**
 * Has values written and says where their bytes come from. Small ones are fetched together, large ones as they are sent.
 *
 * @throws PekkaError INPUT_FILE_UNREADABLE: a value that could travel when it was looked at can't any more
 */
export async function exportValues(
  door: KernelDoor,
  rows: readonly SurveyRow[],
  signal?: AbortSignal
): Promise<Exported> {
  if (rows.length === 0) return { values: [], release: async () => undefined }
  const answer = await door.call('export', [rows.map(({ name }) => name)], signal)
  const { token, values: written } = exportedSchema.parse('json' in answer ? answer.json : null)
  const release = async (): Promise<void> => void (await door.call('release', [token]).catch(() => undefined))
  try {
    return { values: await fetchable(door, token, written, rows, signal), release }
  } catch (error) {
    await release()
    throw error
  }
}

async function fetchable(
  door: KernelDoor,
  token: string,
  written: z.infer<typeof exportedSchema>['values'],
  rows: readonly SurveyRow[],
  signal: AbortSignal | undefined
): Promise<ExportedValue[]> {
  const values: ExportedValue[] = []
  let small: { name: string; size: number; keep: (bytes: Uint8Array) => void }[] = []
  let bytes = 0
  const flush = async (): Promise<void> => {
    if (small.length === 0) return
    const joined = await bytesOf(door, 'chunks', [token, small.map(({ name }) => name)], signal)
    const wanted = small.reduce((sum, { size }) => sum + size, 0)
    if (joined?.length !== wanted) throw lost(small[0]?.name ?? '')
    let at = 0
    for (const { size, keep } of small) keep(joined.subarray(at, (at += size)))
    small = []
    bytes = 0
  }
  for (const [index, { name, codec, python, size, reason }] of written.entries()) {
    const row = rows[index]
    if (row === undefined || codec === null || reason !== null)
      throw new PekkaError('INPUT_FILE_UNREADABLE', { path: name, issue: reason ?? 'it is gone.' })
    const described = { name, codec, python, type: row.kind.slice(0, 256) }
    if (size > ANSWER_BYTES / 4) {
      values.push({ ...described, source: new KernelSource(door, token, name, size, signal) })
      continue
    }
    if (bytes + size > ANSWER_BYTES) await flush()
    const held: { bytes: Uint8Array } = { bytes: new Uint8Array() }
    small.push({ name, size, keep: part => (held.bytes = part) })
    bytes += size
    values.push({
      ...described,
      source: { size, read: async (offset, length) => held.bytes.subarray(offset, offset + length) }
    })
  }
  await flush()
  return values
}

const lost = (path: string): PekkaError =>
  new PekkaError('INPUT_FILE_UNREADABLE', { path, issue: 'the kernel has let go of it. Run again.' })

/** Bytes that the kernel holds; null where it has let them go. */
async function bytesOf(
  door: KernelDoor,
  name: string,
  args: readonly unknown[],
  signal: AbortSignal | undefined
): Promise<Uint8Array | null> {
  const answer = await door.call(name, args, signal)
  return 'bytes' in answer ? answer.bytes : null
}

class KernelSource implements TravelSource {
  #ahead: { offset: number; length: number; part: Promise<Uint8Array | null> } | null = null

  constructor(
    private readonly door: KernelDoor,
    private readonly token: string,
    private readonly name: string,
    readonly size: number,
    private readonly signal: AbortSignal | undefined
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array> {
    const out = new Uint8Array(length)
    for (let at = 0; at < length;) {
      const wanted = Math.min(ANSWER_BYTES, length - at)
      const part = await this.#next(offset + at, wanted)
      if (part?.length !== wanted) throw lost(this.name)
      out.set(part, at)
      at += part.length
    }
    return out
  }

  /** An answer; the kernel is asked for the one behind it meanwhile, so that it writes while the page seals. */
  async #next(offset: number, length: number): Promise<Uint8Array | null> {
    const ahead = this.#ahead
    const part = await (ahead?.offset === offset && ahead.length === length ? ahead.part : this.#ask(offset, length))
    const behind = offset + length
    const next = Math.min(ANSWER_BYTES, this.size - behind)
    this.#ahead = next > 0 ? { offset: behind, length: next, part: this.#ask(behind, next) } : null
    // Where nobody comes for it, nobody minds.
    this.#ahead?.part.catch(() => undefined)
    return part
  }

  #ask(offset: number, length: number): Promise<Uint8Array | null> {
    return bytesOf(this.door, 'chunk', [this.token, this.name, offset, length], this.signal)
  }
}
