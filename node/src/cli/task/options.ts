import { parseCredits } from '../../core/client/index.js'
import { MEMORY_STEPS_BYTES, PekkaError, WALL_STEPS_MS, type Gpu } from '../../core/protocol/index.js'

/** Reads what people write behind the options of `pekka run`. */

const fail = (option: string, text: string, example: string): never => {
  throw new PekkaError('USAGE', {
    issue: `${option} ${text} is not understood; write for example ${option} ${example}.`
  })
}

/** Of an option that may be repeated. It has no first value: the help would show that as `(default: [])`. */
export const collect = (value: string, before: string[] = []): string[] => [...before, value]

/** `0.5` credits, as micro-credits. */
export const readCap = (text: string, option = '--cap'): bigint => {
  const amount = parseCredits(text)
  return amount === null || amount === 0n ? fail(option, text, '0.5') : amount
}

/** `8GB`, `512MB`, `4GiB`: rounded up to the steps that machines know (R37). */
export function readMemory(text: string, option = '--memory'): number {
  const match = /^(\d+(?:\.\d+)?)\s*([mg])i?b?$/i.exec(text.trim())
  const wanted = match
    ? Number(match[1]) * (match[2]?.toLowerCase() === 'g' ? 1 << 30 : 1 << 20)
    : fail(option, text, '8GB')
  const step = MEMORY_STEPS_BYTES.find(bytes => bytes >= wanted)
  return step ?? fail(option, text, '8GB')
}

/** `30min`, `90s`, `2h`: rounded up to the next step. */
export function readTime(text: string, option = '--time'): number {
  const match = /^(\d+(?:\.\d+)?)\s*(s|sec|m|min|h)?$/i.exec(text.trim())
  const unit = { s: 1000, sec: 1000, m: 60_000, min: 60_000, h: 3_600_000 }[match?.[2]?.toLowerCase() ?? 's'] ?? 1000
  const wanted = match ? Number(match[1]) * unit : fail(option, text, '30min')
  // Below the shortest step people mean what they say.
  if (wanted < (WALL_STEPS_MS[0] ?? 0)) return wanted >= 1000 ? Math.ceil(wanted) : fail(option, text, '30s')
  const step = WALL_STEPS_MS.find(ms => ms >= wanted)
  return step ?? fail(option, text, '24h')
}

/** `2`, `0.5`: CPUs, as thousandths. */
export function readCpus(text: string): number {
  const cpus = Number(text)
  return Number.isFinite(cpus) && cpus >= 0.1 && cpus <= 256 ? Math.round(cpus * 1000) : fail('--cpus', text, '2')
}

/** Images that have a variant for graphics processors. No lock of one is in this checkout yet (docs/images.md). */
const GPU_IMAGES: readonly string[] = ['machine-learning']
/** The least that is asked for of one, bytes. */
const SMALLEST_GPU = 1 << 30

/** `--gpu 16GB`: one graphics processor with at least that memory. */
export const readGpu = (text: string): Gpu => ({
  count: 1,
  memoryBytes: Math.max(SMALLEST_GPU, readMemory(text, '--gpu'))
})

/** The variant of an image that uses graphics processors. @throws PekkaError USAGE: it has none */
export function gpuImage(image: string): string {
  if (image.endsWith('-gpu')) return image
  if (!GPU_IMAGES.includes(image))
    throw new PekkaError('USAGE', {
      issue: `${image} has no variant for graphics processors; ${GPU_IMAGES.join(', ')} has: --image ${GPU_IMAGES[0] ?? ''}.`
    })
  return `${image}-gpu`
}
