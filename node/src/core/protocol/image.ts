import { z } from 'zod'
import { bytes32, slug, whole } from './schema.js'

/** A sandbox image as it is named on the ledger: digest of (definition, Python lock, Debian versions), DESIGN §7. */
export const imageRefSchema = z.strictObject({ name: slug, digest: bytes32 })
export type ImageRef = z.infer<typeof imageRefSchema>

/** What a task may use. CPUs in thousandths. `gpu` waits for a later part. */
export const resourcesSchema = z.strictObject({
  milliCpus: whole.min(100).max(256_000),
  memoryBytes: whole.min(1 << 26),
  diskBytes: whole,
  gpu: z.null()
})
export type Resources = z.infer<typeof resourcesSchema>

export const limitsSchema = z.strictObject({ wallMs: whole.min(1000), cpuMs: whole.min(1000), outputBytes: whole })
export type Limits = z.infer<typeof limitsSchema>
