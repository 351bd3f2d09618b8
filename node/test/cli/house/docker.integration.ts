import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { createImageStore } from '@pekka/node/host/images'
import { ROOT, placesIn } from '@pekka/node/setup/places'
import { uvIn } from '@pekka/node/setup/python'
import { canStartDockerd, startDockerd, type TestEngine } from '../../support/dockerd.js'
import { TestNetwork, needNetwork, preparedHome, until } from '../../support/network.js'
import { EngineDoor } from './engine-door.js'

/** The small image: half a minute less than importing the large one. */
const IMAGE = 'base-small'
const quiet = { info: () => undefined, warn: () => undefined }

describe('a network on Docker Engine', function () {
  this.timeout(300_000)
  let engine: TestEngine | undefined
  let door: EngineDoor | undefined
  let folder = ''
  let network: TestNetwork | undefined
  let host: string | undefined

  before(async function () {
    needNetwork(this)
    host = process.env.DOCKER_HOST
    if (host === undefined) {
      if (!canStartDockerd()) {
        if (process.env.CI !== undefined) throw new Error('dockerd, or rights to start it, is missing')
        return this.skip()
      }
      engine = await startDockerd()
      process.env.DOCKER_HOST = engine.host
    }
    const prepared = preparedHome() ?? ''
    folder = await mkdtemp(join(tmpdir(), 'pekka-small-'))
    // What has been downloaded for the large image holds all of the small one.
    await mkdir(join(prepared, 'cache'), { recursive: true })
    await symlink(join(prepared, 'cache'), join(folder, 'cache'))
    const images = createImageStore(
      { uv: async () => process.env.PEKKA_UV ?? uvIn(placesIn(prepared).tools), log: quiet },
      { home: folder, definitions: join(ROOT, 'sandbox-images') }
    )
    await images.build(IMAGE)
    door = await EngineDoor.open(join(folder, 'docker.sock'), process.env.DOCKER_HOST?.replace('unix://', '') ?? '')
    network = await TestNetwork.start({
      docker: true,
      images: join(folder, 'images'),
      env: { DOCKER_HOST: `unix://${door.path}` }
    })
  })
  after(async () => {
    await network?.stop()
    await door?.close()
    await engine?.stop()
    if (host === undefined) delete process.env.DOCKER_HOST
    if (folder !== '') await rm(folder, { recursive: true })
  })

  it('serves with bubblewrap while the engine takes the image in, and with containers after its next start', async () => {
    assert.ok(network && door)
    const { client } = network
    const runtimes = async (): Promise<string[]> => (await client.market.asks()).map(({ ask }) => ask.runtime)
    const docker = new Docker({ socketPath: process.env.DOCKER_HOST?.replace('unix://', '') })
    const isThere = async (): Promise<boolean> =>
      (await docker.listImages()).some(({ RepoTags: tags }) => tags?.some(tag => tag.includes(IMAGE)))
    await door.importing
    assert.deepEqual([...new Set(await runtimes())], ['bubblewrap'])
    const run = await network.run('meanwhile.py', 'print("meanwhile")', '-q', '--image', IMAGE)
    assert.deepEqual([run.code, run.stdout], [0, 'meanwhile\n'], run.stderr)
    assert.equal(await isThere(), false, 'the import was over before')

    door.letIn()
    await until('the engine has the image', isThere, 120_000)
    for (const name of ['provider-1', 'provider-2']) await network.killAndWait(name)
    await until('both serve with Docker', async () => (await runtimes()).every(name => name === 'docker'), 60_000)
  })

  it('runs a script in a container, which its asks and the signed record of the run say, and leaves none behind', async () => {
    assert.ok(network)
    const { client } = network
    const asks = await client.market.asks()
    assert.ok(asks.length >= 2)
    for (const { ask } of asks) assert.deepEqual([ask.runtime, ask.isolation], ['docker', 3])
    const script =
      'import os, sys, numpy\nprint(numpy.arange(3).sum(), os.getuid(), os.path.exists("/.dockerenv"))\nsys.exit(5)\n'
    const run = await network.run('where.py', script, '-q', '--image', IMAGE)
    assert.equal(run.code, 5, run.stderr)
    assert.equal(run.stdout, '3 10001 True\n')
    assert.ok(run.item?.view)
    assert.equal(run.item.view.offer.image.name, IMAGE)
    const { finished } = await (await client.follow(run.item.task, {})).ended
    assert.deepEqual([finished?.manifest.run.runtime, finished?.manifest.run.isolation], ['docker', 3])
    await network.stop()
    network = undefined
    const docker = new Docker({ socketPath: process.env.DOCKER_HOST?.replace('unix://', '') })
    assert.deepEqual(await docker.listContainers({ all: true }), [])
  })
})
