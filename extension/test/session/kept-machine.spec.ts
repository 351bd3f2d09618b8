import assert from 'node:assert/strict'
import type { RemoteSession, SessionObserver } from '@pekka/node/client'
import type { TaskEvent } from '@pekka/node/protocol'
import { KeptMachine } from '../../src/session/kept-machine.js'

const says = (t: number): TaskEvent => ({ type: 'stream', cell: 'a', name: 'stdout', text: 'x', t })

/** A machine that is followed, and who tells of it. */
async function followed(now: () => number) {
  const observers: SessionObserver[] = []
  const session = { follower: { ended: new Promise(() => undefined) }, ends: [], stop: () => undefined }
  const follow = (observer: SessionObserver): Promise<RemoteSession> => {
    observers.push(observer)
    return Promise.resolve(session as unknown as RemoteSession) // as much as is used
  }
  const components = { follow, nameOf: () => undefined, now }
  const machine = new KeptMachine(components, { task: new Uint8Array(32), native: false })
  await machine.follow()
  const take = (index: number, events: TaskEvent[]): void => {
    for (const observer of observers) void observer.events?.(index, events)
  }
  return { machine, take }
}

describe('session: a machine as the page follows it', () => {
  it('knows since when its cell runs, though the page reads what it has said all at once', async () => {
    let now = 100_000
    const { machine, take } = await followed(() => now)
    take(1, [says(0), says(30_000)])
    take(1, [says(50_000)])
    assert.equal(machine.snapshot.runningSince, 50_000)
    // A late word of a cell that is followed as it runs changes nothing.
    now = 120_000
    take(1, [says(60_000)])
    assert.equal(machine.snapshot.runningSince, 50_000)
    assert.equal(machine.running, 1)
  })
})
