import { spawn, type ChildProcess } from 'node:child_process'
import { cp, mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { RUNNER_PATH, SANDBOX_USER, STARTUP_MODULE } from '../constants.js'
import { runnerFiles } from '../definition/identity.js'
import { CommandError, runCommand, type CommandOptions } from './process.js'

/** Folders that Debian packages expect as links into /usr; package tools make them so in every installation since Debian 12. */
const MERGED = ['bin', 'sbin', 'lib', 'lib64']

/** Folders that a sandbox mounts something on, or that programs expect. */
const FOLDERS = ['dev', 'proc', 'sys', 'run', 'tmp', 'var/tmp', 'root', SANDBOX_USER.work.slice(1)]

/** What no program in a sandbox needs. Licence texts in usr/share/doc stay. */
const STRIPPED = [
  'boot',
  'media',
  'mnt',
  'srv',
  'home',
  'var',
  'usr/games',
  'usr/include',
  'usr/local',
  'usr/src',
  'usr/share/bash-completion',
  'usr/share/bug',
  'usr/share/doc-base',
  'usr/share/info',
  'usr/share/lintian',
  'usr/share/locale',
  'usr/share/man',
  'usr/share/menu',
  'etc/apt',
  'etc/cron.daily',
  'etc/dpkg',
  'etc/systemd'
]

/** Links that maintainer scripts would make: none of those runs. */
const LINKS: readonly (readonly [path: string, target: string])[] = [
  ['usr/bin/sh', 'dash'],
  ['usr/bin/awk', 'mawk'],
  ['usr/bin/python3', 'python3.11'],
  ['etc/localtime', '/usr/share/zoneinfo/Etc/UTC']
]

const { name, uid, gid, home } = SANDBOX_USER

/** Files that maintainer scripts would write. */
const FILES: Readonly<Record<string, string>> = {
  'etc/passwd':
    `root:x:0:0:root:/root:/usr/sbin/nologin\n${name}:x:${uid}:${gid}:${name}:${home}:/bin/bash\n` +
    'nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n',
  'etc/group': `root:x:0:\n${name}:x:${gid}:\nnogroup:x:65534:\n`,
  'etc/hostname': `${name}\n`,
  'etc/hosts': `127.0.0.1 localhost ${name}\n::1 localhost\n`,
  'etc/nsswitch.conf': 'passwd: files\ngroup: files\nshadow: files\nhosts: files\n',
  'etc/timezone': 'Etc/UTC\n'
}

/**
 * Unpacks Debian archives into `root` and lays it out as an installed system: no maintainer script runs, nothing needs rights.
 *
 * Throws `CommandError`.
 */
export async function unpackDebian(root: string, archives: readonly string[], options: CommandOptions): Promise<void> {
  for (const folder of MERGED) {
    await mkdir(join(root, 'usr', folder), { recursive: true })
    await symlink(`usr/${folder}`, join(root, folder))
  }
  for (const archive of archives) await unpack(archive, root, options)
  await layOut(root, options)
}

/** Unpacks further archives into the copy of a tree. Throws `CommandError`. */
export async function addDebian(root: string, archives: readonly string[], options: CommandOptions): Promise<void> {
  for (const archive of archives) await unpack(archive, root, options)
  if (archives.length > 0) await layOut(root, options)
}

async function layOut(root: string, options: CommandOptions): Promise<void> {
  await Promise.all(STRIPPED.map(path => rm(join(root, path), { recursive: true, force: true })))
  await keepLicencesOnly(join(root, 'usr/share/doc'))
  for (const folder of FOLDERS) await mkdir(join(root, folder), { recursive: true })
  for (const [path, target] of LINKS) {
    await rm(join(root, path), { force: true })
    await symlink(target, join(root, path))
  }
  for (const [path, text] of Object.entries(FILES)) {
    // Removed first: the file may be shared with the tree that this one was copied from.
    await rm(join(root, path), { force: true })
    await writeFile(join(root, path), text)
  }
  // The tree's own ldconfig is linked statically; --ignore-aux-cache because that cache holds inode numbers.
  await runCommand(join(root, 'usr/sbin/ldconfig'), ['--ignore-aux-cache', '-X', '-r', root], options)
  await rm(join(root, 'var/cache'), { recursive: true, force: true })
}

/** Copies the runner into the tree, in place of one that is there. */
export async function copyRunner(root: string, runner: string): Promise<void> {
  await rm(join(root, RUNNER_PATH), { recursive: true, force: true })
  for (const file of await runnerFiles(runner)) {
    const to = join(root, RUNNER_PATH, file.path)
    await mkdir(join(to, '..'), { recursive: true })
    await cp(join(runner, file.path), to)
  }
}

/** Puts the runner's own path file into site-packages: every interpreter of the image reads it at its start. */
export async function copyPathFiles(site: string, runner: string): Promise<void> {
  for (const { path } of await runnerFiles(runner)) {
    const name = /^site\/([^/]+\.pth)$/.exec(path)?.[1]
    if (name === undefined) continue
    // Removed first: the file may be shared with the tree that this one was copied from.
    await rm(join(site, name), { force: true })
    await cp(join(runner, path), join(site, name))
  }
}

/** Puts what every interpreter of the image runs first into site-packages; none where the definition has none. */
export async function writeStartup(site: string, startup: string | undefined): Promise<void> {
  const [module, hook] = [join(site, `${STARTUP_MODULE}.py`), join(site, `${STARTUP_MODULE}.pth`)]
  const cache = join(site, '__pycache__')
  // Byte code is never checked against its source, so that of another start-up file would run in this one's place.
  const stale = (await readdir(cache).catch(() => [])).filter(name => name.startsWith(`${STARTUP_MODULE}.`))
  await Promise.all([module, hook, ...stale.map(name => join(cache, name))].map(path => rm(path, { force: true })))
  if (startup === undefined) return
  await writeFile(module, startup)
  await writeFile(hook, `import ${STARTUP_MODULE}\n`)
}

async function keepLicencesOnly(folder: string): Promise<void> {
  for (const each of await readdir(folder)) {
    const inside = await readdir(join(folder, each), { withFileTypes: true }).catch(() => [])
    await Promise.all(
      inside
        .filter(entry => entry.name !== 'copyright')
        .map(entry => rm(join(folder, each, entry.name), { recursive: true }))
    )
  }
}

/** `dpkg-deb | tar`: dpkg-deb by itself would replace the links of `MERGED` by folders. */
async function unpack(archive: string, root: string, options: CommandOptions): Promise<void> {
  const { signal } = options
  signal?.throwIfAborted()
  const opener = spawn('dpkg-deb', ['--fsys-tarfile', archive], { stdio: ['ignore', 'pipe', 'pipe'] })
  const tar = spawn(
    'tar',
    [
      // --ignore-zeros: read to the very end, so that dpkg-deb never writes into a closed pipe
      ...['-x', '-f', '-', '-C', root, '--ignore-zeros'],
      ...['--keep-directory-symlink', '--no-same-owner', '--no-same-permissions']
    ],
    { stdio: ['pipe', 'ignore', 'pipe'] }
  )
  const kill = (): void => {
    opener.kill('SIGKILL')
    tar.kill('SIGKILL')
  }
  signal?.addEventListener('abort', kill, { once: true })
  let words = ''
  for (const child of [opener, tar])
    child.stderr.on('data', (part: Buffer) => (words = `${words}${part.toString()}`.slice(-2000)))
  try {
    const ended = await Promise.allSettled([codeOf(opener), codeOf(tar), pipeline(opener.stdout, tar.stdin)])
    signal?.throwIfAborted()
    const failure = ended.find(end => end.status === 'rejected' || (end.value ?? 0) !== 0)
    if (failure !== undefined) {
      const reason = failure.status === 'rejected' ? String(failure.reason) : ''
      throw new CommandError(`dpkg-deb ${archive}`, failure.status === 'rejected' ? null : (failure.value ?? null), [
        words,
        reason
      ])
    }
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

const codeOf = (child: ChildProcess): Promise<number> =>
  new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', code => resolve(code ?? 1))
  })
