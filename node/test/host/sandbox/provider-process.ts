/** A provider's process as far as sandboxes go, for tests that kill one or start one where it must refuse. */
import { once } from 'node:events'
import { BubblewrapRuntime, selectRuntime } from '@pekka/node/host/sandbox'
import { ENVIRONMENT, LIMITS } from './support.js'

const [, , mode, root = '', owner = ''] = process.argv
const image = { root, digest: 'test', environment: ENVIRONMENT }

if (mode === 'serve') {
  const runtime = new BubblewrapRuntime({ owner })
  const program = "import os, time; print(sorted(os.listdir('/proc/self/fd')), flush=True); time.sleep(600)"
  const sandbox = await runtime.create({
    image,
    argv: ['/opt/pekka/env/bin/python', '-I', '-u', '-c', program],
    limits: LIMITS
  })
  const [said] = (await once(sandbox.stdout, 'data')) as [Buffer]
  process.stdout.write(said)
  setInterval(() => {}, 1000)
} else {
  const answer = await selectRuntime({ owner, image }).then(
    async ({ runtime, report }) => {
      await runtime.close()
      return { isolation: report.isolation }
    },
    (error: unknown) => ({ refused: error instanceof Error ? error.message : String(error) })
  )
  process.stdout.write(JSON.stringify(answer))
}
