import assert from 'node:assert/strict'
import { once } from 'node:events'
import { BubblewrapRuntime, createSandboxPool, type Sandbox, type SandboxPool } from '@pekka/node/host/sandbox'
import { ENVIRONMENT, imageRoot, LIMITS, missing } from './support.js'

/** Stands for the runner: says that it is ready, and runs what it is then told in its own process. */
const PROGRAM = `
import sys
print('ready', flush=True)
exec(sys.stdin.read())`

describe('warm pool on bubblewrap', function () {
  this.timeout(30_000)
  const log = { info: () => {}, warn: () => {} }
  let runtime: BubblewrapRuntime
  let pool: SandboxPool<void>

  before(async function () {
    const image = { root: imageRoot(this), digest: 'test', environment: ENVIRONMENT }
    runtime = new BubblewrapRuntime({ owner: `pool ${process.pid}` })
    const report = await runtime.probe()
    if (!report.usable) return missing(this, `bubblewrap: ${report.reason}`)
    const start = async (sandbox: Sandbox, signal: AbortSignal) => {
      await once(sandbox.stdout, 'readable', { signal })
      assert.equal(String(sandbox.stdout.read()).trim(), 'ready')
    }
    pool = createSandboxPool(
      { runtime, start, log },
      { argv: ['/opt/pekka/env/bin/python', '-I', '-c', PROGRAM], limits: LIMITS, warm: [{ image, size: 1 }] }
    )
  })

  after(async () => {
    await pool?.stop()
    await runtime?.close()
  })

  it('serves several tasks, each in a sandbox of its own that starts warm and shows nothing of the one before', async function () {
    const image = { root: imageRoot(this), digest: 'test', environment: ENVIRONMENT }
    const program = `import os; print(os.listdir('.')); open('mark', 'w').close()`
    const ids = new Set<string>()
    for (let task = 0; task < 3; task++) {
      while (pool.waiting().get('test') !== 1) await new Promise(resolve => setTimeout(resolve, 10))
      const taken = await pool.take(image, { ...LIMITS, memoryBytes: 96 << 20 }, AbortSignal.timeout(10_000))
      assert.ok(taken.warm)
      ids.add(taken.sandbox.id)
      taken.sandbox.stdin.end(program)
      let output = ''
      for await (const chunk of taken.sandbox.stdout) output += String(chunk)
      assert.equal(output.trim(), '[]')
      await taken.release()
    }
    assert.equal(ids.size, 3)
  })

  it('leaves nothing when it stops', async () => {
    await pool.stop()
    assert.equal(await runtime.cleanup(), 0)
  })
})
