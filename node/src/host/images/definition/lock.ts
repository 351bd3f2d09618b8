import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PekkaError } from '@pekka/node/protocol'
import { downloadDebian } from '../build/debian.js'
import { definitionNames, normalName, parseInput, parseLock, readManifest, requestedName } from './definition.js'
import { withFileLock } from '../store/file-lock.js'
import type { BuildProgress } from '../index.js'
import { packageSources, usualIndexOnly } from './package-sources.js'
import { CommandError, readCommand, runCommand, type CommandOptions } from '../build/process.js'
import { isLocalBuild, uvVariables } from '../build/python.js'

export interface LockJob {
  definitions: string
  name: string
  uv: string
  uvEnvironment: NodeJS.ProcessEnv
  /** `<home>/cache`. */
  cache: string
  mirror?: string
  signal?: AbortSignal
  onProgress: (progress: BuildProgress) => void
}

/** How every lock is made: wheels only, for the image's Python and platform, with hashes, without an address. */
const COMPILE = [
  ...['pip', 'compile', '--quiet', '--upgrade', '--no-header', '--no-annotate', '--no-emit-index-url'],
  ...['--no-emit-find-links', '--only-binary', ':all:']
]

/**
 * Writes requirements.lock (versions and hashes, under constraints.txt) and debian.lock (current versions of the suite) of a definition.
 * No address of an index or mirror gets into them: the hashes say what may be installed, from wherever it comes.
 */
export async function lockDefinition(job: LockJob): Promise<void> {
  const { definitions, name, cache, signal, onProgress } = job
  const folder = join(definitions, name)
  const definition = await readManifest(folder)
  await asDownload(name, async () => {
    onProgress({ step: 'python', text: 'resolving Python packages', fraction: null })
    await lockPython(job, definition)
    const apt = join(cache, 'apt')
    await mkdir(apt, { recursive: true })
    const { packages } = await withFileLock(join(apt, 'lock'), { signal }, () =>
      downloadDebian({ ...definition, debianLock: [] }, { signal, cache: apt, mirror: job.mirror, useLock: false })
    )
    await writeFile(join(folder, 'debian.lock'), packages.map(one => `${one.name}=${one.version}\n`).join(''))
  })
}

async function lockPython(job: LockJob, definition: Awaited<ReturnType<typeof readManifest>>): Promise<void> {
  const { definitions, name, uv, cache, signal } = job
  const folder = join(definitions, name)
  const target = ['--python-version', definition.python, '--python-platform', definition.platform]
  const env = uvVariables(job.uvEnvironment, cache)
  const usual: CommandOptions = { signal, cwd: folder, env: usualIndexOnly(env) }
  const inputs = [
    ...(definition.extends === undefined ? [] : [join('..', definition.extends, 'packages.in')]),
    'packages.in'
  ]
  const compile = (options: CommandOptions, ...args: string[]): Promise<void> =>
    runCommand(uv, [...COMPILE, ...target, ...args], options)
  const versions = ['--constraints', '../constraints.txt', ...inputs]
  const output = ['--generate-hashes', '--output-file', 'requirements.lock']
  const asked = parseInput(await readFile(join(folder, 'packages.in'), 'utf8'))
  if (!asked.some(line => isLocalBuild({ version: line }))) return compile(usual, ...output, ...versions)

  // A build of its own comes from elsewhere; the others must have the hashes of the usual index. So first the versions, then the hashes.
  const { args, any } = packageSources(env)
  if (!any)
    throw new PekkaError('IMAGE_SOURCE_MISSING', {
      image: name,
      packages: asked.filter(line => line.includes('+')).join(', ')
    })
  const all: CommandOptions = { signal, cwd: folder, env }
  const work = await mkdtemp(join(cache, 'lock-'))
  try {
    const found = join(work, 'found.lock')
    await compile(all, ...args, '--generate-hashes', '--output-file', found, ...versions)
    const locked = parseLock(await readFile(found, 'utf8'))
    const [pins, hashed] = [join(work, 'pins.in'), join(work, 'hashed.lock')]
    const others = locked.filter(one => !isLocalBuild(one))
    await writeFile(pins, others.map(one => `${one.name}==${one.version}\n`).join(''))
    await compile(usual, '--no-deps', '--generate-hashes', '--output-file', hashed, pins)
    const entries = [
      ...(await readFile(hashed, 'utf8')).split(/\n(?=\S)/).map(entry => entry.trimEnd()),
      ...locked
        .filter(isLocalBuild)
        .map(one =>
          [`${one.name}==${one.version}`, ...one.hashes.map(hash => `    --hash=sha256:${hash}`)].join(' \\\n')
        )
    ]
    await writeFile(join(folder, 'requirements.lock'), `${entries.sort().join('\n')}\n`)
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

/**
 * Resolves the packages of all definitions together, and writes constraints.txt: the one set of versions under which each image is locked.
 * Bounds of lower.in keep the resolver from "solving" a conflict by versions of years ago.
 */
export async function lockTogether(job: Omit<LockJob, 'name'>): Promise<void> {
  const { definitions, uv, cache, signal, onProgress } = job
  const names = await definitionNames(definitions)
  const [first = ''] = names
  const definition = await readManifest(join(definitions, first))
  const env = uvVariables(job.uvEnvironment, cache)
  const file = join(definitions, 'constraints.txt')
  const head = (await readFile(file, 'utf8').catch(() => '')).split('\n').filter(line => line.startsWith('#'))
  await asDownload('all', async () => {
    onProgress({ step: 'python', text: `resolving the packages of ${names.join(', ')} together`, fraction: null })
    const lines = await readCommand(
      uv,
      [
        ...[...COMPILE, ...packageSources(env).args],
        ...['--python-version', definition.python, '--python-platform', definition.platform],
        ...names.map(name => join(name, 'packages.in')),
        'lower.in'
      ],
      { signal, cwd: definitions, env }
    )
    await writeFile(file, [...head, ...lines.filter(line => !line.startsWith('#')), ''].join('\n'))
  })
}

/** A package that was asked for and for which there is something newer. */
export interface OutdatedPackage {
  name: string
  locked: string
  /** Newest with a wheel for the images' Python; what keeps it away is another package. */
  newest: string | null
  /** Newest with a wheel for any Python. */
  newestAnywhere: string | null
  /** Images that ask for it. */
  images: string[]
}

/** A Python newer than any that images have: what has wheels for it is the newest there is. */
const NEWEST_PYTHON = '3.13'

/** What is behind, of all packages that definitions ask for. Throws IMAGE_DOWNLOAD_FAILED. */
export async function outdated(job: Omit<LockJob, 'name'>): Promise<OutdatedPackage[]> {
  const { definitions, uv, cache, signal } = job
  const wanted = new Map<string, { locked: string; images: string[] }>()
  let python = ''
  let platform = ''
  for (const name of await definitionNames(definitions)) {
    const definition = await readManifest(join(definitions, name))
    ;({ python, platform } = definition)
    const locked = new Map(
      parseLock(await readFile(join(definitions, name, 'requirements.lock'), 'utf8')).map(one => [
        one.name,
        one.version
      ])
    )
    for (const line of parseInput(await readFile(join(definitions, name, 'packages.in'), 'utf8'))) {
      const asked = requestedName(line)
      const entry = wanted.get(asked) ?? { locked: locked.get(asked) ?? '', images: [] }
      entry.images.push(name)
      wanted.set(asked, entry)
    }
  }
  await mkdir(cache, { recursive: true })
  const work = await mkdtemp(join(cache, 'outdated-'))
  const env = usualIndexOnly(uvVariables(job.uvEnvironment, cache))
  const newest = async (version: string): Promise<Map<string, string>> => {
    const input = join(work, 'names.in')
    await writeFile(input, [...wanted.keys()].map(name => `${name}\n`).join(''))
    const args = [...COMPILE, '--no-deps', '--python-version', version, '--python-platform', platform, input]
    const lines = await readCommand(uv, args, { signal, env, cwd: work })
    return new Map(
      lines.flatMap(line => {
        const [, name, found] = /^([\w.-]+)==(\S+)$/.exec(line) ?? []
        return name === undefined || found === undefined ? [] : [[normalName(name), found] as const]
      })
    )
  }
  try {
    return await asDownload('all', async () => {
      const here = await newest(python)
      const anywhere = await newest(NEWEST_PYTHON).catch(() => new Map<string, string>())
      const plain = (version: string | undefined): string | undefined => version?.replace(/\+.*/, '')
      return [...wanted]
        .map(([name, { locked, images }]) => ({
          ...{ name, locked, images },
          newest: here.get(name) ?? null,
          newestAnywhere: anywhere.get(name) ?? null
        }))
        .filter(one => [one.newest, one.newestAnywhere].some(found => found !== null && found !== plain(one.locked)))
        .sort((a, b) => (a.name < b.name ? -1 : 1))
    })
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

async function asDownload<T>(image: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body()
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    throw new PekkaError(
      'IMAGE_DOWNLOAD_FAILED',
      { image, what: 'Locks', issue: error.message, log: '-' },
      { cause: error }
    )
  }
}
