import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { READ_HIGH_WATER_BYTES, STREAM_WINDOW_BYTES, WRITE_HIGH_WATER_BYTES } from '@pekka/node/host/network'
import { TestNetwork } from './support.js'
import { itInFull } from '../../support/effort.js'

const MEBI = 1 << 20
/** 300 MB in messages of 64 KiB. */
const MESSAGES = 4800
const SIZE = 65_536

/** The n-th message of the big transfer: its number in front, so that order and completeness are seen. */
const numbered = (n: number): Uint8Array => {
  const bytes = new Uint8Array(SIZE).fill(n & 255)
  new DataView(bytes.buffer).setUint32(0, n)
  return bytes
}

describe('MessageChannel, 300 MB', function () {
  this.timeout(120_000)
  const network = new TestNetwork()
  const children: ChildProcess[] = []
  afterEach(async () => {
    await network.stop()
    for (const child of children.splice(0)) {
      if (child.exitCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
  })

  /** The reading side in a process of its own, so that each side's memory can be told. */
  async function reader(mode: string): Promise<{ child: ChildProcess; address: string }> {
    const child = fork(fileURLToPath(new URL('./reader-process.ts', import.meta.url)), [mode], {
      execArgv: ['--conditions=pekka-source', '--import=tsx', '--expose-gc']
    })
    children.push(child)
    const [{ address }] = (await once(child, 'message')) as [{ address: string }] // what reader-process.ts sends first
    return { child, address }
  }

  const expected = (): string => {
    const hash = createHash('sha256')
    for (let n = 0; n < MESSAGES; n++) hash.update(numbered(n))
    return hash.digest('hex')
  }

  for (const delay of [0, 20]) {
    for (const mode of ['eager', 'slow']) {
      // The extremes always; the whole table at length.
      const test = (delay === 0) === (mode === 'eager') ? it : itInFull
      test(`arrives whole at ${2 * delay} ms round trip with ${mode === 'slow' ? 'a slow' : 'an eager'} reader, in bounded memory on both sides`, async () => {
        const { child, address } = await reader(mode)
        const done = once(child, 'message')
        const host = await network.host()
        // The proxy in this process holds what is on the line; without a delay the line is the loopback itself.
        const near = await host.open(delay === 0 ? address : await network.before(address, { delay }), '/pekka/sink/1')
        const started = performance.now()
        let peak = 0
        for (let n = 0; n < MESSAGES; n++) {
          await near.send(numbered(n))
          if (n % 50 === 0) peak = Math.max(peak, rawBuffered(near))
        }
        await near.closeWrite()
        const [result] = (await done) as [{ messages: number; digest: string; heldBytes: number }] // reader-process.ts
        const seconds = (performance.now() - started) / 1000
        if (process.env['PEKKA_TEST_FIGURES'] !== undefined) {
          console.error(`      ${((MESSAGES * SIZE) / 1e6 / seconds).toFixed(0)} MB/s`, {
            peak,
            held: result.heldBytes
          })
        }
        assert.equal(result.messages, MESSAGES)
        assert.equal(result.digest, expected())
        assert.ok(peak <= WRITE_HIGH_WATER_BYTES + 2 * SIZE, `the sender had ${peak} bytes waiting`)
        // Three times the bound of the channel, for pieces that are being decrypted or copied; without backpressure a slow
        // reader holds most of the 300 MB.
        const bound = 3 * (READ_HIGH_WATER_BYTES + 2 * STREAM_WINDOW_BYTES + MEBI)
        assert.ok(result.heldBytes <= bound, `the reader held ${result.heldBytes} bytes`)
      })
    }
  }

  it('makes the sender wait for a reader that takes nothing, and goes on when it does', async () => {
    const { near, far } = await network.pair()
    let sent = 0
    const sending = (async () => {
      for (; sent < 640; sent++) await near.send(numbered(sent))
      await near.closeWrite()
    })()
    let last = -1
    while (sent !== last) {
      last = sent
      await new Promise(resolve => setTimeout(resolve, 300))
    }
    const most = (READ_HIGH_WATER_BYTES + STREAM_WINDOW_BYTES + WRITE_HIGH_WATER_BYTES) / SIZE + 4
    assert.ok(sent <= most, `${sent} messages were sent to a reader that took none`)
    for (let n = 0; n < 640; n++) assert.deepEqual(await far.receive(), numbered(n))
    assert.equal(await far.receive(), null)
    await sending
  })

  it('survives a reader that stops and goes on again and again', async () => {
    const { near, far } = await network.pair({ delay: 5 })
    const sending = (async () => {
      for (let n = 0; n < 1600; n++) await near.send(numbered(n))
      await near.closeWrite()
    })()
    for (let n = 0; n < 1600; n++) {
      if (n % 160 === 159) await new Promise(resolve => setTimeout(resolve, 150))
      assert.deepEqual(await far.receive(), numbered(n))
    }
    assert.equal(await far.receive(), null)
    await sending
  })

  it('notices a connection cut in the middle of it on both sides, at any moment', async () => {
    for (const after of [1, 40, 300]) {
      const { near, far, proxy } = await network.pair({ delay: 2 })
      let sent = 0
      const sending = (async () => {
        for (;;) await near.send(numbered(sent++))
      })()
      let got = 0
      const receiving = (async () => {
        for await (const message of far) {
          assert.deepEqual(message, numbered(got))
          got += 1
          if (got === after) proxy.cut()
        }
      })()
      const lost = (error: unknown) => error instanceof Error && 'code' in error && error.code === 'LINK_LOST'
      await Promise.all([assert.rejects(sending, lost), assert.rejects(receiving, lost)])
      assert.ok(got >= after && got <= sent)
      await network.stop()
    }
  })

  it('goes through a line of 1 Mbit/s and 80 ms', async () => {
    const { near, far } = await network.pair({ delay: 40, bytesPerSecond: 125_000 })
    for (let n = 0; n < 4; n++) await near.send(numbered(n))
    await near.closeWrite()
    for (let n = 0; n < 4; n++) assert.deepEqual(await far.receive(), numbered(n))
    assert.equal(await far.receive(), null)
  })

  function rawBuffered(channel: object): number {
    return (channel as { stream: { writeBufferLength: number } }).stream.writeBufferLength // the private stream below it
  }
})
