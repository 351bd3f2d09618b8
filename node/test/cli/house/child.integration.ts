import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lives, holder, startTime } from '@pekka/node/setup/hold'
import { Child, StartError, type ChildSpec } from '../../../src/cli/house/processes/child.js'

const forever = new AbortController().signal
const SAYS_READY = 'process.send({ ready: true, port: 1 });'

describe('a child of the house', () => {
  let folder: string
  let child: Child | undefined
  let happened: string[]
  let starts: number

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-child-'))
    happened = []
    starts = 0
  })
  afterEach(async () => {
    await child?.stop(AbortSignal.abort())
    await rm(folder, { recursive: true, force: true })
  })

  const specOf = (script: string): ChildSpec => ({
    name: 'one',
    ours: true,
    log: join(folder, 'one.log'),
    command: async () => {
      starts += 1
      return { program: process.execPath, args: ['-e', script, String(starts)], env: {} }
    },
    ready: said => said
  })
  const childOf = (script: string): Child =>
    (child = new Child(specOf(script), {
      ready: () => happened.push('ready'),
      died: (how, wait) => happened.push(`${how}, ${wait}`),
      changed: () => undefined
    }))
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise(resolve => setTimeout(resolve, 20))
  }

  it('serves once it has said so, and tells its address', async () => {
    const ready = await childOf(`${SAYS_READY} setInterval(() => {}, 1000)`).start(forever)
    assert.equal(ready.port, 1)
    assert.equal(child?.state.status, 'serving')
  })

  it('that ends before it serves is an error with the last words of its log', async () => {
    const words = `console.log('plain words'); console.log(JSON.stringify({ level: 30, msg: 'no use' }));
      console.log(JSON.stringify({ level: 60, msg: 'could not start', err: { message: 'no sandbox' } })); process.exitCode = 3`
    await assert.rejects(childOf(words).start(forever), (error: unknown) => {
      assert.ok(error instanceof StartError)
      assert.equal(error.message, 'one ended with exit code 3')
      assert.deepEqual(error.lastLines, ['plain words', 'could not start: no sandbox'])
      return true
    })
    assert.equal(child?.state.status, 'stopped')
  })

  it('that dies is started again, after a wait that doubles', async () => {
    const script = `${SAYS_READY} Number(process.argv[1]) < 3 ? setTimeout(() => process.exit(9), 10) : setInterval(() => {}, 1000)`
    await childOf(script).start(forever)
    await until(() => happened.filter(what => what === 'ready').length === 3)
    assert.deepEqual(happened, [
      'ready',
      'ended with exit code 9, 500',
      'ready',
      'ended with exit code 9, 1000',
      'ready'
    ])
  })

  it('that ignores SIGTERM is killed when the user asks again, with all its descendants', async () => {
    const file = join(folder, 'pid')
    const script = `process.on('SIGTERM', () => {});
      const grandchild = require('node:child_process').spawn('sleep', ['1000'], { stdio: 'ignore' });
      require('node:fs').writeFileSync(${JSON.stringify(file)}, String(grandchild.pid));
      ${SAYS_READY} setInterval(() => {}, 1000)`
    await childOf(script).start(forever)
    const grandchild = Number(await readFile(file, 'utf8'))
    const identity = holder(grandchild)
    assert.ok(lives(identity))
    await child?.stop(AbortSignal.abort())
    await until(() => !lives(identity))
    assert.deepEqual(happened, ['ready'])
  })

  it('that is being waited for is not started again after a stop', async () => {
    await childOf(`${SAYS_READY} setTimeout(() => process.exit(9), 10)`).start(forever)
    await until(() => child?.state.status === 'waiting')
    await child?.stop(AbortSignal.abort())
    await new Promise(resolve => setTimeout(resolve, 700))
    assert.equal(starts, 1)
  })

  it('ends when the house is killed, even a program that knows nothing of a channel', async () => {
    const house = join(folder, 'house.mts')
    const log = JSON.stringify(join(folder, 'sleep.log'))
    await writeFile(
      house,
      `import { Child } from ${JSON.stringify(new URL('../../../src/cli/house/processes/child.ts', import.meta.url).pathname)}
       const nothing = () => undefined
       const child = new Child(
         { name: 'sleep', ours: false, log: ${log}, command: async () => ({ program: 'sleep', args: ['1000'] }), ready: async () => ({}) },
         { ready: nothing, died: nothing, changed: nothing }
       )
       await child.start(new AbortController().signal)
       console.log(child.pid)
       setInterval(() => {}, 1000)`
    )
    const process_ = spawn(process.execPath, ['--conditions=pekka-source', '--import=tsx', house], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const pid = await new Promise<number>(resolve =>
      process_.stdout.once('data', data => resolve(Number(String(data))))
    )
    const identity = holder(pid)
    assert.ok(lives(identity))
    // The program itself, not what first asks the kernel for the signal: killed before, nobody would send it.
    await until(() => readFileSync(`/proc/${pid}/comm`, 'utf8') === 'sleep\n')
    process_.kill('SIGKILL')
    await until(() => startTime(pid) === undefined || !lives(identity))
  })
})
