import assert from 'node:assert/strict'
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { DEVNET_PARAMETERS, equalBytes, priceOf, toHex } from '@pekka/node/protocol'
import { startTime } from '@pekka/node/setup/hold'
import { imageRoot } from '../../host/sandbox/support.js'
import { World, cells, eventually, textOf } from './world.js'

/** Longer than a provider is between two signs of life (10 s), by what a busy machine may take; half of what networks have. */
const LEASE_MS = 15_000

describe('provider process', function () {
  this.timeout(120_000)
  let world: World

  before(async function () {
    world = new World(imageRoot(this), { parameters: { ...DEVNET_PARAMETERS, leaseMs: LEASE_MS } })
    await world.start()
    await world.addProvider()
  })
  after(async () => {
    await world?.stop()
  })
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.error(world.providerLog.split('\n').slice(-40).join('\n'))
    assert.deepEqual(world.bridge.complaints, [])
  })

  it('registers, bonds, and publishes asks under its name and peer key', async () => {
    const [ask] = await world.ledger.asks('base-small')
    assert.equal(ask?.provider.name, 'provider-1')
    assert.equal(ask?.provider.bond, 1_000_000n)
    assert.equal(ask?.ask.runtime, 'bubblewrap')
  })

  it('runs cells, streams their output sealed, and commits what it streamed', async () => {
    const { task } = await world.run(cells('x = 6 * 7\nprint("hello", x)', 'x'))
    const view = await world.until(task, 'settled')
    const { events, reader } = await world.read(task)
    assert.equal(textOf(events), 'hello 42\n')
    const result = events.find(event => event.type === 'execute_result')
    assert.deepEqual(result?.type === 'execute_result' && result.data, { 'text/plain': '42' })
    assert.equal(events.at(-1)?.type, 'done')
    // As the client does before it says "received" (R7): head, digests, blind and commitment.
    assert.equal(reader.confirm(view), true)
    const claim = view.attempts[0]?.claim
    assert.equal(claim?.outcome, 'ok')
    assert.ok(claim.stored !== null && equalBytes(claim.stored.head, claim.head), 'the bridge has signed for all of it')
    const price = view.offer.candidates[0]?.pricePerSecond ?? 0n
    assert.equal(view.paid, priceOf(price, claim.usage.wallMs, view.offer.cap))
    const heads = [...world.bridge.runs.values()].find(run => equalBytes(run.header.task, task))?.heads ?? []
    assert.ok(heads.length >= 2, 'with frame 0 and at the end')
  })

  it('sends large values as blobs and long text whole', async () => {
    const { task } = await world.run(
      cells(
        'from IPython.display import display\ndisplay({"text/plain": "big", "text/html": "<p>" + "x" * 600_000}, raw=True)',
        'print("y" * 3_000_000)'
      )
    )
    const view = await world.until(task, 'settled')
    const { events, reader } = await world.read(task)
    const shown = events.find(event => event.type === 'display_data')
    assert.ok(shown?.type === 'display_data' && String(shown.data['text/html']).length === 600_003)
    assert.equal(textOf(events).length, 3_000_001)
    assert.equal(reader.confirm(view), true)
  })

  it('fetches a large bundle, runs a script with arguments and hands on its exit code', async () => {
    const padding = '#'.repeat(400_000)
    const source = Buffer.from(`import sys\nprint(sys.argv[1:])\nsys.exit(3)\n${padding}`)
    const { task, prepared } = await world.run({ kind: 'script', file: 'fit.py', source, args: ['a', 'b c'] })
    assert.equal(prepared.inline, false)
    const view = await world.until(task, 'settled')
    assert.equal(await world.text(task), "['a', 'b c']\n")
    assert.equal(view.attempts[0]?.claim?.outcome, 'user')
    const { reader } = await world.read(task)
    assert.equal(reader.finished?.done.exitCode, 3)
  })

  it('runs tasks side by side, and those without a place after them', async () => {
    const tasks = []
    for (let i = 0; i < 5; i++) tasks.push(await world.run(cells(`import time; time.sleep(0.3); print(${i})`)))
    for (const [i, { task }] of tasks.entries()) {
      await world.until(task, 'settled')
      assert.equal(await world.text(task), `${i}\n`)
    }
  })

  it('stops a task that is cancelled and claims no more than the time up to then', async () => {
    const { task } = await world.run(cells('import time\nprint("on", flush=True)\ntime.sleep(60)'))
    await eventually(async () => world.bridge.entries(task).some(entry => entry.kind === 'frame'))
    await world.until(task, 'running')
    await world.sender.send(world.ledger, { kind: 'cancel', task })
    const view = await world.until(task, 'settled')
    assert.equal(view.reason, 'stopped')
    const [attempt] = view.attempts
    assert.equal(attempt?.claim?.outcome, 'stopped')
    assert.ok(attempt.claim.usage.wallMs <= (view.cancelledAt ?? 0) - attempt.acceptedAt)
    assert.equal(await world.text(task), 'on\n')
  })

  it('ends what goes over a limit or kills itself, keeps what was printed before, and is paid for it', async () => {
    const programs: [string, string, string, object][] = [
      ['print("spinning", flush=True)\nwhile True: pass', 'limit', 'wall-limit', { wallMs: 1_500 }],
      ['print("greedy", flush=True)\nx = [bytearray(10_000_000) for _ in range(10_000)]', 'limit', 'out-of-memory', {}],
      ['import os\nprint("leaving", flush=True)\nos._exit(7)', 'user', 'kernel-died', {}],
      [
        'import os, signal, time\nprint("killing", flush=True)\ntime.sleep(0.3)\nos.kill(os.getppid(), signal.SIGKILL)',
        'user',
        'runner-lost',
        {}
      ]
    ]
    for (const [source, outcome, reason, limits] of programs) {
      const { task } = await world.run(cells(source), limits)
      const view = await world.until(task, 'settled')
      const { events, reader } = await world.read(task)
      const done = events.at(-1)
      assert.deepEqual([done?.type === 'done' && done.outcome, done?.type === 'done' && done.reason], [outcome, reason])
      assert.match(textOf(events), /^(spinning|greedy|leaving|killing)\n/)
      assert.equal(view.attempts[0]?.claim?.outcome, outcome)
      assert.equal(reader.confirm(view), true)
    }
  })

  it('holds its lease over a run that is longer than it', async () => {
    const { task } = await world.run(cells(`import time\ntime.sleep(${LEASE_MS / 1000 + 1})\nprint("slept")`))
    const view = await world.until(task, 'settled')
    assert.equal(view.attempts.length, 1)
    assert.equal(await world.text(task), 'slept\n')
  })

  it('declines what it can’t open, and goes on', async () => {
    const wrongBundle = await world.offer(cells('print(1)'))
    const flipped = wrongBundle.prepared.sealedBundle.slice()
    flipped[40] = (flipped[40] ?? 0) ^ 1
    await world.notice(wrongBundle, { bundle: flipped })
    const wrongKey = await world.offer(cells('print(2)'))
    const other = await world.offer(cells('print(3)'))
    await world.notice(wrongKey, { box: other.prepared.boxes[0] ?? null })
    for (const { task } of [wrongBundle, wrongKey]) {
      const view = await world.until(task, 'refunded', 'closed')
      assert.equal(view.reason, 'no-provider')
      assert.equal(view.attempts.length, 0)
    }
    await world.notice(other)
    await world.until(other.task, 'settled')
    assert.equal(await world.text(other.task), '3\n')
  })

  it('survives notices that make no sense', async () => {
    const sent = await world.offer(cells('print("still here")'))
    const garbage = new Uint8Array(300).fill(0xa5)
    const nobody = new Uint8Array(32).fill(9)
    await world.notice(sent, { transaction: garbage, task: nobody })
    await world.notice(sent, { task: nobody })
    await world.bridge.tell({ kind: 'box', task: nobody, box: garbage.subarray(0, 80) })
    await world.bridge.tell({ kind: 'ack', task: nobody, attempt: 1, run: 1, count: 5, stored: null })
    // and one that isn't even a message: the link is made again
    const before = world.bridge.hellos
    await world.bridge.links.at(-1)?.channel.send(garbage)
    await eventually(() => world.bridge.hellos > before)
    await world.notice(sent)
    await world.until(sent.task, 'settled')
    assert.equal(await world.text(sent.task), 'still here\n')
    world.bridge.complaints.splice(0)
  })

  it('goes on when the bridge is away in mid-run, and loses and repeats nothing', async () => {
    const { task } = await world.run(
      cells('import time\nfor i in range(60):\n    print(i, flush=True)\n    time.sleep(0.05)')
    )
    await eventually(() => world.bridge.entries(task).length > 5)
    await world.bridge.stop()
    await new Promise(resolve => setTimeout(resolve, 700))
    await world.bridge.start()
    const view = await world.until(task, 'settled')
    await eventually(async () => (await world.read(task)).reader.finished !== null)
    const { reader } = await world.read(task)
    assert.equal(await world.text(task), Array.from({ length: 60 }, (_, i) => `${i}\n`).join(''))
    assert.equal(reader.confirm(view), true)
    world.bridge.complaints.splice(0)
  })

  it('after kill -9 in mid-run removes what it left and fails the attempt at once', async () => {
    const { task } = await world.run(cells('import time\nprint("begun", flush=True)\ntime.sleep(600)'))
    await eventually(async () => (await world.text(task)) === 'begun\n')
    await world.until(task, 'running')
    const inside = await sandboxProcesses()
    assert.ok(inside.length > 0)
    await world.endProvider('SIGKILL')
    await world.startProvider()
    const view = await world.until(task, 'refunded', 'closed')
    assert.equal(view.attempts[0]?.ended, 'failed')
    assert.equal(view.paid, 0n)
    await eventually(() => !inside.some(alive), 'something still runs')
    const next = await world.run(cells('print("well again")'))
    await world.until(next.task, 'settled')
  })

  it('after kill -9 commits and delivers what had finished', async () => {
    const { task } = await world.run(cells('import time\nprint("a" * 10, flush=True)\ntime.sleep(1.5)\nprint("b")'))
    await eventually(async () => (await world.text(task)) === `${'a'.repeat(10)}\n`)
    await world.until(task, 'running')
    await world.bridge.stop()
    await world.witness.end('SIGKILL')
    // It ends meanwhile; neither ledger nor bridge can be told.
    await eventually(() => isKept(task), 'the finished run never was written down')
    await world.endProvider('SIGKILL')
    await world.bridge.start()
    await world.witness.start()
    await world.startProvider()
    const view = await world.until(task, 'settled')
    assert.equal(view.attempts[0]?.claim?.outcome, 'ok')
    await eventually(async () => (await world.read(task)).reader.finished !== null)
    const { reader } = await world.read(task)
    assert.equal(await world.text(task), `${'a'.repeat(10)}\nb\n`)
    assert.equal(reader.confirm(view), true)
    world.bridge.complaints.splice(0)
  })

  it('keeps sealed output and opening until the task is closed', async () => {
    const { task } = await world.run(cells('print(1)'))
    await world.until(task, 'settled')
    const files = await readdir(join(world.folder, 'provider/state/runs/frames'))
    assert.ok(files.some(name => name.startsWith(toHex(task)) && name.endsWith('.bundle')))
    assert.ok(files.includes(`${toHex(task)}-1-1`))
  })

  it('drains on SIGTERM: what runs ends and is committed, its asks are gone', async () => {
    const { task } = await world.run(cells('import time\ntime.sleep(2)\nprint("done")'))
    await world.until(task, 'running')
    const inside = await sandboxProcesses()
    assert.equal(await world.endProvider('SIGTERM'), 0)
    const view = await world.until(task, 'settled')
    assert.equal(view.attempts[0]?.claim?.outcome, 'ok')
    assert.deepEqual(await world.ledger.asks(null), [])
    await eventually(() => !inside.some(alive), 'something of it still runs')
  })

  /** Whether what is to be committed stands on the provider's disk: in the log of its table, which is in use. */
  async function isKept(task: Uint8Array): Promise<boolean> {
    const folder = join(world.folder, 'provider/state/runs/index')
    for (const name of (await readdir(folder)).filter(one => one.endsWith('.log'))) {
      const written = await readFile(join(folder, name), 'latin1').catch(() => '')
      const record = written.lastIndexOf(toHex(task))
      if (record < 0) continue
      // Up to the next record's key: those of earlier tasks are still written, and have an opening.
      const [own = ''] = written.slice(record + 64).split(/[0-9a-f]{64}/, 1)
      if (own.includes('opening')) return true
    }
    return false
  }

  /** Whoever descends from the provider's process: its sandboxes. */
  async function sandboxProcesses(): Promise<number[]> {
    const parents = new Map<number, number>()
    for (const name of await readdir('/proc')) {
      const stat = /^\d+$/.test(name) ? await readFile(`/proc/${name}/stat`, 'utf8').catch(() => '') : ''
      const parent = /^\d+ \(.*\) \S (\d+)/s.exec(stat)?.[1]
      if (parent !== undefined) parents.set(Number(name), Number(parent))
    }
    const found = new Set([world.provider?.pid ?? 0])
    for (let grown = true; grown;) {
      grown = false
      for (const [pid, parent] of parents) {
        if (!found.has(parent) || found.has(pid)) continue
        found.add(pid)
        grown = true
      }
    }
    return [...found].slice(1)
  }

  const alive = (pid: number) => startTime(pid) !== undefined
})
