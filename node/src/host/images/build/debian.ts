import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { debianSources, formatDeb822, hostSources } from './debian-sources.js'
import type { DebianPackage, ImageDefinition } from '../definition/definition.js'
import { CommandError, readCommand, runCommand, type CommandOptions } from './process.js'

export interface DebianDownload {
  /** Archives (`.deb`) of all packages, sorted by file name. */
  archives: string[]
  /** What was taken, sorted by name. */
  packages: DebianPackage[]
  /** Locked packages that are no longer at the mirrors (or new needs of their successors): what was taken instead. */
  changes: { name: string; locked: string | null; taken: string | null }[]
}

/** The part of a definition that counts here. */
type DebianNeed = Pick<ImageDefinition, 'debian' | 'debianLock'>

export interface DebianOptions extends CommandOptions {
  /** Holds package lists and archives between builds. Only one process may use it at a time. */
  cache: string
  /** Address of a Debian archive, instead of the host's sources. */
  mirror?: string
  /** False takes the suite's current versions: for making a new lock. */
  useLock?: boolean
  onProgress?: (text: string, fraction: number | null) => void
}

/**
 * Resolves and downloads the Debian packages of a definition with apt, in a private state folder: the host's package database isn't
 * looked at or touched, so this needs no rights and works on other releases. apt checks the archive's signatures and every hash, and
 * keeps the host's proxies, certificates and mirrors.
 *
 * Locked versions are preferred; apt takes the suite's current version for one that is gone. Throws `CommandError`.
 */
export async function downloadDebian(definition: DebianNeed, options: DebianOptions): Promise<DebianDownload> {
  const { cache, onProgress } = options
  const useLock = options.useLock ?? true
  const archives = join(cache, 'archives')
  await mkdir(join(archives, 'partial'), { recursive: true })
  await mkdir(join(cache, 'state/lists/partial'), { recursive: true })
  const config = await writeConfig(definition, options, useLock)
  const command: CommandOptions = {
    signal: options.signal,
    onLine: options.onLine,
    env: { ...process.env, APT_CONFIG: config, LC_ALL: 'C' }
  }
  await updateLists(cache, command, onProgress)

  const install = ['install', '--yes', '--no-install-recommends']
  const wanted = [...install, ...definition.debian.packages]
  const plan = await readCommand('apt-get', ['--quiet=2', '--simulate', ...wanted], command)
  const packages = plan.map(parsePlanned).filter(one => one !== undefined)
  onProgress?.(`Debian: ${packages.length} packages`, null)
  await runCommand('apt-get', ['--quiet=1', '--download-only', ...wanted], command)
  const present = await readdir(archives)
  const files = packages.map(one => {
    const file = present.find(name => name.startsWith(archivePrefix(one)))
    if (file === undefined)
      throw new CommandError('apt-get install', 0, [`no archive of ${one.name} ${one.version} came`])
    return join(archives, file)
  })
  packages.sort((a, b) => (a.name < b.name ? -1 : 1))
  return {
    archives: files.sort(),
    packages,
    changes: useLock ? compareWithLock(definition.debianLock, packages) : []
  }
}

/** What differs between the lock and what the mirrors still have. */
export function compareWithLock(
  locked: readonly DebianPackage[],
  taken: readonly DebianPackage[]
): DebianDownload['changes'] {
  const before = new Map(locked.map(one => [one.name, one.version]))
  const after = new Map(taken.map(one => [one.name, one.version]))
  return [...new Set([...before.keys(), ...after.keys()])]
    .sort()
    .map(name => ({ name, locked: before.get(name) ?? null, taken: after.get(name) ?? null }))
    .filter(change => change.locked !== change.taken)
}

async function updateLists(
  cache: string,
  command: CommandOptions,
  onProgress: DebianOptions['onProgress']
): Promise<void> {
  onProgress?.('Debian: package lists', null)
  try {
    await runCommand('apt-get', ['--quiet=1', '-o', 'APT::Update::Error-Mode=any', 'update'], command)
  } catch (error) {
    const lists = await readdir(join(cache, 'state/lists'))
    if (command.signal?.aborted || !lists.some(name => name.includes('_Packages'))) throw error
    onProgress?.('Debian: the mirror does not answer; the lists of the last build are used', null)
  }
}

/** Writes the private configuration and gives its path. It replaces the host's files, of which only the network settings are kept. */
async function writeConfig(definition: DebianNeed, options: DebianOptions, useLock: boolean): Promise<string> {
  const { suite, architecture } = definition.debian
  const { cache } = options
  const sources = debianSources(await hostSources(), suite, options.mirror)
  if (sources.length === 0) {
    throw new CommandError('apt-get', null, [
      `no mirror of Debian in /etc/apt; set PEKKA_DEBIAN_MIRROR to one (and install debian-archive-keyring)`
    ])
  }
  const network = (await readCommand('apt-config', ['dump'], { signal: options.signal })).filter(line =>
    /^Acquire::(?!IndexTargets|Languages|cdrom)/.test(line)
  )
  const path = (name: string): string => JSON.stringify(join(cache, name))
  const settings = [
    ...network,
    'Dir::Etc::parts "/dev/null";',
    'Dir::Etc::main "/dev/null";',
    'Dir::Etc::sourceparts "/dev/null";',
    'Dir::Etc::preferencesparts "/dev/null";',
    `Dir::Etc::sourcelist ${path('debian.sources')};`,
    `Dir::Etc::preferences ${path('preferences')};`,
    `Dir::State ${path('state')};`,
    // An empty package database: the whole closure is taken, whatever the host has.
    'Dir::State::status "/dev/null";',
    `Dir::State::extended_states ${path('extended_states')};`,
    `Dir::Cache ${path('.')};`,
    // Parsed lists are not kept: 70 MB for half a second.
    'Dir::Cache::pkgcache "";',
    'Dir::Cache::srcpkgcache "";',
    `Dir::Log ${path('.')};`,
    `APT::Architecture "${architecture}";`,
    `APT::Architectures { "${architecture}"; };`,
    // The cache stands in the user's home, where the user _apt may not look.
    'APT::Sandbox::User "root";',
    'Acquire::Languages "none";',
    'Acquire::Retries "3";',
    'Binary::apt-get::APT::Keep-Downloaded-Packages "true";',
    'APT::Keep-Downloaded-Packages "true";',
    'Debug::NoLocking "true";'
  ]
  const pins = useLock
    ? definition.debianLock.map(one => `Package: ${one.name}\nPin: version ${one.version}\nPin-Priority: 1001\n`)
    : []
  const config = join(cache, 'apt.conf')
  await Promise.all([
    writeFile(config, `${settings.join('\n')}\n`),
    writeFile(join(cache, 'debian.sources'), formatDeb822(sources)),
    writeFile(join(cache, 'preferences'), pins.join('\n'))
  ])
  return config
}

/** A line of apt's plan: `Inst name (version Debian:12/stable [amd64])`. */
export function parsePlanned(line: string): DebianPackage | undefined {
  const [, name, version] = /^Inst (\S+) \((\S+) /.exec(line) ?? []
  return name === undefined || version === undefined ? undefined : { name, version }
}

/** Start of an archive's file name; the colon of an epoch is escaped there. */
export const archivePrefix = (one: DebianPackage): string => `${one.name}_${one.version.replaceAll(':', '%3a')}_`
