import assert from 'node:assert/strict'
import type { TaskEvent } from '@pekka/node/protocol'
import type { TaskFollower, TaskObserver, TaskUpdate } from '@pekka/node/client'
import { RemoteTask, type EventSink, type KeptCell } from '../../src/run/remote-task.js'

/** A follower as the client makes it: it hears nothing before it is `made`. */
class Made {
  readonly follower: TaskFollower
  stopped = false
  #ready: (follower: TaskFollower) => void = () => undefined
  fail: (error: Error) => void = () => undefined

  constructor(readonly observer: TaskObserver) {
    this.follower = {
      ended: new Promise<TaskUpdate>((_, reject) => (this.fail = reject)),
      stop: () => (this.stopped = true)
    } as unknown as TaskFollower // as much as is used
  }

  readonly promise = new Promise<TaskFollower>(resolve => (this.#ready = resolve))

  ready(): void {
    this.#ready(this.follower)
  }

  says(text: string): void {
    void this.observer.events?.([{ type: 'stream', cell: 'a', name: 'stdout', text, t: 0 }])
  }

  ends(): void {
    this.observer.update?.({ phase: { phase: 'refunded', reason: 'cancelled' }, item: null, finished: null })
  }
}

class Sink implements EventSink {
  text = ''
  superseded(): void {
    this.text = ''
  }
  events(events: Parameters<EventSink['events']>[0]): void {
    for (const event of events) if (event.type === 'stream') this.text += String(event.text)
  }
}

const turn = (): Promise<void> => new Promise(resolve => setImmediate(resolve))

describe('run: who follows a task', () => {
  let task: RemoteTask
  let made: Made[]
  const make = (observer: TaskObserver): Promise<TaskFollower> => {
    const one = new Made(observer)
    made.push(one)
    return one.promise
  }

  beforeEach(() => {
    made = []
    task = new RemoteTask({ nameOf: () => undefined, now: () => 0 }, new Uint8Array(32), 0)
  })

  it('is followed from when that is asked, so that nobody begins anew beside it', async () => {
    const sink = new Sink()
    const following = task.follow(sink, make)
    assert.equal(task.followed, true)
    await turn()
    made[0]?.ready()
    await following
    made[0]?.says('one')
    assert.equal(sink.text, 'one')
  })

  it('goes to the newest alone, in whatever order their followers are made', async () => {
    const [first, second] = [new Sink(), new Sink()]
    const both = [task.follow(first, make), task.follow(second, make)]
    await turn()
    for (const one of made) one.ready()
    await turn()
    for (const one of made) one.ready()
    await Promise.all(both)
    const last = made.at(-1)
    for (const one of made) one.says(one === last ? 'yes' : 'no')
    assert.deepEqual([first.text, second.text], ['', 'yes'])
    assert.deepEqual(
      made.map(({ stopped }) => stopped),
      made.map(one => one !== last)
    )
  })

  it('is not taken from its writer by who let go of it long ago', async () => {
    const [first, second] = [new Sink(), new Sink()]
    for (const sink of [first, second]) {
      const following = task.follow(sink, make)
      await turn()
      made.at(-1)?.ready()
      await following
    }
    task.unfollow(first)
    assert.equal(task.followed, true)
    assert.deepEqual(
      made.map(({ stopped }) => stopped),
      [true, false]
    )
    task.unfollow(second)
    assert.equal(task.followed, false)
    assert.equal(made[1]?.stopped, true)
  })

  it('is whole for all who wait, also when another follows it meanwhile, or nobody any more', async () => {
    void task.follow(null, make)
    await turn()
    made[0]?.ready()
    let whole = 0
    void task.whole().then(() => whole++)
    const sink = new Sink()
    void task.follow(sink, make)
    await turn()
    made[0]?.ends()
    await turn()
    assert.equal(whole, 0, 'what it was followed by before says nothing any more')
    made[1]?.ready()
    await turn()
    made[1]?.ends()
    await turn()
    assert.equal(whole, 1)
    void task.follow(sink, make)
    void task.whole().then(() => whole++)
    await turn()
    task.unfollow(sink)
    await turn()
    assert.equal(whole, 2)
  })
})

describe('run: since when a task runs', () => {
  const told = async (sentAt: number, now: () => number, kept: KeptCell | null = null) => {
    const task = new RemoteTask({ nameOf: () => undefined, now }, new Uint8Array(32), sentAt, kept)
    const made: Made[] = []
    const following = task.follow(null, observer => {
      made.push(new Made(observer))
      return made[0]?.promise ?? Promise.reject(new Error('not made'))
    })
    await turn()
    made[0]?.ready()
    await following
    return { task, says: (...events: TaskEvent[]) => void made[0]?.observer.events?.(events) }
  }
  const starts = (cell: string, t: number): TaskEvent => ({ type: 'cell-start', cell, t })
  const prints = (t: number): TaskEvent => ({ type: 'stream', cell: 'a', name: 'stdout', text: '', t })

  it('is told by the latest word of a page that reads all at once, and so is its cell', async () => {
    let now = 100_000
    const { task, says } = await told(40_000, () => now)
    says(starts('a', 1_000), prints(20_000), prints(50_000))
    assert.equal(task.snapshot.runningSince, 50_000)
    assert.deepEqual(task.snapshot.progress.get('a'), { status: 'running', since: 51_000 })
    // As it goes on, late words change nothing.
    now = 130_000
    says(prints(60_000))
    assert.equal(task.snapshot.runningSince, 50_000)
    says({ type: 'cell-end', cell: 'a', status: 'ok', executionCount: 1, t: 61_000 }, starts('b', 61_000))
    assert.deepEqual(task.snapshot.progress.get('a'), { status: 'ok', ms: 60_000 })
    assert.deepEqual(task.snapshot.progress.get('b'), { status: 'running', since: 111_000 })
  })

  it('is never before it was sent, whatever a machine says', async () => {
    const { task, says } = await told(90_000, () => 100_000)
    says(prints(1e12))
    assert.equal(task.snapshot.runningSince, 90_000)
  })

  it('of a kept machine’s cell is by its own time, for nobody knows here when it was sent', async () => {
    const kept = { index: 1, follow: () => Promise.reject(new Error('unused')), interrupt: () => Promise.resolve() }
    const { task, says } = await told(100_000, () => 100_000, kept)
    says(starts('a', 0), prints(30_000))
    assert.equal(task.snapshot.runningSince, 70_000)
  })
})
