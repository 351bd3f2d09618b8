import assert from 'node:assert/strict'
import type { Stream } from '@libp2p/interface'
import { updateRarely } from '../../../src/host/network/few-updates.js'
import { TestNetwork } from './support.js'

const ASKED = 1
const TAKEN = 2
const ESTABLISHED = 3

/** The library's stream, as far as updates go: each gives the whole window back. */
function fake(state: number) {
  const told: number[] = []
  const stream = {
    state,
    recvWindow: 1000,
    recvWindowCapacity: 1000,
    sendWindowUpdate() {
      told.push(this.recvWindow - this.recvWindowCapacity)
      this.recvWindowCapacity = this.recvWindow
    },
    take(bytes: number) {
      this.recvWindowCapacity -= bytes
      this.sendWindowUpdate()
    }
  }
  updateRarely(stream as unknown as Stream)
  return { stream, told }
}

describe('window updates of a stream', () => {
  it('are sent when half of the window is used, for all of it', () => {
    const { stream, told } = fake(ESTABLISHED)
    for (let i = 0; i < 25; i++) stream.take(100)
    assert.deepEqual(told, [500, 500, 500, 500, 500])
  })

  it('also before the other side has answered, when it has sent that much', () => {
    const { stream, told } = fake(ASKED)
    for (let i = 0; i < 6; i++) stream.take(100)
    assert.deepEqual(told, [500])
  })

  it('are sent at once where they tell that the stream was taken', () => {
    const { stream, told } = fake(TAKEN)
    stream.take(1)
    assert.deepEqual(told, [1])
  })

  it('leave a stream of another kind as it is', () => {
    const other = { state: 3, sendWindowUpdate: () => 'mine' }
    updateRarely(other as unknown as Stream)
    assert.equal(other.sendWindowUpdate(), 'mine')
  })

  it('stay rare on the library’s own streams: small messages are not answered one by one', async () => {
    const network = new TestNetwork()
    try {
      const server = await network.listener()
      await server.handle('/pekka/test/1', async channel => {
        for await (const message of channel) await channel.send(message)
      })
      const client = await network.host()
      const near = await client.open(server.addresses()[0] ?? '', '/pekka/test/1')
      const { stream } = near as unknown as { stream: { sendFrame: (frame: { type: number }) => unknown } }
      const send = stream.sendFrame.bind(stream)
      const count = { messages: 0, updates: 0 }
      stream.sendFrame = (frame: { type: number }, ...rest: []) => {
        if (frame.type === 0) count.messages++
        else count.updates++
        return send(frame, ...rest)
      }
      for (let n = 0; n < 50; n++) {
        await near.send(new Uint8Array([n]))
        assert.deepEqual(await near.receive(), new Uint8Array([n]))
      }
      assert.deepEqual(count, { messages: 50, updates: 0 })
      near.abort(new Error('over'))
    } finally {
      await network.stop()
    }
  })
})
