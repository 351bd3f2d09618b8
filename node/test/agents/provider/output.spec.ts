import assert from 'node:assert/strict'
import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { TaskReader, type ReaderOutput } from '@pekka/node/client'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'
import {
  ACK_WINDOW_BYTES,
  FRAME_SIZES,
  TAG_BYTES,
  chainOf,
  equalBytes,
  runKeys,
  signRunHeader,
  toHex,
  verifyHead,
  type LogEntry,
  type ProviderMessage,
  type RunHeader,
  type SignedHead,
  type TaskEvent
} from '@pekka/node/protocol'
import { Batcher } from '../../../src/agents/provider/output/batcher.js'
import { Delivery, type LinkSender } from '../../../src/agents/provider/output/delivery.js'
import { FrameWriter } from '../../../src/agents/provider/output/frame-writer.js'
import { takeOutLarge } from '../../../src/agents/provider/output/large-values.js'
import { RunFile } from '../../../src/agents/provider/output/run-file.js'

const primitives = createPrimitives()
const signer = createSigner(new Uint8Array(32).fill(3))
const network = new Uint8Array(32).fill(1)
const task = new Uint8Array(32).fill(2)
const provider = new Uint8Array(32).fill(4)
const taskKey = new Uint8Array(32).fill(5)

const print = (text: string): TaskEvent => ({ type: 'stream', cell: 'a', name: 'stdout', text, t: 1 })

interface TestRun {
  file: RunFile
  writer: FrameWriter
  delivery: Delivery
  heads: SignedHead[]
  readKey: Uint8Array
  header: RunHeader
}

describe('output of a run', () => {
  let directory = ''
  const files: RunFile[] = []
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'pekka-output-'))))
  afterEach(async () => {
    for (const file of files.splice(0)) await file.close()
    await rm(directory, { recursive: true })
  })

  async function run(number = 1, now?: () => number): Promise<TestRun> {
    const client = await primitives.agreement.generate()
    const own = await primitives.agreement.generate()
    const binding = { network, task, attempt: 1, run: number }
    const keys = await runKeys(primitives.agreement, own.privateKey, client.publicKey, binding)
    const startedAt = 7
    const header = await signRunHeader({ v: 1, ...binding, provider, runKey: own.publicKey, startedAt }, signer)
    const file = await RunFile.create(join(directory, `run-${number}`), header)
    files.push(file)
    const delivery = new Delivery(file)
    const heads: SignedHead[] = []
    const writer = new FrameWriter(
      {
        aead: primitives.aead,
        signer,
        file,
        onHead: head => {
          heads.push(head)
          delivery.head(head)
        },
        onWritten: () => void delivery.pump(),
        onBlob: (hash, before) => delivery.blob(hash, before)
      },
      header,
      keys,
      now
    )
    return { file, writer, delivery, heads, readKey: client.privateKey, header }
  }

  /** What a client makes of a run's frames. */
  async function read({ file, header, readKey }: TestRun): Promise<TaskEvent[]> {
    const frames = await file.read(0, file.count, Infinity)
    const entries: LogEntry[] = [
      { n: 0, kind: 'run', header },
      ...frames.map((sealed, index) => ({ n: index + 1, kind: 'frame' as const, attempt: 1, run: 1, index, sealed }))
    ]
    const reader = new TaskReader(
      { primitives, blob: hash => file.readBlob(hash) },
      { network, task, readKey, taskKey, agents: new Map() }
    )
    const events: TaskEvent[] = []
    const take = (output: ReaderOutput) => output.kind === 'events' && events.push(...output.events)
    for await (const output of reader.read(entries)) take(output)
    return events
  }

  it('is read by a client as it was written, in frames of the padded sizes only', async () => {
    const one = await run()
    const written: TaskEvent[] = []
    for (const size of [0, 1, 200, 300, 5_000, 20_000, 64_000, 70_000, 200_000]) {
      const event = print('x'.repeat(size))
      written.push(event)
      await one.writer.write({ events: [event], manifest: null })
    }
    assert.deepEqual(await read(one), written)
    for (const frame of await one.file.read(0, one.file.count, Infinity)) {
      assert.ok(FRAME_SIZES.includes(frame.length - TAG_BYTES), `a frame of ${frame.length} bytes`)
    }
  })

  it('puts values over 256 KiB into blobs and gives them back', async () => {
    const one = await run()
    const events: TaskEvent[] = [
      print('y'.repeat(300_000)),
      { type: 'stream', cell: null, name: 'stderr', text: new Uint8Array(400_000).fill(9), t: 2 },
      {
        type: 'display_data',
        cell: 'a',
        data: {
          'image/png': 'A'.repeat(500_000),
          'text/plain': '<Figure>',
          'application/json': { n: ['z'.repeat(300_000)] }
        },
        metadata: {},
        t: 3
      }
    ]
    for (const event of events) {
      const slim = await takeOutLarge(event, value => one.writer.blob(value))
      await one.writer.write({ events: [slim], manifest: null })
    }
    assert.ok(one.file.bytesFrom(0) < 10_000)
    assert.deepEqual(await read(one), events)
  })

  it('signs the head with frame 0, then once a second, and at the end', async () => {
    let now = 0
    const one = await run(1, () => now)
    const counts = () => one.heads.map(head => head.count)
    await one.writer.write({ events: [print('a')], manifest: null })
    assert.deepEqual(counts(), [1])
    now = 999
    await one.writer.write({ events: [print('b')], manifest: null })
    assert.deepEqual(counts(), [1])
    now = 1000
    await one.writer.write({ events: [print('c')], manifest: null })
    assert.deepEqual(counts(), [1, 3])
    await one.writer.write({ events: [print('d')], manifest: null }, true)
    assert.deepEqual(counts(), [1, 3, 4])
    const frames = await one.file.read(0, 4, Infinity)
    for (const head of one.heads) {
      assert.ok(await verifyHead(network, head, primitives.verifier))
      assert.ok(equalBytes(head.head, chainOf(one.header, frames.slice(0, head.count)).head))
    }
  })

  it('never seals twice under one key and nonce: not in another run, not in another life', async () => {
    const seen = new Set<string>()
    const aead = {
      ...primitives.aead,
      seal: (key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, associated: Uint8Array) => {
        const pair = `${toHex(key)}/${toHex(nonce)}`
        assert.ok(!seen.has(pair), 'a pair was used twice')
        seen.add(pair)
        return primitives.aead.seal(key, nonce, plaintext, associated)
      }
    }
    for (const number of [1, 2, 3]) {
      const one = await run(number)
      const watched = new FrameWriter(
        { aead, signer, file: one.file, onHead: () => {}, onWritten: () => {}, onBlob: () => {} },
        one.header,
        await runKeys(
          primitives.agreement,
          (await primitives.agreement.generate()).privateKey,
          one.header.runKey,
          one.header
        )
      )
      for (let i = 0; i < 20; i++) await watched.write({ events: [print('same')], manifest: null })
      await watched.blob('same')
      await watched.blob('same')
    }
    assert.equal(seen.size, 3 * 22)
  })

  it('survives the end of the process, but for what was being written', async () => {
    const one = await run()
    for (let i = 0; i < 50; i++) await one.writer.write({ events: [print(`line ${i}`)], manifest: null })
    const frames = await one.file.read(0, 50, Infinity)
    // a frame of which only the beginning came onto the disk
    await appendFile(one.file.path, new Uint8Array([0, 0, 1, 16, 1, 2, 3]))
    const again = await RunFile.open(one.file.path)
    files.push(again)
    assert.equal(again.count, 50)
    assert.deepEqual(again.header, one.header)
    assert.deepEqual(await again.read(0, 50, Infinity), frames)
    await again.append([new Uint8Array([7])])
    assert.deepEqual(await again.read(50, 1, Infinity), [new Uint8Array([7])])
    assert.equal(
      (await readFile(one.file.path)).length,
      again.bytesFrom(0) + (await readFile(one.file.path)).length - again.bytesFrom(0)
    )
  })
})

describe('Batcher', () => {
  it('keeps every event, once and in order, whatever their sizes and the writer’s speed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(100_000), { maxLength: 40 }), fc.nat(3), async (sizes, delay) => {
        const got: TaskEvent[] = []
        const batcher = new Batcher(async events => {
          if (delay > 0) await new Promise(resolve => setTimeout(resolve, delay))
          got.push(...events)
        })
        const events = sizes.map((size, i) => print(`${i}:${'x'.repeat(size)}`))
        for (const event of events) await batcher.push(event)
        await batcher.flush()
        assert.deepEqual(got, events)
      }),
      { numRuns: 25 }
    )
  })

  it('gathers what is printed in quick succession, and sends the first at once', async () => {
    const batches: number[] = []
    const batcher = new Batcher(async events => void batches.push(events.length))
    await batcher.push(print('first'))
    await Promise.resolve()
    assert.deepEqual(batches, [1])
    for (let i = 0; i < 100; i++) await batcher.push(print('more'))
    await batcher.flush()
    assert.equal(
      batches.reduce((sum, n) => sum + n),
      101
    )
    assert.ok(batches.length <= 4, `${batches.length} batches`)
  })

  it('lets the end of a run wait for no company', async () => {
    // Of the second batch the clock says that it is due in a day.
    let asked = 0
    const got: TaskEvent[] = []
    const batcher = new Batcher(
      async events => void got.push(...events),
      () => (++asked === 2 ? 1e8 : 0)
    )
    await batcher.push(print('first'))
    await Promise.resolve()
    assert.equal(got.length, 1)
    await batcher.push(print('last'))
    await new Promise(resolve => setImmediate(resolve))
    assert.equal(got.length, 1)
    await batcher.flush()
    assert.equal(got.length, 2)
  })

  it('makes its caller wait while much is unwritten', async () => {
    const gate = Promise.withResolvers<void>()
    const batcher = new Batcher(() => gate.promise)
    let pushed = 0
    const pushing = (async () => {
      for (; pushed < 100; pushed++) await batcher.push(print('x'.repeat(20_000)))
    })()
    await new Promise(resolve => setTimeout(resolve, 30))
    assert.ok(pushed < 25, `${pushed} were taken`)
    gate.resolve()
    await pushing
    await batcher.flush()
    assert.equal(pushed, 100)
  })

  it('tells its caller when writing fails', async () => {
    const batcher = new Batcher(() => Promise.reject(new Error('disk full')))
    await batcher.push(print('a')).catch(() => {})
    await assert.rejects(batcher.flush(), /disk full/)
    await assert.rejects(batcher.push(print('b')), /disk full/)
  })
})

describe('Delivery', () => {
  let directory = ''
  const files: RunFile[] = []
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'pekka-delivery-'))))
  afterEach(async () => {
    for (const file of files.splice(0)) await file.close()
    await rm(directory, { recursive: true })
  })

  const frame = (n: number, size = 1000): Uint8Array => {
    const bytes = new Uint8Array(size).fill(n)
    new DataView(bytes.buffer).setUint32(0, n)
    return bytes
  }
  const head = (count: number): SignedHead => ({
    task,
    attempt: 1,
    run: 1,
    count,
    head: frame(count, 32),
    key: signer.publicKey,
    signature: new Uint8Array(64)
  })

  async function delivery(): Promise<{ file: RunFile; delivery: Delivery }> {
    const header = await signRunHeader(
      { v: 1, network, task, attempt: 1, run: 1, provider, runKey: provider, startedAt: 1 },
      signer
    )
    const file = await RunFile.create(join(directory, `${files.length}`), header)
    files.push(file)
    return { file, delivery: new Delivery(file) }
  }

  /** A bridge that keeps what it is sent, strict about numbers, and acknowledges when told. */
  class Bridge implements LinkSender {
    readonly frames: Uint8Array[] = []
    readonly heads: number[] = []
    readonly blobs: string[] = []
    announced = 0
    broken = false

    constructor(frames: Uint8Array[] = []) {
      this.frames = [...frames]
    }

    async send(message: ProviderMessage): Promise<void> {
      await new Promise(resolve => setImmediate(resolve))
      if (this.broken) throw new Error('the link is gone')
      if (message.kind === 'run') this.announced += 1
      if (message.kind === 'head') {
        assert.equal(message.head.count, this.frames.length, 'a head stands right behind its last frame')
        this.heads.push(message.head.count)
      }
      if (message.kind === 'frames') {
        assert.equal(this.announced, 1)
        assert.ok(message.index <= this.frames.length, 'no gap')
        this.frames.splice(message.index, Infinity, ...message.frames)
      }
    }

    async putBlob(_task: Uint8Array, hash: Uint8Array): Promise<void> {
      this.blobs.push(toHex(hash))
    }
  }

  const settled = async () => {
    for (let i = 0; i < 200; i++) await new Promise(resolve => setImmediate(resolve))
  }

  /** Waits until the check holds. */
  const eventually = async (check: () => void) => {
    for (let tries = 0; ; tries++) {
      try {
        return check()
      } catch (error) {
        if (tries > 300) throw error
        await new Promise(resolve => setTimeout(resolve, 10))
      }
    }
  }

  it('sends header, frames and heads in order, and stops at the window until it is acknowledged', async () => {
    const { file, delivery: one } = await delivery()
    const bridge = new Bridge()
    one.attach(bridge, 0)
    const all = Array.from({ length: 3000 }, (_, n) => frame(n))
    await file.append(all)
    one.head(head(3000))
    await settled()
    assert.ok(bridge.frames.length * 1004 <= ACK_WINDOW_BYTES + 256 * 1024, `${bridge.frames.length} frames in flight`)
    assert.deepEqual(bridge.heads, [])
    while (one.acknowledged < 3000) {
      one.acknowledge(bridge.frames.length, null)
      await settled()
    }
    assert.deepEqual(bridge.frames, all)
    await eventually(() => assert.deepEqual(bridge.heads, [3000]))
    assert.ok(one.complete)
  })

  it('goes on over a new link where the bridge is, and repeats the last head', async () => {
    const { file, delivery: one } = await delivery()
    const all = Array.from({ length: 100 }, (_, n) => frame(n))
    const first = new Bridge()
    one.attach(first, 0)
    await file.append(all.slice(0, 60))
    one.head(head(60))
    await eventually(() => assert.deepEqual(first.heads, [60]))
    first.broken = true
    await file.append(all.slice(60))
    one.head(head(100))
    await settled()
    // 55 of the 60 had reached its disk
    const second = new Bridge(all.slice(0, 55))
    one.attach(second, 55)
    await eventually(() => assert.equal(second.frames.length, 100))
    assert.deepEqual(second.frames, all)
    await eventually(() => assert.deepEqual(second.heads, [100]))
    one.acknowledge(100, null)
    const third = new Bridge(all)
    one.attach(third, 100)
    await eventually(() => assert.deepEqual(third.heads, [100]))
  })

  it('hands a blob over before the frames that refer to it, also again after a lost link', async () => {
    const { file, delivery: one } = await delivery()
    const hash = new Uint8Array(32).fill(8)
    await file.putBlob(hash, new Uint8Array([1]))
    one.blob(hash, 2)
    const order: string[] = []
    const bridge: LinkSender = {
      send: async message => {
        if (message.kind === 'frames') order.push(`${message.index}+${message.frames.length}`)
      },
      putBlob: async () => {
        order.push('blob')
        if (order.filter(one => one === 'blob').length === 1) throw new Error('lost')
      }
    }
    one.attach(bridge, 0)
    await file.append([frame(0), frame(1), frame(2), frame(3)])
    await one.pump()
    await eventually(() => assert.deepEqual(order, ['0+2', 'blob']))
    one.attach(bridge, 2)
    await eventually(() => assert.deepEqual(order, ['0+2', 'blob', 'blob', '2+2']))
  })

  it('believes no acknowledgement of what it never sent', async () => {
    const { file, delivery: one } = await delivery()
    await file.append([frame(0)])
    one.acknowledge(1_000_000, null)
    assert.equal(one.acknowledged, 1)
    await file.append([frame(1), frame(2)])
    const bridge = new Bridge([frame(0)])
    one.attach(bridge, 1)
    await eventually(() => assert.equal(bridge.frames.length, 3))
    assert.deepEqual(bridge.frames, [frame(0), frame(1), frame(2)])
  })

  it('lets its run wait while the bridge is far behind', async () => {
    const { file, delivery: one } = await delivery()
    await file.append(Array.from({ length: 100 }, (_, n) => frame(n)))
    let free = false
    const waiting = one.waitUntilBehind(50_000, new AbortController().signal).then(() => (free = true))
    one.acknowledge(40, null)
    await settled()
    assert.equal(free, false)
    one.acknowledge(60, null)
    await waiting
  })
})
