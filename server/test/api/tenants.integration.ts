import assert from 'node:assert/strict'
import { io, type Socket } from 'socket.io-client'
import { SOCKET_PATH, decodeCbor, encodeCbor, subscribedSchema, toCid, toHex } from '@pekka/node/protocol'
import { World, cell, until, type Person } from '../support/world.js'

const TENANTS = 50

interface Tenant {
  person: Person
  token: string
  task: Uint8Array
  /** Hash of its sealed bundle, a blob. */
  bundle: Uint8Array
  socket: Socket
  /** All that the live stream has told it, unasked. */
  heard: { event: string; packed: Uint8Array }[]
}

describe('fifty tenants of one bridge (I1)', function () {
  this.timeout(120_000)
  let world: World
  const tenants: Tenant[] = []

  before(async () => {
    world = await World.start()
    // Half of them share an account: the members of a lab, each with a lane of their own.
    const lab = world.net.providers[1]
    const people: Person[] = []
    for (let i = 0; i < TENANTS; i++) people.push(await world.person(i % 2 === 0 ? world.net.demo : lab, 100_000n))
    // A provider fetches a few bundles at a time.
    while (people.length > 0) tenants.push(...(await Promise.all(people.splice(0, 5).map(enter))))
    await until('all are settled', async () => {
      const views = await Promise.all(tenants.map(({ task }) => world.ledger.task(task)))
      return views.every(view => view?.state === 'settled')
    })
  })
  after(async () => {
    for (const { socket } of tenants) socket.close()
    await world.stop()
  })

  async function enter(person: Person): Promise<Tenant> {
    const client = world.client(person)
    const token = await client.tokens.get()
    const options = { path: SOCKET_PATH, transports: ['websocket'], forceNew: true, auth: { token } }
    const socket = io(world.at.url, options)
    const heard: Tenant['heard'] = []
    socket.onAny((event: string, packed: unknown) => {
      if (packed instanceof Uint8Array) heard.push({ event, packed })
    })
    await new Promise<void>(resolve => socket.on('connect', resolve))
    const task = await client.submit(cell(`# ${toHex(person.signer.publicKey)} ${'x'.repeat(150_000)}`))
    const record = await until('the offer is final', async () => (await client.task(task)).view !== null).then(() =>
      client.task(task)
    )
    assert.ok(record.view)
    return { person, token, task, bundle: record.view.offer.bundle.hash, socket, heard }
  }

  const status = async (tenant: Tenant, path: string): Promise<number> => {
    const answer = await fetch(world.at.url + path, { headers: { authorization: `Bearer ${tenant.token}` } })
    await answer.arrayBuffer()
    return answer.status
  }
  const subscribe = async (tenant: Tenant, task: Uint8Array): Promise<string> => {
    const packed: unknown = await tenant.socket.emitWithAck('subscribe', encodeCbor({ task, after: -1 }))
    assert.ok(packed instanceof Uint8Array)
    const answer = subscribedSchema.parse(decodeCbor(packed))
    return answer.ok ? 'ok' : answer.code
  }
  const paths = ({ task, bundle }: Tenant): string[] => [
    `/v1/tasks/${toHex(task)}`,
    `/v1/tasks/${toHex(task)}/events`,
    `/v1/tasks/${toHex(task)}/proof`,
    `/v1/blobs/${toCid(bundle, 'raw')}?task=${toHex(task)}`
  ]

  it('each reads its own over HTTP, and nothing of any other', async () => {
    for (const reader of tenants) {
      for (const path of paths(reader)) assert.equal(await status(reader, path), 200, path)
      const others = tenants.filter(other => other !== reader)
      await Promise.all(
        others.map(async (other, i) => {
          // Its own task's name in front of somebody else's blob.
          const mixed = `/v1/blobs/${toCid(other.bundle, 'raw')}?task=${toHex(reader.task)}`
          const all = [...paths(other), mixed]
          // Each asks each other for two of the five, so that every kind is asked for hundreds of times.
          for (const turn of [i, i + 2]) {
            const path = all[turn % all.length] ?? mixed
            assert.equal(await status(reader, path), 404, path)
          }
        })
      )
    }
  })

  it('each lists its own task alone', async () => {
    for (const { person, task } of tenants) {
      const { tasks } = await world.client(person).tasks({ limit: 200 })
      assert.deepEqual(
        tasks.map(item => item.task),
        [task]
      )
    }
  })

  it('each follows its own task on the live stream, and can follow no other', async () => {
    for (const reader of tenants) {
      assert.equal(await subscribe(reader, reader.task), 'ok')
      for (const other of tenants)
        if (other !== reader) assert.equal(await subscribe(reader, other.task), 'TASK_UNKNOWN')
    }
  })

  it('none was told anything of another, asked or unasked', async () => {
    for (const reader of tenants) {
      await until('its own output is there', () => reader.heard.some(({ event }) => event === 'entries'))
      for (const { event, packed } of reader.heard) {
        const bytes = toHex(packed)
        for (const other of tenants) {
          if (other === reader) continue
          const { account, signer } = other.person.identity
          for (const secret of [other.task, other.bundle, signer.publicKey])
            assert.ok(!bytes.includes(toHex(secret)), `${event} told of another`)
          if (toHex(account) !== toHex(reader.person.identity.account))
            assert.ok(!bytes.includes(toHex(account)), `${event} told of another account`)
        }
      }
    }
  })
})
