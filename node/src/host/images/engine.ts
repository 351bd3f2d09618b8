import { spawn } from 'node:child_process'
import type Docker from 'dockerode'
import { PekkaError } from '@pekka/node/protocol'
import { DIGEST_DIGITS, SANDBOX_USER } from './constants.js'
import type { TreeRecord } from './tree.js'

/** Time of every file in the engine's image, s since 1970: fixed for the sake of equal layers, and after 1980, which zip files need. */
const LAYER_TIME = 1_700_000_000

/** Label of the engine's image that tells which tree it was made from. */
const CONTENT_LABEL = 'pekka.content'

/** Tag of a tree in Docker Engine. */
export const engineTag = (tree: { name: string; digest: string }): string =>
  `pekka/${tree.name}:${tree.digest.slice(0, DIGEST_DIGITS)}`

/**
 * Imports a tree into Docker Engine unless it is there, and returns the engine's id of the image (`sha256:…`).
 *
 * Throws IMAGE_IMPORT_FAILED, and the signal's reason.
 */
export async function importTree(
  docker: Docker,
  tree: TreeRecord & { root: string },
  signal?: AbortSignal
): Promise<string> {
  const tag = engineTag(tree)
  const present = await inspect(docker, tag)
  if (present?.content === tree.contentDigest) return present.id
  // One stream in fixed order, owned by root: the engine refuses a path that comes twice.
  const tar = spawn(
    'tar',
    [
      ...['-c', '--format=gnu', '--sort=name', `--mtime=@${LAYER_TIME}`, '--owner=0', '--group=0', '--numeric-owner'],
      ...['-C', tree.root, '-f', '-', '.']
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] }
  )
  let words = ''
  tar.stderr.on('data', (part: Buffer) => (words = `${words}${part.toString()}`.slice(-1000)))
  const kill = (): void => void tar.kill('SIGKILL')
  signal?.addEventListener('abort', kill, { once: true })
  const ended = new Promise<void>((resolve, reject) => {
    tar.once('error', reject)
    tar.once('close', code =>
      code === 0 ? resolve() : reject(new Error(`tar ended with ${code ?? 'a signal'}: ${words}`))
    )
  })
  try {
    const [repo, version] = tag.split(':')
    const answer = docker
      .importImage(tar.stdout, { repo, tag: version, changes: imageConfig(tree), abortSignal: signal })
      .then(stream => follow(docker, stream))
    await Promise.all([ended, answer])
    const made = await inspect(docker, tag)
    if (made === undefined) throw new Error('the engine does not list the image after its import')
    return made.id
  } catch (error) {
    kill()
    await ended.catch(() => undefined)
    signal?.throwIfAborted()
    const issue = error instanceof Error ? error.message : String(error)
    throw new PekkaError('IMAGE_IMPORT_FAILED', { image: tree.name, issue }, { cause: error })
  } finally {
    signal?.removeEventListener('abort', kill)
  }
}

/** Configuration of the engine's image, as Dockerfile instructions. */
export function imageConfig(tree: TreeRecord): string[] {
  const { uid, gid, work } = SANDBOX_USER
  return [
    `USER ${uid}:${gid}`,
    `WORKDIR ${work}`,
    `LABEL ${CONTENT_LABEL}=${tree.contentDigest}`,
    ...Object.entries(tree.environment).map(([key, value]) => `ENV ${key}=${JSON.stringify(value)}`)
  ]
}

async function inspect(docker: Docker, tag: string): Promise<{ id: string; content: string | undefined } | undefined> {
  try {
    const found = await docker.getImage(tag).inspect()
    return { id: found.Id, content: found.Config.Labels?.[CONTENT_LABEL] }
  } catch (error) {
    if (error instanceof Error && 'statusCode' in error && error.statusCode === 404) return undefined
    throw new PekkaError(
      'IMAGE_IMPORT_FAILED',
      { image: tag, issue: error instanceof Error ? error.message : String(error) },
      { cause: error }
    )
  }
}

/** The engine answers 200 before it works; errors come inside the stream. */
function follow(docker: Docker, stream: NodeJS.ReadableStream): Promise<void> {
  return new Promise((resolve, reject) => {
    docker.modem.followProgress(stream, (error: Error | null, steps: { error?: string }[]) => {
      const failure = error?.message ?? steps.find(step => step.error !== undefined)?.error
      if (failure === undefined) resolve()
      else reject(new Error(failure))
    })
  })
}
