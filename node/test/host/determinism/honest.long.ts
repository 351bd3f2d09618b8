import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { SandboxImage } from '@pekka/node/host/sandbox'
import { imageEnvironment, imageRoot, needImage } from '../runner/sandboxed-runner.js'
import { missing } from '../sandbox/support.js'
import { PROGRAMS } from './programs/index.js'
import { BASE_EXAMPLES, HonestSandboxes, RUNTIMES, example, importTree } from './sandboxes.js'

/**
 * The honest set: run twice in fresh sandboxes of each runtime, all deterministic ones agree, of the others it is said why. The examples of the
 * other fields run in their images (server/test/system/honest.images.ts).
 */
const digests = new Map<string, string>()
for (const name of RUNTIMES) {
  describe(`the honest set in sandboxes of ${name}`, function () {
    this.timeout(900_000)
    let sandboxes: HonestSandboxes | undefined
    let image: SandboxImage
    const reference = `pekka-honest-test:${process.pid}`

    before(async function () {
      needImage(this)
      sandboxes = await HonestSandboxes.open(this, name)
      image = { root: imageRoot() ?? '', digest: 'test', environment: imageEnvironment() }
      if (sandboxes.docker !== undefined)
        image = { ...image, engineId: await importTree(sandboxes.docker, image.root ?? '', reference) }
    })

    after(async () => {
      await sandboxes?.docker?.getImage(reference).remove({ force: true })
      await sandboxes?.close()
    })

    for (const program of [...PROGRAMS, ...BASE_EXAMPLES.map(example)]) {
      it(`${program.name}: ${program.varies ?? 'agrees'}`, async function () {
        const site = join(imageRoot() ?? '', 'opt/pekka/env/lib/python3.11/site-packages')
        if (program.needs?.some(module => !existsSync(join(site, module))))
          missing(this, 'the image lacks a package of it')
        const digest = await sandboxes?.twice(image, program, digests.get(program.name))
        if (digest !== undefined) digests.set(program.name, digest)
      })
    }
  })
}
