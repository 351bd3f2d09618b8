import assert from 'node:assert/strict'
import Docker from 'dockerode'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { attach, separate } from '../../../src/host/sandbox/docker/attach.js'
import { temporaryDirectory } from './support.js'

const frame = (stream: number, body: string) => {
  const header = Buffer.alloc(8)
  header[0] = stream
  header.writeUInt32BE(Buffer.byteLength(body), 4)
  return Buffer.concat([header, Buffer.from(body)])
}

describe('docker streams', () => {
  it('come apart however the bytes are cut', async () => {
    const all = Buffer.concat([frame(1, 'out '), frame(2, 'err '), frame(1, ''), frame(1, 'more'), frame(2, 'ors')])
    for (let size = 1; size <= all.length; size++) {
      const joint = new PassThrough()
      const { stdout, stderr } = separate(joint)
      for (let at = 0; at < all.length; at += size) joint.write(all.subarray(at, at + size))
      joint.end()
      assert.deepEqual(await Promise.all([text(stdout), text(stderr)]), ['out more', 'err ors'])
    }
  })

  it('take in no more than a few pieces while nobody reads, and all of it once flushed', async () => {
    const joint = new PassThrough()
    const { stdout, flush } = separate(joint)
    const piece = frame(1, 'x'.repeat(65_536))
    for (let count = 0; count < 100; count++) joint.write(piece)
    joint.end()
    await new Promise(resolve => setImmediate(() => setImmediate(resolve)))
    assert.ok(stdout.readableLength <= 2 * 65_536 + 65_536, String(stdout.readableLength))
    flush()
    assert.equal((await text(stdout)).length, 100 * 65_536)
  })

  it('end when the engine goes away in the middle of a piece', async () => {
    const joint = new PassThrough()
    const { stdout, stderr } = separate(joint)
    joint.write(frame(1, 'half of it').subarray(0, 12))
    await new Promise(resolve => setImmediate(resolve))
    joint.destroy()
    assert.deepEqual(await Promise.all([text(stdout), text(stderr)]), ['half', ''])
  })
})

describe('attaching to a container', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  let server: Server | undefined

  before(async () => (directory = await temporaryDirectory()))
  after(() => directory.remove())
  afterEach(() => server?.close())

  /** An engine as far as attaching goes; resolves with all that came over the connection. */
  async function engine(answer: string): Promise<{ docker: Docker; received: Promise<string> }> {
    const socketPath = join(directory.path, `${Math.random()}.sock`)
    const received = Promise.withResolvers<string>()
    server = createServer({ allowHalfOpen: true }, socket => {
      let all = ''
      let answered = false
      socket.on('data', chunk => {
        all += chunk.toString()
        if (!answered && all.includes('\r\n\r\n')) {
          answered = true
          socket.write(answer)
        }
      })
      socket.on('end', () => {
        received.resolve(all)
        socket.end()
      })
    })
    await new Promise<void>(resolve => server?.listen(socketPath, resolve))
    return { docker: new Docker({ socketPath }), received: received.promise }
  }

  it("sends nothing before the caller's bytes", async () => {
    const { docker, received } = await engine('HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n')
    const stream = await attach(docker, 'abc')
    stream.end('mine')
    stream.resume()
    const [head = '', body] = (await received).split('\r\n\r\n')
    assert.equal(body, 'mine')
    assert.match(head, /^POST \/containers\/abc\/attach\?stream=1&stdin=1&stdout=1&stderr=1 HTTP\/1.1\r\n/)
    assert.match(head, /content-length: 0/i)
  })

  it('fails where the engine refuses', async () => {
    const { docker } = await engine('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n')
    await assert.rejects(attach(docker, 'abc'), { code: 'SANDBOX_FAILED' })
  })

  it('gives up with its caller', async () => {
    const { docker } = await engine('')
    const controller = new AbortController()
    const attached = attach(docker, 'abc', controller.signal)
    controller.abort()
    await assert.rejects(attached, { code: 'SANDBOX_FAILED' })
  })
})
