import { z } from 'zod'
import { bytes32, slug, whole } from '../encoding/schema.js'

/** A sandbox image as it is named on the ledger: digest of (definition, Python lock, Debian versions), DESIGN §7. */
export const imageRefSchema = z.strictObject({ name: slug, digest: bytes32 })
export type ImageRef = z.infer<typeof imageRefSchema>

/** Graphics processors: how many, and the memory of each. */
export const gpuSchema = z.strictObject({ count: whole.min(1).max(16), memoryBytes: whole.min(1 << 30) })
export type Gpu = z.infer<typeof gpuSchema>

/** Whether a machine's graphics processors are what a task needs; null: none. */
export const hasGpu = (needed: Gpu | null, offered: Gpu | null): boolean =>
  needed === null || (offered !== null && needed.count <= offered.count && needed.memoryBytes <= offered.memoryBytes)

/** What a task may use. CPUs in thousandths. */
export const resourcesSchema = z.strictObject({
  milliCpus: whole.min(100).max(256_000),
  memoryBytes: whole.min(1 << 26),
  diskBytes: whole,
  gpu: gpuSchema.nullable()
})
export type Resources = z.infer<typeof resourcesSchema>

export const limitsSchema = z.strictObject({ wallMs: whole.min(1000), cpuMs: whole.min(1000), outputBytes: whole })
export type Limits = z.infer<typeof limitsSchema>
