import assert from 'node:assert/strict'
import { PekkaClient, type LiveFactory } from '@pekka/node/client'
import { createPrimitives, readSigner, systemClock } from '@pekka/node/host/crypto'
import { SOCKET_PATH, type TaskEvent } from '@pekka/node/protocol'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import { DelayProxy } from '../../../node/test/support/delay-proxy.js'
import { TestNetwork, needNetwork } from '../../../node/test/support/network.js'
import { expectRun } from './expect.js'

/** Half of a round trip of 80 ms, and 1 Mbit/s. */
const LINE = { delay: 40, bytesPerSecond: 125_000 }
/** Who `nobody` is on Debian: an ordinary user without rights. */
const NOBODY = 65_534

const printed = (events: TaskEvent[]): string =>
  events
    .map(event => {
      if (event.type !== 'stream' || event.name !== 'stdout') return ''
      return typeof event.text === 'string' ? event.text : new TextDecoder().decode(event.text as Uint8Array)
    })
    .join('')

const notebookOf = (...sources: string[]): string =>
  JSON.stringify({
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {},
    cells: sources.map((source, index) => ({
      cell_type: 'code',
      id: `c${index}`,
      source,
      metadata: {},
      outputs: [],
      execution_count: null
    }))
  })

/** docs/failures.md names these tests. */
describe('the core path on a long line and without rights', function () {
  this.timeout(120_000)
  let network: TestNetwork | undefined

  afterEach(async function () {
    this.timeout(60_000)
    await network?.stop()
    network = undefined
  })

  it('runs a script and cancels another over 80 ms and 1 Mbit/s', async function () {
    this.timeout(240_000)
    needNetwork(this)
    network = await TestNetwork.start()
    const target = { host: '127.0.0.1', port: Number(new URL(network.bridge).port) }
    const proxy = new DelayProxy({ target, ...LINE })
    const base = `http://127.0.0.1:${await proxy.start()}`
    const signer = await readSigner(join(network.home, 'wallet', 'cli-key.json'))
    const live: LiveFactory = token =>
      io(base, {
        path: SOCKET_PATH,
        transports: ['websocket'],
        autoConnect: false,
        auth: done => void token().then(value => done({ token: value }))
      })
    const components = { fetch, live, primitives: createPrimitives(), clock: systemClock }
    const client = new PekkaClient(components, { base, identity: { ...network.client.identity, signer } })
    try {
      const run = async (source: string, after?: (seen: string, task: Uint8Array) => void) => {
        const program = {
          kind: 'script' as const,
          file: 'far.py',
          source: new TextEncoder().encode(source),
          args: []
        }
        const note = { v: 1 as const, title: 'far.py', kind: 'script' as const, path: null, cells: [] }
        const task = await client.submit({ program, image: 'base', cap: 500_000n, note })
        const events: TaskEvent[] = []
        const follower = await client.follow(task, {
          events: batch => {
            events.push(...batch)
            after?.(printed(events), task)
          }
        })
        const end = await follower.ended
        follower.stop()
        return { end, text: printed(events) }
      }
      const passedBefore = proxy.passed
      const long = await run('for i in range(3000): print("a line of output, number", i)\n')
      assert.equal(long.text, Array.from({ length: 3000 }, (_, i) => `a line of output, number ${i}\n`).join(''))
      assert.equal(long.end.phase.phase, 'settled')
      assert.ok(proxy.passed - passedBefore > 80_000, 'the output went another way')

      let cancelled: Promise<unknown> | undefined
      const short = await run('import time\nprint("going", flush=True)\nwhile True: time.sleep(1)\n', (seen, task) => {
        if (seen === 'going\n') cancelled ??= client.cancel(task)
      })
      await cancelled
      assert.equal(short.text, 'going\n')
      assert.equal(short.end.finished?.done.reason, 'cancelled')
      assert.equal(short.end.item?.view?.reason, 'stopped')
      await network.quiet()
    } finally {
      client.close()
      await proxy.stop()
    }
  })

  it('starts, runs a script and a notebook’s cells and cancels others as an unprivileged user', async function () {
    this.timeout(240_000)
    needNetwork(this)
    // an ordinary user runs this test as themselves
    const root = process.getuid?.() === 0
    network = await TestNetwork.start(root ? { uid: NOBODY, env: { HOME: '/nonexistent' } } : {})
    const run = await network.run('user.py', 'print("as anybody")')
    assert.equal(run.stdout, 'as anybody\n')
    await expectRun(network, run, { exit: 0, says: ['Done, not re-run'], state: 'settled', pays: 'its seconds' })

    const path = await network.file(
      'endless.py',
      'import time\nprint("going", flush=True)\nwhile True: time.sleep(1)\n'
    )
    const before = await network.free()
    const command = network.begin(['run', path])
    await command.printed('going\n')
    command.kill('SIGINT')
    const ended = await command.ended
    const stopped = { ...ended, item: await network.newest(), before, after: await network.free() }
    const says = ['Cancelled by you  output so far is kept  ']
    await expectRun(network, stopped, { exit: 130, says, state: 'settled', reason: 'stopped', pays: 'its seconds' })

    const cells = await network.run('user.ipynb', notebookOf('answer = 42', 'print("cell", answer)'))
    assert.equal(cells.stdout, 'cell 42\n')
    await expectRun(network, cells, { exit: 0, says: ['Done, not re-run'], state: 'settled', pays: 'its seconds' })

    const source = 'import time\nprint("cell", flush=True)\nwhile True: time.sleep(1)'
    const notebook = await network.file('endless.ipynb', notebookOf('first = 1', source, 'print("never")'))
    const free = await network.free()
    const under = network.begin(['run', notebook])
    await under.printed('cell\n')
    under.kill('SIGINT')
    const cut = { ...(await under.ended), item: await network.newest(), before: free, after: await network.free() }
    assert.equal(cut.stdout, 'cell\n')
    await expectRun(network, cut, { exit: 130, says, state: 'settled', reason: 'stopped', pays: 'its seconds' })
  })
})
