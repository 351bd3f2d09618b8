import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import type Docker from 'dockerode'
import { PekkaError } from '@pekka/node/protocol'
import { DIGEST_DIGITS, SANDBOX_USER } from '../constants.js'
import type { TreeRecord } from '../build/tree.js'

/** Time of every file in the engine's image, s since 1970: fixed for the sake of equal layers, and after 1980, which zip files need. */
const LAYER_TIME = 1_700_000_000

/** Label of the engine's image that tells which tree it was made from. */
const CONTENT_LABEL = 'pekka.content'

/** Label of the engine's image that tells which folder of images it was made from: another home's are not ours to remove. */
const FOLDER_LABEL = 'pekka.folder'

/** Tag of a tree in Docker Engine. */
export const engineTag = (tree: { name: string; digest: string }): string =>
  `pekka/${tree.name}:${tree.digest.slice(0, DIGEST_DIGITS)}`

/**
 * Imports a tree into Docker Engine unless it is there, and returns the engine's id of the image (`sha256:…`). What the same
 * folder's trees of this name were before is removed from the engine, unless a container still uses it.
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
  if (present?.content === tree.contentDigest) {
    await removeOutdated(docker, tree)
    return present.id
  }
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
      .importImage(tar.stdout, {
        repo,
        tag: version,
        changes: [...imageConfig(tree), `LABEL ${FOLDER_LABEL}=${folderOf(tree)}`],
        abortSignal: signal
      })
      .then(stream => follow(docker, stream))
    await Promise.all([ended, answer])
    const made = await inspect(docker, tag)
    if (made === undefined) throw new Error('the engine does not list the image after its import')
    await removeOutdated(docker, tree)
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

/** A name for the folder that holds the tree, which tells nobody where it is. */
const folderOf = ({ root }: { root: string }): string =>
  createHash('sha256').update(resolve(root, '../..')).digest('hex').slice(0, DIGEST_DIGITS)

/** Each import takes as much disk as the tree; without this every new version of an environment would stay for ever. */
async function removeOutdated(docker: Docker, tree: TreeRecord & { root: string }): Promise<void> {
  const current = engineTag(tree)
  const filters = { label: [`${FOLDER_LABEL}=${folderOf(tree)}`] }
  // The engine may be busy or gone; nothing depends on this.
  const ours = await docker.listImages({ filters }).catch(() => [])
  for (const tag of ours.flatMap(({ RepoTags }) => RepoTags ?? []))
    if (tag !== current && tag.startsWith(`pekka/${tree.name}:`))
      // Without force: what a container runs stays.
      await docker
        .getImage(tag)
        .remove()
        .catch(() => undefined)
  // An import over the same tag leaves the older one without a name.
  for (const { Id, Labels } of ours.filter(({ RepoTags }) => (RepoTags ?? []).length === 0))
    if (Labels[CONTENT_LABEL] !== tree.contentDigest)
      await docker
        .getImage(Id)
        .remove()
        .catch(() => undefined)
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
