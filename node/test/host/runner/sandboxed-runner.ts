import { RunnerSession, type RunCell, type RunCommand, type RunLimits } from '@pekka/node/host/runner'
import { type Done, type EventOf, type TaskEvent } from '@pekka/node/protocol'
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Readable, Writable } from 'node:stream'

const DEFINITIONS = resolve(import.meta.dirname, '../../../../sandbox-images')

/** The runner under test: the one of the sources, bound over the one of the image. */
const RUNNER = join(DEFINITIONS, 'runner')

/** A root tree with /opt/pekka/env, or undefined where there is none. */
export function imageRoot(): string | undefined {
  const root = process.env['PEKKA_TEST_IMAGE_ROOT'] ?? '/'
  return existsSync(join(root, 'opt/pekka/env/bin/python')) ? root : undefined
}

/** What `before` of a suite calls: without an image it is skipped, under CI it fails. */
export function needImage(context: Mocha.Context): void {
  if (imageRoot() !== undefined) return
  if (process.env['CI'])
    throw new Error('No image: set PEKKA_TEST_IMAGE_ROOT to a root tree ("pekka image build base-small").')
  context.skip()
}

/** Leaves a suite out where the image lacks packages it is about, as `base-small` does; under CI it fails. */
export function needPackages(context: Mocha.Context, packages: readonly string[]): void {
  needImage(context)
  const site = join(imageRoot() ?? '', 'opt/pekka/env/lib/python3.11/site-packages')
  const present = new Set(readdirSync(site))
  const missing = packages.filter(name => !present.has(name))
  if (missing.length === 0) return
  if (process.env['CI']) throw new Error(`The image of PEKKA_TEST_IMAGE_ROOT lacks ${missing.join(', ')}: build base.`)
  console.error(`      left out: the image lacks ${missing.join(', ')}`)
  context.skip()
}

/** The environment that every sandbox of the image under test has: what is recorded beside it, without the preloading. */
export function imageEnvironment(): Record<string, string> {
  const record = join(imageRoot() ?? '', '../image.json')
  const file = existsSync(record) ? record : join(DEFINITIONS, 'base-small/image.json')
  const { environment } = JSON.parse(readFileSync(file, 'utf8')) as { environment: Record<string, string> } // our own file
  return { ...environment, PEKKA_PRELOAD: '' }
}

const MIB = 1 << 20

export const LIMITS: RunLimits = {
  wallMs: 60_000,
  cpuMs: 60_000,
  memoryBytes: 2048 * MIB,
  diskBytes: 64 * MIB,
  outputBytes: 64 * MIB,
  cellTextBytes: 16 * MIB
}

export interface SandboxedRunner {
  session: RunnerSession
  child: ChildProcessByStdio<Writable, Readable, Readable>
  /** What the runner's stderr got. */
  diagnostics(): string
  /** Kills the sandbox and waits until it is gone. */
  end(): Promise<void>
}

/** Starts a runner in a bubblewrap sandbox with its own processes, network, /tmp and home. */
export function startRunner(
  init: { preload?: string; env?: Record<string, string>; workBytes?: number } = {}
): SandboxedRunner {
  const root = imageRoot()
  if (root === undefined) throw new Error('no image')
  const env = {
    PATH: '/opt/pekka/env/bin:/usr/bin:/bin',
    ...imageEnvironment(),
    HOME: '/home/pekka',
    USER: 'pekka',
    LANG: 'C.UTF-8'
  }
  const args = [
    ...['--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/home'],
    ...['--dir', '/home/pekka', '--size', String(init.workBytes ?? 64 * MIB), '--tmpfs', '/home/pekka/work'],
    ...(root === '/' ? ['--tmpfs', '/opt/pekka/runner'] : []),
    ...['--ro-bind', RUNNER, '/opt/pekka/runner', '--chdir', '/home/pekka/work'],
    ...[
      '--unshare-all',
      '--uid',
      '10001',
      '--gid',
      '10001',
      '--hostname',
      'pekka',
      '--die-with-parent',
      '--new-session'
    ],
    ...['--cap-drop', 'ALL'],
    ...['--clearenv', ...Object.entries({ ...env, ...init.env }).flatMap(([name, value]) => ['--setenv', name, value])],
    ...['/opt/pekka/env/bin/python', '-I', '-u', '/opt/pekka/runner/main.py', '--preload', init.preload ?? '']
  ]
  const child = spawn('bwrap', args, { stdio: ['pipe', 'pipe', 'pipe'] })
  const errors: Buffer[] = []
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk))
  const gone = new Promise<void>(done => child.once('exit', () => done()))
  return {
    session: new RunnerSession(child),
    child,
    diagnostics: () => Buffer.concat(errors).toString(),
    async end() {
      child.kill('SIGKILL')
      await gone
      // What nobody has read would keep the descriptors open.
      child.stdout.destroy()
      child.stderr.destroy()
    }
  }
}

/** Keeps one runner starting while a test runs, so that a suite of many runs doesn't wait for many boots. */
export class WarmRunners {
  #next: SandboxedRunner | undefined

  take(): SandboxedRunner {
    const runner = this.#next ?? startRunner()
    this.#next = startRunner()
    return runner
  }

  async close(): Promise<void> {
    await this.#next?.end()
  }
}

/** What a run said, with the questions tests ask of it. */
export class Transcript {
  readonly events: TaskEvent[] = []

  get done(): Done {
    const last = this.events.at(-1)
    if (last?.type !== 'done') throw new Error('the run is not done')
    return last
  }

  of<T extends TaskEvent['type']>(type: T): EventOf<T>[] {
    return this.events.filter((event): event is EventOf<T> => event.type === type)
  }

  /** Text of a cell's stream. */
  text(cell: string, name: 'stdout' | 'stderr' = 'stdout'): string {
    const pieces = this.of('stream').filter(event => event.cell === cell && event.name === name)
    return pieces.map(event => (typeof event.text === 'string' ? event.text : '')).join('')
  }

  /** Bytes of a script's stream. */
  bytes(name: 'stdout' | 'stderr' = 'stdout'): Buffer {
    const pieces = this.of('stream').filter(event => event.cell === null && event.name === name)
    return Buffer.concat(pieces.map(event => (event.text instanceof Uint8Array ? event.text : new Uint8Array())))
  }

  /** Bytes or characters of a piece of output. */
  static lengthOf(event: TaskEvent): number {
    if (event.type !== 'stream') return 0
    return typeof event.text === 'string' || event.text instanceof Uint8Array ? event.text.length : 0
  }

  /** The cells' statuses in order, as `id:status`. */
  statuses(): string[] {
    return this.of('cell-end').map(event => `${event.cell}:${event.status}`)
  }
}

/** Cells c1, c2, … of sources; a tuple gives tags. */
export const cellsOf = (sources: (string | [string, string[]])[]): RunCell[] =>
  sources.map((source, index) => ({
    id: `c${index + 1}`,
    source: typeof source === 'string' ? source : source[0],
    tags: typeof source === 'string' ? [] : source[1]
  }))

/** A piece of a cell or of a script as text. */
export const pieceOf = ({ text }: EventOf<'stream'>): string =>
  typeof text === 'string' ? text : text instanceof Uint8Array ? Buffer.from(text).toString() : ''

export interface RunInit {
  limits?: Partial<RunLimits>
  seed?: number | null
  stopOnError?: boolean
  /** Called with each event as it arrives. */
  on?: (event: TaskEvent, session: RunnerSession) => void | Promise<void>
}

export const cellsCommand = (sources: (string | [string, string[]])[], init: RunInit = {}): RunCommand => ({
  kind: 'cells',
  cells: cellsOf(sources),
  limits: { ...LIMITS, ...init.limits },
  seed: init.seed ?? null,
  stopOnError: init.stopOnError ?? true
})

export const scriptCommand = (source: string, args: string[] = [], init: RunInit = {}): RunCommand => ({
  kind: 'script',
  file: 'fit.py',
  args,
  source: Buffer.from(source),
  limits: { ...LIMITS, ...init.limits },
  seed: init.seed ?? null
})

/** Runs a command to its end and ends the runner. */
export async function transcriptOf(
  runner: SandboxedRunner,
  command: RunCommand,
  init: RunInit = {}
): Promise<Transcript> {
  const transcript = new Transcript()
  try {
    for await (const event of runner.session.run(command)) {
      transcript.events.push(event)
      await init.on?.(event, runner.session)
    }
  } finally {
    await runner.end()
  }
  return transcript
}
