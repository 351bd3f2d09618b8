import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { engineTag, importTree } from '../../../src/host/images/store/engine.js'
import type { TreeRecord } from '../../../src/host/images/build/tree.js'
import { canStartDockerd, startDockerd, type TestEngine } from '../../support/dockerd.js'

describe('images in Docker Engine', function () {
  this.timeout(120_000)
  let engine: TestEngine | undefined
  let docker: Docker
  let folder: string

  before(async function () {
    if (process.env.DOCKER_HOST === undefined) {
      if (!canStartDockerd()) {
        if (process.env.CI !== undefined) throw new Error('dockerd, or rights to start it, is missing')
        return this.skip()
      }
      engine = await startDockerd()
    }
    docker = new Docker({ socketPath: engine?.socket ?? process.env.DOCKER_HOST?.replace('unix://', '') })
    folder = await mkdtemp(join(tmpdir(), 'pekka-engine-'))
  })
  after(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true })
    await engine?.stop()
  })

  const name = `test-${randomBytes(4).toString('hex')}`
  const hex = (): string => randomBytes(32).toString('hex')

  /** A tree of one file in a home of its own. */
  async function tree(home: string, digest: string): Promise<TreeRecord & { root: string }> {
    const root = join(folder, home, `${name}-${digest.slice(0, 12)}`, 'root')
    await mkdir(root, { recursive: true })
    await writeFile(join(root, 'file'), digest)
    // The rest of a record says how it was built, which an import doesn't read.
    const record = { name, digest, contentDigest: hex(), environment: { A: 'b' } } as unknown as TreeRecord
    return { ...record, root }
  }
  const tags = async (): Promise<string[]> =>
    (await docker.listImages())
      .flatMap(({ RepoTags }) => RepoTags ?? [])
      .filter(tag => tag.startsWith(`pekka/${name}:`))
      .sort()

  it('are removed when the same home has a newer one, and others’ are not', async () => {
    const [old, other, next] = [await tree('a', hex()), await tree('b', hex()), await tree('a', hex())]
    await importTree(docker, old)
    await importTree(docker, other)
    assert.deepEqual(await tags(), [engineTag(old), engineTag(other)].sort())
    const foreign = await docker.importImage(await layer(), { repo: `pekka/${name}`, tag: 'mine' })
    await new Promise((resolve, reject) =>
      docker.modem.followProgress(foreign, error => (error === null ? resolve(null) : reject(error)))
    )
    await importTree(docker, next)
    assert.deepEqual(await tags(), [engineTag(other), engineTag(next), `pekka/${name}:mine`].sort())
    for (const tag of await tags()) await docker.getImage(tag).remove()
  })

  it('stay while a container uses them', async () => {
    const [old, next] = [await tree('c', hex()), await tree('c', hex())]
    const id = await importTree(docker, old)
    const container = await docker.createContainer({ Image: id, Cmd: ['/file'], HostConfig: { NetworkMode: 'none' } })
    await importTree(docker, next)
    assert.ok((await docker.listImages({ all: true })).some(({ Id }) => Id === id))
    await container.remove()
    await importTree(docker, next)
    assert.deepEqual(await tags(), [engineTag(next)])
    await docker.getImage(engineTag(next)).remove()
  })

  async function layer(): Promise<string> {
    const { root } = await tree('layer', hex())
    const { execFileSync } = await import('node:child_process')
    const path = join(folder, 'layer.tar')
    execFileSync('tar', ['-C', root, '-cf', path, '.'])
    return path
  }
})
