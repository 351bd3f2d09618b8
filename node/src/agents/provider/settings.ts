import { readFile } from 'node:fs/promises'
import { availableParallelism, totalmem } from 'node:os'
import { z } from 'zod'
import {
  DEFAULT_DISK_BYTES,
  DEFAULT_MEMORY_BYTES,
  DEFAULT_MILLI_CPUS,
  PekkaError,
  decimalCredits,
  hex32,
  slug
} from '@pekka/node/protocol'
import { metricsSettings } from '@pekka/node/host/metrics'

/** A provider's settings file. Amounts are micro-credits as decimal text. */
export const settingsSchema = z.strictObject({
  /** PEKKA_HOME. What this provider keeps stands beside its settings file. */
  home: z.string().min(1),
  /** Id of the network, hex. */
  network: hex32,
  logLevel: z.string().default('info'),
  /** Written with `{ pid, … }` once the provider serves, removed when it has stopped. */
  readyFile: z.string().optional(),
  /** Serves `GET /metrics` there (docs/metrics.md); null: nowhere. */
  metrics: metricsSettings.nullable().default(null),
  /** Key file of the provider's account; made where it is missing. */
  account: z.string().min(1),
  /** Multiaddresses with peer ids. The provider keeps a link to each bridge. */
  bridges: z.array(z.string()).min(1),
  /** Witnesses to ask directly; bridges relay where there are none or they can't be reached. */
  witnesses: z.array(z.string()).default([]),
  /** Where images are, and which are offered: those named, or all that are built there. */
  images: z.strictObject({ home: z.string(), names: z.union([z.literal('built'), z.array(slug).min(1)]) }),
  /** How many sandboxes always wait, by image name; of any other image one does after its first task. */
  pool: z.record(z.string(), z.number().int().min(0).max(64)).default({}),
  /** Memory for sandboxes that wait, bytes; by default a quarter of the machine's. */
  poolMemoryBytes: z
    .number()
    .int()
    .min(0)
    .default(() => Math.floor(totalmem() / 4)),
  name: slug,
  /** Tasks at a time. */
  concurrency: z
    .number()
    .int()
    .min(1)
    .max(1024)
    .default(() => Math.max(1, availableParallelism())),
  pricePerSecond: decimalCredits.default(1000n),
  pricePerGiB: decimalCredits.default(0n),
  /** Price of a second in which a kept machine waits for a session's next cell (docs/sessions.md); null: no sessions. */
  holdPricePerSecond: decimalCredits.nullable().default(null),
  /** How often the time of a session is claimed, ms. */
  trancheEveryMs: z.number().int().min(100).max(600_000).optional(),
  /** Prices of single images, by name; `pricePerSecond` and `pricePerGiB` hold for the others. */
  prices: z
    .record(slug, z.strictObject({ pricePerSecond: decimalCredits, pricePerGiB: decimalCredits.default(0n) }))
    .default({}),
  /** Whether it bids for auctioned tasks (R31), and the lowest price per second that it works for then; null: the published one. */
  auctions: z
    .strictObject({ bid: z.boolean().default(true), pricePerSecond: decimalCredits.nullable().default(null) })
    .prefault({}),
  /** What is bonded at least. */
  bond: decimalCredits.default(0n),
  runtime: z.enum(['auto', 'docker', 'bubblewrap']).default('auto'),
  /** What one task may use. */
  resources: z
    .strictObject({
      milliCpus: z.number().int().min(100).default(DEFAULT_MILLI_CPUS),
      memoryBytes: z
        .number()
        .int()
        .min(1 << 26)
        .default(DEFAULT_MEMORY_BYTES),
      diskBytes: z
        .number()
        .int()
        .min(1 << 20)
        .default(DEFAULT_DISK_BYTES)
    })
    .prefault({})
})
export type ProviderSettings = z.infer<typeof settingsSchema>

/** @throws PekkaError USAGE with what is wrong in the file */
export async function readSettings(file: string): Promise<ProviderSettings> {
  let content: unknown
  try {
    content = JSON.parse(await readFile(file, 'utf8'))
  } catch (cause) {
    throw new PekkaError('USAGE', { issue: `The settings ${file} can't be read.` }, { cause })
  }
  const parsed = settingsSchema.safeParse(content)
  if (parsed.success) return parsed.data
  const issue = parsed.error.issues[0]
  throw new PekkaError('USAGE', {
    issue: `${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'wrong shape'}`
  })
}
