import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { replaceFile } from '../../../host/files/index.js'
import { z } from 'zod'
import { IMAGE_PYTHON, type PoolLog, type SandboxImage, type SandboxRuntime } from '@pekka/node/host/sandbox'
import { fromHex } from '@pekka/node/protocol'

/**
 * How this machine computes in one image, measured in a sandbox of it by a few dozen short calculations whose last digits depend on the
 * processor (sandbox-images/runner/fingerprint.py). Measured once per machine, image and runtime, never on a task's way.
 */
export interface CpuPath {
  /** Digest of all results: equal where two machines compute alike, whatever processor they have. 32 bytes. */
  fingerprint: Uint8Array
  /** What the libraries said of themselves: `blas=Haswell×1 simd=… libm=…`. */
  description: string
}

const FINGERPRINT_ARGV: readonly [string, ...string[]] = [IMAGE_PYTHON, '-I', '/opt/pekka/runner/fingerprint.py']

/** Measuring takes two seconds; a cold disk and a busy machine ten times as long. */
const MEASURE_MS = 120_000

const outputSchema = z.object({
  v: z.literal(1),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  path: z.string().max(256),
  /** Pins of the image that are not in force, in words. */
  amiss: z.array(z.string().max(256)).max(32)
})
const cacheSchema = z.record(z.string(), outputSchema)

export interface MeasureComponents {
  runtime: SandboxRuntime
  log: PoolLog
}

export interface MeasureInit {
  /** Where results are kept: the provider's own folder. */
  folder: string
  images: readonly SandboxImage[]
  signal: AbortSignal
}

/** The images' paths, null where one can't be measured (an image without numpy, a processor that lacks what is pinned). */
export async function measureCpuPaths(
  { runtime, log }: MeasureComponents,
  { folder, images, signal }: MeasureInit
): Promise<(CpuPath | null)[]> {
  const file = join(folder, 'cpu-paths.json')
  const machine = await machineIdentity()
  const known = await readCache(file)
  const fresh: z.infer<typeof cacheSchema> = {}
  const paths: (CpuPath | null)[] = []
  for (const image of images) {
    const key = createHash('sha256')
      .update(JSON.stringify([machine, runtime.name, image]))
      .digest('hex')
    try {
      const output = known[key] ?? (await measure(runtime, image, signal))
      fresh[key] = output
      for (const issue of output.amiss) log.warn({ image: image.digest, issue }, 'a numeric pin is not in force')
      paths.push({ fingerprint: fromHex(output.digest), description: output.path })
    } catch (error) {
      signal.throwIfAborted()
      log.warn({ err: error, image: image.digest }, 'how this machine computes could not be measured')
      paths.push(null)
    }
  }
  if (JSON.stringify(fresh) !== JSON.stringify(known)) {
    await replaceFile(file, JSON.stringify(fresh))
  }
  return paths
}

/** The processor: on another one it is measured again. */
async function machineIdentity(file = '/proc/cpuinfo'): Promise<string> {
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n\n')[0]?.split('\n') ?? []
  const kept = /^(vendor_id|cpu family|model|model name|stepping|microcode|flags|CPU \w+|Features)\s*:/
  return lines.filter(line => kept.test(line)).join('\n')
}

async function readCache(file: string): Promise<z.infer<typeof cacheSchema>> {
  try {
    return cacheSchema.parse(JSON.parse(await readFile(file, 'utf8')))
  } catch {
    // none yet, or of another version
    return {}
  }
}

const LIMITS = {
  memoryBytes: 2 * 2 ** 30,
  cpus: 1,
  pids: 64,
  diskBytes: 64 << 20,
  files: 1024,
  fileBytes: 16 << 20
}

async function measure(runtime: SandboxRuntime, image: SandboxImage, signal: AbortSignal) {
  const until = AbortSignal.any([signal, AbortSignal.timeout(MEASURE_MS)])
  const sandbox = await runtime.create({ image, argv: FINGERPRINT_ARGV, limits: LIMITS }, until)
  const kill = () => void sandbox.kill()
  until.addEventListener('abort', kill, { once: true })
  try {
    const [output, words, exit] = await Promise.all([text(sandbox.stdout), text(sandbox.stderr), sandbox.exited])
    until.throwIfAborted()
    if (exit.code !== 0) throw new Error(`it ended with ${exit.signal ?? exit.code}: ${words.slice(-500)}`)
    return outputSchema.parse(JSON.parse(output))
  } finally {
    until.removeEventListener('abort', kill)
    await sandbox.remove()
  }
}

/** The class results are compared within: machines of one class compute alike to the last digit (DESIGN §6). */
export const cpuClassOf = (path: CpuPath): string =>
  `${process.arch}-${Buffer.from(path.fingerprint).toString('hex').slice(0, 12)}`
