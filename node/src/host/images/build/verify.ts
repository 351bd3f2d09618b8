import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { PekkaError, isPekkaError } from '@pekka/node/protocol'
import { ENVIRONMENT_PATH, SANDBOX_USER, SHOWN_LINES, VERIFY_IMPORT_TIMEOUT } from '../constants.js'
import type { TreeRecord } from './tree.js'

/** What `verify` found for one package. */
export interface PackageCheck {
  package: string
  ok: boolean
  /** Modules that were imported; none for a package that has no module of its own. */
  modules: string[]
  error?: string
}

const reportSchema = z.discriminatedUnion('event', [
  z.object({ event: z.literal('start'), package: z.string() }),
  z.object({
    event: z.literal('end'),
    package: z.string(),
    ok: z.boolean(),
    modules: z.array(z.string()),
    error: z.string().optional()
  })
])

/** Arguments for bubblewrap: the tree as a read-only root, nothing of the host, no network. */
export function treeSandboxArguments(root: string, environment: Record<string, string>): string[] {
  const { uid, gid, home, work, name } = SANDBOX_USER
  return [
    ...['--unshare-all', '--unshare-user', '--die-with-parent', '--new-session', '--cap-drop', 'ALL', '--clearenv'],
    ...['--uid', String(uid), '--gid', String(gid), '--hostname', name],
    ...[
      '--ro-bind',
      root,
      '/',
      '--proc',
      '/proc',
      '--dev',
      '/dev',
      '--tmpfs',
      '/tmp',
      '--tmpfs',
      home,
      '--dir',
      work,
      '--chdir',
      work
    ],
    ...Object.entries(environment).flatMap(([key, value]) => ['--setenv', key, value])
  ]
}

/** A root tree, and the environment of its sandboxes. */
type Importable = Pick<TreeRecord, 'environment'> & { root: string }

/**
 * Imports packages of a tree, in `processes` sandboxes at a time. A package that kills its interpreter or hangs is reported and the
 * rest goes on in a fresh one.
 */
export async function verifyTree(
  tree: Importable,
  { script, packages, processes, signal }: VerifyOptions
): Promise<PackageCheck[]> {
  const waiting = [...packages]
  const share = Math.ceil(waiting.length / processes)
  const parts = Array.from({ length: processes }, (_, index) => waiting.slice(index * share, (index + 1) * share))
  const checks = await Promise.all(parts.map(part => verifyPart(tree, script, part, signal)))
  return checks.flat().sort((a, b) => (a.package < b.package ? -1 : 1))
}

export interface VerifyOptions {
  /** Text of verify.py. */
  script: string
  packages: readonly string[]
  processes: number
  signal?: AbortSignal
}

/**
 * The step of a build: whether what a definition asks for could be imported. False where bubblewrap can't be used: such a machine builds
 * images all the same, and says so. @throws Error with the packages that can't be imported; the signal's reason
 */
export async function checkImports(tree: Importable, options: VerifyOptions): Promise<boolean> {
  try {
    const broken = (await verifyTree(tree, options)).filter(check => !check.ok)
    if (broken.length === 0) return true
    throw new Error(
      `what can't be imported: ${broken.map(one => `${one.package} (${one.error ?? 'failed'})`).join(', ')}`
    )
  } catch (error) {
    if (isPekkaError(error) && error.code === 'SANDBOX_FAILED') return false
    throw error
  }
}

async function verifyPart(
  tree: Importable,
  script: string,
  packages: string[],
  signal?: AbortSignal
): Promise<PackageCheck[]> {
  const done: PackageCheck[] = []
  let rest = packages
  while (rest.length > 0) {
    const { checks, fatal } = await importIn(tree, script, rest, signal)
    done.push(...checks)
    const seen = new Set(checks.map(check => check.package))
    const left = rest.filter(name => !seen.has(name))
    const [next, ...others] = left
    if (next === undefined) break
    // Reports come in order, so the first without one is the package that ended the interpreter.
    done.push({ package: next, ok: false, modules: [], error: fatal })
    rest = others
  }
  return done
}

async function importIn(
  tree: Importable,
  script: string,
  packages: string[],
  signal?: AbortSignal
): Promise<{ checks: PackageCheck[]; fatal: string }> {
  signal?.throwIfAborted()
  const python = [`/${ENVIRONMENT_PATH}/bin/python`, '-I', '-c', script, ...packages]
  const child = spawn('bwrap', [...treeSandboxArguments(tree.root, tree.environment), ...python], {
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const checks: PackageCheck[] = []
  const last: string[] = []
  let tooLong = false
  const kill = (): void => void child.kill('SIGKILL')
  const late = (): void => {
    tooLong = true
    kill()
  }
  let timer = setTimeout(late, VERIFY_IMPORT_TIMEOUT)
  signal?.addEventListener('abort', kill, { once: true })
  createInterface({ input: child.stderr }).on('line', line => last.push(line) > SHOWN_LINES && last.shift())
  createInterface({ input: child.stdout }).on('line', line => {
    clearTimeout(timer)
    timer = setTimeout(late, VERIFY_IMPORT_TIMEOUT)
    const report = reportSchema.parse(JSON.parse(line))
    if (report.event === 'end')
      checks.push({ package: report.package, ok: report.ok, modules: report.modules, error: report.error })
  })
  try {
    const [code] = (await once(child, 'close').catch((error: unknown) => {
      throw new PekkaError(
        'SANDBOX_FAILED',
        { issue: error instanceof Error ? error.message : String(error) },
        { cause: error }
      )
    })) as [number | null] // what 'close' carries
    signal?.throwIfAborted()
    if (code !== 0 && checks.length === 0 && last.some(line => line.startsWith('bwrap:'))) {
      throw new PekkaError('SANDBOX_FAILED', { issue: last.join(' ') })
    }
    const how = tooLong ? 'the import did not end' : `the interpreter ended with ${code ?? 'a signal'}`
    return { checks, fatal: [how, ...last.slice(-3)].join('; ') }
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', kill)
  }
}
