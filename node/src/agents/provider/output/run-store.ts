import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Level } from 'level'
import { z } from 'zod'
import { bytes32, bytesUpTo, commitClaimSchema, decodeCbor, encodeCbor, toHex, whole } from '@pekka/node/protocol'

/** A digest of each output of a task, and the names of its files. */
const MAX_OPENING_BYTES = 64 << 20

/**
 * What a provider keeps of each run until the ledger has closed the task (R8): enough to send the output again, to commit it, and to
 * open it for whoever the ledger draws. Committed output that its bridge lacks by then stays longer, in bounds (Outputs.closed).
 */
const recordSchema = z.strictObject({
  v: z.literal(1),
  task: bytes32,
  attempt: whole,
  run: whole,
  /** Address of the bridge that the offer came from. */
  bridge: z.string(),
  /** The key that opens bundle and digest (R8, R17). */
  taskKey: bytes32,
  /** Sealed blobs of the output, each with the number of the first frame that may refer to it. */
  blobs: z.array(z.strictObject({ hash: bytes32, before: whole })),
  /** What is to be committed, and the sealed opening of the commitment (opening.ts); null while the run isn't complete. */
  finished: z
    .strictObject({ claim: commitClaimSchema, opening: bytesUpTo(MAX_OPENING_BYTES), digest: bytes32 })
    .nullable(),
  /** The bridge has all of it on its disk. */
  delivered: z.boolean(),
  /** How the ledger has taken it. */
  ledger: z.enum(['open', 'committed', 'lost']),
  startedAt: whole
})
export type RunRecord = z.infer<typeof recordSchema>

/** Runs on disk: an index in level, and a file of frames for each, with its blobs beside it. */
export class RunStore {
  readonly #db: Level<string, Uint8Array>
  readonly #files: string

  constructor(private readonly directory: string) {
    this.#db = new Level(join(directory, 'index'), { valueEncoding: 'view' })
    this.#files = join(directory, 'frames')
  }

  async open(): Promise<void> {
    await mkdir(this.#files, { recursive: true, mode: 0o700 })
    await mkdir(this.directory, { recursive: true, mode: 0o700 })
    await this.#db.open()
  }

  async close(): Promise<void> {
    await this.#db.close()
  }

  /** All runs. Records of an older form are dropped with their files. */
  async list(): Promise<RunRecord[]> {
    const records: RunRecord[] = []
    for await (const [key, value] of this.#db.iterator()) {
      const parsed = recordSchema.safeParse(decodeCbor(value))
      if (parsed.success) records.push(parsed.data)
      else await this.#db.del(key)
    }
    return records
  }

  /** The runs of one task. */
  async ofTask(task: Uint8Array): Promise<RunRecord[]> {
    const records: RunRecord[] = []
    const prefix = toHex(task)
    for await (const value of this.#db.values({ gte: `${prefix}-`, lt: `${prefix}.` })) {
      const parsed = recordSchema.safeParse(decodeCbor(value))
      if (parsed.success) records.push(parsed.data)
    }
    return records
  }

  async put(record: RunRecord): Promise<void> {
    await this.#db.put(keyOf(record), encodeCbor(record))
  }

  /** Forgets a run, with all its files. */
  async delete(record: RunRecord): Promise<void> {
    const key = keyOf(record)
    await this.#db.del(key)
    const blobs = record.blobs.map(({ hash }) => `${key}.${toHex(hash)}.blob`)
    await Promise.all([key, `${key}.bundle`, ...blobs].map(name => rm(join(this.#files, name), { force: true })))
  }

  /** The frames' file. */
  fileOf(record: Pick<RunRecord, 'task' | 'attempt' | 'run'>): string {
    return join(this.#files, keyOf(record))
  }

  /** The sealed bundle, kept for audits. */
  bundleOf(record: Pick<RunRecord, 'task' | 'attempt' | 'run'>): string {
    return `${this.fileOf(record)}.bundle`
  }

  /** Removes files that no record names: what a kill between two writes has left. */
  async sweep(records: readonly RunRecord[]): Promise<void> {
    const known = new Set(records.map(keyOf))
    for (const name of await readdir(this.#files)) {
      const [key = ''] = name.split('.')
      if (!known.has(key)) await rm(join(this.#files, name), { force: true })
    }
  }
}

export const keyOf = ({ task, attempt, run }: Pick<RunRecord, 'task' | 'attempt' | 'run'>): string =>
  `${toHex(task)}-${attempt}-${run}`
