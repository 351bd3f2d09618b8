import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectHouse, Control, type HouseStatus } from '../../../src/cli/house/control.js'

const starting: HouseStatus = { state: 'starting', pid: 1, kind: 'temporary' }
const ready: HouseStatus = { ...starting, state: 'ready', address: { bridge: 'b', wallet: { url: 'u', socket: 's' } } }

describe("a house's socket", () => {
  let folder: string
  let path: string
  let control: Control
  let counts: number[]
  let stops: number

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-control-'))
    path = join(folder, 'house')
    counts = []
    stops = 0
    control = new Control(starting, { users: count => counts.push(count), stop: () => (stops += 1) })
    await control.listen(path)
  })
  afterEach(async () => {
    await control.close()
    await rm(folder, { recursive: true, force: true })
  })
  const until = async (condition: () => boolean): Promise<void> => {
    while (!condition()) await new Promise(resolve => setTimeout(resolve, 5))
  }

  it('tells who connects how things stand, and then each change', async () => {
    const link = await connectHouse(path)
    assert.equal((await link?.until(() => true))?.state, 'starting')
    const later = link?.until(({ state }) => state === 'ready')
    control.tell(ready)
    assert.deepEqual(await later, ready)
    link?.close()
  })

  it('counts those who use the network until their connection closes, however they end', async () => {
    const links = await Promise.all([connectHouse(path), connectHouse(path), connectHouse(path)])
    links[0]?.send({ op: 'use' })
    links[1]?.send({ op: 'use' })
    links[1]?.send({ op: 'use' })
    await until(() => counts.length === 2)
    for (const link of links) link?.close()
    await until(() => counts.length === 4)
    assert.deepEqual(counts, [1, 2, 1, 0])
  })

  it('tells who leaves how many others keep it, so that only the last one waits for its end', async () => {
    control.tell(ready)
    const [one, other] = await Promise.all([connectHouse(path), connectHouse(path)])
    one?.send({ op: 'use' })
    other?.send({ op: 'use' })
    await until(() => counts.length === 2)
    const left = async (link: typeof one) => {
      link?.send({ op: 'leave' })
      const told = await link?.until(status => 'users' in status)
      link?.close()
      return told?.state === 'ready' ? told.users : undefined
    }
    assert.equal(await left(one), 1)
    assert.equal(await left(other), 0)
    assert.deepEqual(counts, [1, 2, 1, 0])
  })

  it('passes a wish to stop on, and takes no harm from what it does not understand', async () => {
    const link = await connectHouse(path)
    link?.send(JSON.parse('{"op":"burn"}'))
    link?.send({ op: 'stop' })
    await until(() => stops === 1)
    link?.close()
  })

  it('may go without having read what was said to it, as a killed process does: the other end lives on', async () => {
    const other = join(folder, 'killed')
    const server = createServer({ pauseOnConnect: true }).listen(other)
    const accepted = new Promise<Socket>(resolve => server.once('connection', resolve))
    const link = await connectHouse(other)
    link?.send({ op: 'use' })
    const socket = await accepted
    // closing with something unread resets the connection
    await new Promise(resolve => setTimeout(resolve, 50))
    socket.destroy()
    await link?.closed
    await new Promise(resolve => server.close(resolve))
  })

  it('that closes ends every wait', async () => {
    const link = await connectHouse(path)
    const wait = link?.until(({ state }) => state === 'ready')
    await control.close()
    assert.equal(await wait, undefined)
    assert.equal(await connectHouse(path), undefined)
  })
})
