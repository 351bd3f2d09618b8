import { execFile } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PekkaError, normalPackageName } from '@pekka/node/protocol'
import { RESOLVE_TIMEOUT_MS } from './constants.js'
import { readLock, type LockedWheel } from './lock.js'
import type { ImagePins } from './pins.js'

export interface Uv {
  /** Path of the program. */
  path: string
  /** Indexes, proxies, certificates, cache: as the user has set them for pip or uv. */
  environment: NodeJS.ProcessEnv
}

export interface Wish {
  /** As {@link parseRequirement} gives them. */
  requirements: readonly string[]
  pins: ImagePins
  /** Releases from then on are not used, `2026-11-15T00:00:00Z`; null: all are. */
  before: string | null
  /** An empty folder to work in. */
  folder: string
}

/** What a resolver said in the end. */
class ResolverError extends Error {}

/**
 * Resolves under the versions of the image: what comes out can stand beside its packages.
 * @throws PekkaError LAYER_CONFLICT, LAYER_SOURCE_ONLY, LAYER_TOO_NEW, LAYER_UNKNOWN_PACKAGE, LAYERS_UNREACHABLE
 */
export async function resolveOnTop(uv: Uv, wish: Wish, signal: AbortSignal): Promise<LockedWheel[]> {
  const input = join(wish.folder, 'wish.in')
  await writeFile(input, `${wish.requirements.join('\n')}\n`)
  // The image's own versions are allowed however new they are: they have been chosen already.
  const own = wish.before === null ? [] : [...wish.pins.versions.keys()].flatMap(exempt)
  return await compile(uv, wish, [input, '--constraints', wish.pins.lockFile, ...own], signal)
}

/**
 * Resolves together with everything the image was made from, where that can't be had under the image's versions. As many
 * of its versions stay as can.
 * @throws as {@link resolveOnTop}
 */
export async function resolveInstead(uv: Uv, wish: Wish, signal: AbortSignal): Promise<LockedWheel[]> {
  const [input, whole] = ['wish.in', 'whole.txt'].map(name => join(wish.folder, name)) as [string, string]
  const asked = new Set(wish.requirements.map(text => normalPackageName(/^[\w.-]+/.exec(text)?.[0] ?? '')))
  const others = wish.pins.requested.filter(name => !asked.has(normalPackageName(name)))
  await writeFile(input, `${[...wish.requirements, ...others].join('\n')}\n`)
  // The image's own packages, but for those asked for anew, may be as young as they were chosen to be, here too.
  const own =
    wish.before === null ? [] : [...wish.pins.versions.keys()].filter(name => !asked.has(name)).flatMap(exempt)
  // What stands in the output file already is preferred.
  await writeFile(whole, await readFile(wish.pins.lockFile))
  await run(uv, [...compileOptions(wish), ...own, input, '--output-file', whole], wish.folder, signal)
  return await compile(uv, wish, [input, '--constraints', whole, ...own], signal)
}

const exempt = (name: string): string[] => ['--exclude-newer-package', `${name}=false`]

const compileOptions = ({ pins, before }: Wish): string[] => [
  ...['pip', 'compile', '--quiet', '--generate-hashes', '--only-binary', ':all:', '--no-header', '--no-annotate'],
  ...['--no-config', '--no-sources', '--no-emit-index-url', '--no-emit-find-links'],
  ...['--python-version', pins.python, '--python-platform', pins.platform],
  ...(before === null ? [] : ['--exclude-newer', before])
]

async function compile(uv: Uv, wish: Wish, args: readonly string[], signal: AbortSignal): Promise<LockedWheel[]> {
  const output = join(wish.folder, 'pylock.toml')
  await run(
    uv,
    [...compileOptions(wish), '--format', 'pylock.toml', ...args, '--output-file', output],
    wish.folder,
    signal
  )
  return readLock(await readFile(output, 'utf8'), wish.pins.python)
}

async function run(uv: Uv, args: readonly string[], folder: string, signal: AbortSignal): Promise<void> {
  const env = { ...uv.environment, UV_NO_PROGRESS: '1', NO_COLOR: '1', VIRTUAL_ENV: undefined, CONDA_PREFIX: undefined }
  const options = { cwd: folder, env, timeout: RESOLVE_TIMEOUT_MS, signal, maxBuffer: 16 << 20 }
  try {
    await new Promise<void>((resolve, reject) => {
      execFile(uv.path, args, options, (error, _stdout, stderr) => {
        if (error === null) resolve()
        else reject(new ResolverError(stderr.trim() === '' ? error.message : stderr))
      })
    })
  } catch (error) {
    signal.throwIfAborted()
    throw explain(error instanceof Error ? error.message : String(error))
  }
}

/** What uv's words mean. */
export function explain(words: string): PekkaError {
  const text = words.replace(/\s+/g, ' ').replace(/`/g, '')
  const fault = (pattern: RegExp): string | undefined => pattern.exec(text)?.[1]?.replace(/[.,]$/, '')
  const missing = fault(/Because ([\w.-]+) was not found in the (?:package registry|provided package locations)/)
  if (missing !== undefined) return new PekkaError('LAYER_UNKNOWN_PACKAGE', { name: missing, remedy: SPELLING })
  const source =
    fault(/hint: Wheels are required for ([\w.-]+) because/) ?? fault(/all versions of ([\w.-]+) have no usable wheels/)
  if (source !== undefined) return new PekkaError('LAYER_SOURCE_ONLY', { package: source })
  const recent = fault(/hint: ([\w.-]+) was filtered by exclude-newer/)
  if (recent !== undefined) return new PekkaError('LAYER_TOO_NEW', { package: recent })
  const conflict = /No solution found[^]*?cause: ([^]*?)(?: hint:|$)/.exec(text)?.[1]
  if (conflict !== undefined) return new PekkaError('LAYER_CONFLICT', { issue: shorten(conflict) })
  return new PekkaError('LAYERS_UNREACHABLE', { issue: shorten(hideAddresses(text)) })
}

const SPELLING = 'Check its spelling.'
const shorten = (text: string): string => (text.length > 400 ? `${text.slice(0, 400)}…` : text)
/** An index's address may hold a password. */
const hideAddresses = (text: string): string => text.replace(/\b(\w+:\/\/)[^\s)'"]*/g, '$1…')
