import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'
import { createImageStore } from '@pekka/node/host/images'
import { ROOT, placesIn } from '@pekka/node/setup/places'
import { uvIn } from '@pekka/node/setup/python'
import { canStartDockerd, startDockerd, type TestEngine } from '../../support/dockerd.js'
import { TestNetwork, needNetwork, preparedHome } from '../../support/network.js'

/** The small image: half a minute less than importing the large one. */
const IMAGE = 'base-small'
const quiet = { info: () => undefined, warn: () => undefined }

describe('a network on Docker Engine', function () {
  this.timeout(300_000)
  let engine: TestEngine | undefined
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
    const docker = new Docker({ socketPath: process.env.DOCKER_HOST?.replace('unix://', '') })
    await images.importInto(docker, IMAGE)
    network = await TestNetwork.start({ docker: true, images: join(folder, 'images') })
  })
  after(async () => {
    await network?.stop()
    await engine?.stop()
    if (host === undefined) delete process.env.DOCKER_HOST
    if (folder !== '') await rm(folder, { recursive: true })
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
