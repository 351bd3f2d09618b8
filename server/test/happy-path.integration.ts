import assert from 'node:assert/strict'
import type { TaskEvent } from '@pekka/node/protocol'
import { World, cell, type Person } from './support/world.js'

describe('a task through the bridge', function () {
  this.timeout(30_000)
  let world: World
  let person: Person

  before(async () => {
    world = await World.start()
    person = await world.person()
  })
  after(() => world.stop())

  it('is taken in, run, streamed, committed, settled and has a receipt', async () => {
    const client = world.client(person)
    const task = await client.submit(cell('print("hello")'))
    const events: TaskEvent[] = []
    const follower = await client.follow(task, { events: batch => void events.push(...batch) })
    const { phase, finished } = await follower.ended
    assert.equal(phase.phase, 'settled')
    assert.ok(events.some(event => event.type === 'stream' && event.text === 'hello\n'))
    const item = await client.task(task)
    assert.equal(item.bridge, 'on-ledger')
    assert.equal(item.view?.state, 'settled')
    assert.ok(item.entries >= 4)
    const receipt = await client.receipt(task, finished)
    assert.deepEqual(receipt.stored?.key, world.bridge.key)
    const { tasks } = await client.tasks()
    assert.deepEqual(
      tasks.map(({ task: id, title }) => [id, title?.title]),
      [[task, 'a cell']]
    )
  })
})
