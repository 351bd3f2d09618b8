import assert from 'node:assert/strict'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Server } from 'socket.io'
import { SOCKET_PATH } from '@pekka/node/protocol'
import { liveSocket } from '../../../node/src/cli/task/session.js'
import { until } from '../support/world.js'

describe('the command line’s live connection', function () {
  this.timeout(60_000)
  const http = createServer()
  let server: Server
  let base: string
  let refusals = 0
  let welcomes = 0

  before(async () => {
    server = new Server(http, { path: SOCKET_PATH })
    server.use((socket, next) => {
      const good = socket.handshake.auth['token'] === 'good'
      if (!good) refusals++
      next(good ? undefined : new Error('TOKEN_INVALID'))
    })
    server.on('connection', () => welcomes++)
    await new Promise<void>(resolve => http.listen(0, '127.0.0.1', resolve))
    const { port } = http.address() as AddressInfo
    base = `http://127.0.0.1:${port}`
  })
  after(() => server.close())

  it('comes back after refusals and after the bridge ended it, until it is closed', async () => {
    let asked = 0
    const socket = liveSocket(base)(async () => (asked++ < 2 ? 'old' : 'good'))
    const told: string[] = []
    for (const event of ['connect', 'connect_error', 'disconnect']) socket.on(event, () => void told.push(event))
    socket.connect()
    await until('it is let in', () => welcomes === 1)
    assert.equal(refusals, 2)
    server.disconnectSockets(true)
    await until('it is back', () => welcomes === 2 && socket.connected)
    assert.deepEqual(told, ['connect_error', 'connect_error', 'connect', 'disconnect', 'connect'])
    // Its way back is under way, but nobody wants it any more.
    server.disconnectSockets(true)
    await until('it is out', () => !socket.connected)
    socket.disconnect()
    const other = liveSocket(base)(async () => 'old')
    let tries = 0
    other.on('connect_error', () => tries++)
    other.connect()
    await until('others try for longer than that', () => tries === 4)
    other.disconnect()
    assert.equal(welcomes, 2)
  })
})
