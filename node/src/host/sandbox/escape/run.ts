import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Isolation, RuntimeReport, SandboxImage, SandboxLimits, SandboxRuntime } from '../types.js'
import { BOMB, PROBE_DRIVER, PROBES, type Probe, type ProbeTargets } from './probes.js'

/** Small, so that the bombs end soon; large enough for Python. */
export const PROBE_LIMITS: SandboxLimits = {
  memoryBytes: 128 << 20,
  cpus: 1,
  pids: 64,
  diskBytes: 32 << 20,
  files: 256,
  fileBytes: 16 << 20
}

/** Where Python is in every image. */
export const IMAGE_PYTHON = '/opt/pekka/env/bin/python'

/** No probe waits for anything longer than two seconds; this is for a machine under load. */
const PROBES_TIMEOUT_MS = 120_000

export interface Verdict {
  probe: string
  /** True: it got out. Null: the probe itself failed, which counts as not held. */
  escaped: boolean | null
  detail: string
}

/** What the driver reads from its standard input. */
export function probeInput(probes: readonly Probe[], targets: ProbeTargets): string {
  return JSON.stringify({
    probes: probes.map(({ name, source }) => [name, source]),
    arguments: { ...targets, bomb: BOMB }
  })
}

/** Reads what the driver printed. A probe without an answer (the driver was killed) has not held. */
export function parseVerdicts(probes: readonly Probe[], output: string): Verdict[] {
  const said = new Map<string, Verdict>()
  for (const line of output.split('\n')) {
    try {
      const verdict: unknown = JSON.parse(line)
      if (isVerdict(verdict)) said.set(verdict.probe, verdict)
    } catch {
      // Not a verdict: probes may print.
    }
  }
  return probes.map(({ name }) => said.get(name) ?? { probe: name, escaped: null, detail: 'no answer' })
}

function isVerdict(value: unknown): value is Verdict {
  return (
    typeof value === 'object' &&
    value !== null &&
    'probe' in value &&
    typeof value.probe === 'string' &&
    'escaped' in value &&
    (typeof value.escaped === 'boolean' || value.escaped === null) &&
    'detail' in value &&
    typeof value.detail === 'string'
  )
}

/** Runs probes in one real sandbox of the runtime. */
export async function runProbes(
  runtime: SandboxRuntime,
  image: SandboxImage,
  probes: readonly Probe[],
  targets: ProbeTargets,
  signal?: AbortSignal
): Promise<Verdict[]> {
  const timeout = AbortSignal.timeout(PROBES_TIMEOUT_MS)
  const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout])
  const argv = [IMAGE_PYTHON, '-I', '-c', PROBE_DRIVER] as const
  const sandbox = await runtime.create({ image, argv, limits: PROBE_LIMITS }, either)
  const stop = () => void sandbox.kill().catch(() => {})
  either.addEventListener('abort', stop, { once: true })
  try {
    sandbox.stdin.on('error', () => {})
    sandbox.stdin.end(probeInput(probes, targets))
    const [output, errors] = await Promise.all([text(sandbox.stdout), text(sandbox.stderr), sandbox.exited])
    signal?.throwIfAborted()
    const verdicts = parseVerdicts(probes, output)
    const lastWords = errors.trim().split('\n').at(-1) ?? ''
    return verdicts.map(verdict =>
      verdict.detail === 'no answer' ? { ...verdict, detail: `no answer: ${lastWords}` } : verdict
    )
  } finally {
    either.removeEventListener('abort', stop)
    await sandbox.remove()
  }
}

export interface SelfTest {
  /** What the provider may publish: the runtime's level if every probe was held, else 0. */
  isolation: Isolation
  verdicts: Verdict[]
}

/** The quick part of the escape suite in a real sandbox, as a provider does at start-up before it publishes a level. */
export async function selfTest(
  runtime: SandboxRuntime,
  report: RuntimeReport,
  image: SandboxImage,
  signal?: AbortSignal
): Promise<SelfTest> {
  const listeners = await listen()
  const directory = await mkdtemp(join(tmpdir(), 'pekka-probe-'))
  try {
    const canary = join(directory, 'canary')
    await writeFile(canary, 'a file of the machine')
    const targets: ProbeTargets = {
      addresses: [...listeners.addresses, ['169.254.169.254', 80], ['192.0.2.1', 53]],
      hostFiles: [canary],
      ...PROBE_LIMITS
    }
    const quick = PROBES.filter(probe => probe.quick)
    const verdicts = await runProbes(runtime, image, quick, targets, signal)
    const held = verdicts.every(({ escaped }) => escaped === false)
    return { isolation: held ? report.isolation : 0, verdicts }
  } finally {
    await listeners.close()
    await rm(directory, { recursive: true, force: true })
  }
}

/** A listener on each IPv4 address of the machine, so that a probe which reaches any of them is noticed. */
async function listen(): Promise<{ addresses: [string, number][]; close(): Promise<void> }> {
  const hosts = Object.values(networkInterfaces())
    .flatMap(list => list ?? [])
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address)
  const servers: Server[] = []
  const addresses: [string, number][] = []
  for (const host of new Set(hosts)) {
    const server = createServer(socket => socket.destroy())
    const port = await new Promise<number | undefined>(resolve => {
      server.once('error', () => resolve(undefined))
      server.listen(0, host, () => {
        const address = server.address()
        resolve(typeof address === 'object' && address !== null ? address.port : undefined)
      })
    })
    if (port === undefined) continue
    servers.push(server)
    addresses.push([host, port])
  }
  const close = async () => {
    await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  }
  return { addresses, close }
}
