import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { PekkaError } from '@pekka/node/protocol'
import { downloadDebian } from './debian.js'
import { definitionSchema } from './definition.js'
import { withFileLock } from './file-lock.js'
import type { BuildProgress } from './index.js'
import { CommandError, runCommand, type CommandOptions } from './process.js'
import { uvVariables } from './python.js'

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

/**
 * Writes requirements.lock (versions and hashes, under constraints.txt) and debian.lock (current versions of the suite) of a definition.
 * No address of an index or mirror gets into them: the hashes say what may be installed, from wherever it comes.
 */
export async function lockDefinition(job: LockJob): Promise<void> {
  const { definitions, name, uv, cache, signal, onProgress } = job
  const folder = join(definitions, name)
  const definition = definitionSchema.parse(JSON.parse(await readFile(join(folder, 'image.json'), 'utf8')))
  const options: CommandOptions = { signal, cwd: folder, env: uvVariables(job.uvEnvironment, cache) }
  try {
    onProgress({ step: 'python', text: 'resolving Python packages', fraction: null })
    await runCommand(
      uv,
      [
        ...['pip', 'compile', '--quiet', '--upgrade', '--generate-hashes', '--no-header', '--no-annotate'],
        ...['--no-emit-index-url', '--no-emit-find-links', '--python-version', definition.python],
        ...['--python-platform', definition.platform, '--only-binary', ':all:'],
        ...['--constraints', '../constraints.txt', 'packages.in', '--output-file', 'requirements.lock']
      ],
      options
    )
    const apt = join(cache, 'apt')
    await mkdir(apt, { recursive: true })
    const { packages } = await withFileLock(join(apt, 'lock'), { signal }, () =>
      downloadDebian({ ...definition, debianLock: [] }, { signal, cache: apt, mirror: job.mirror, useLock: false })
    )
    await writeFile(join(folder, 'debian.lock'), packages.map(one => `${one.name}=${one.version}\n`).join(''))
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    throw new PekkaError(
      'IMAGE_DOWNLOAD_FAILED',
      { image: name, what: 'Locks', issue: error.message, log: '-' },
      { cause: error }
    )
  }
}
