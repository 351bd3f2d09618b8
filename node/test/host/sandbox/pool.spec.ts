import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { createSandboxPool } from '@pekka/node/host/sandbox'
import type { AdjustableLimits, Sandbox, SandboxExit, SandboxPoolInit, SandboxRuntime } from '@pekka/node/host/sandbox'
import { PekkaError } from '@pekka/node/protocol'
import { LIMITS } from './support.js'

/** Sandboxes that run nothing: the pool's own rules are about when they are made, handed out and removed. */
class MemorySandbox implements Sandbox {
  readonly stdin = new PassThrough()
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  private readonly end = Promise.withResolvers<SandboxExit>()
  readonly exited = this.end.promise
  limits: AdjustableLimits | undefined
  removed = false

  constructor(
    readonly id: string,
    private readonly failing: () => boolean
  ) {}

  async setLimits(limits: AdjustableLimits) {
    if (this.failing()) throw new PekkaError('SANDBOX_FAILED', { issue: 'limits' })
    this.limits = limits
  }
  async usage() {
    return { cpuMs: 0, maxMemoryBytes: 0, oomKills: 0 }
  }
  async kill() {
    this.end.resolve({ code: 137, signal: 'SIGKILL', oomKilled: false })
  }
  async remove() {
    await this.kill()
    this.removed = true
  }
}

class MemoryRuntime implements SandboxRuntime {
  readonly name = 'bubblewrap'
  readonly made: MemorySandbox[] = []
  failing = false
  limitsFail = false
  tries = 0

  async create() {
    this.tries++
    if (this.failing) throw new PekkaError('SANDBOX_FAILED', { issue: 'broken' })
    const sandbox = new MemorySandbox(String(this.made.length), () => this.limitsFail)
    this.made.push(sandbox)
    return sandbox
  }
  probe = () => Promise.reject(new Error('not used'))
  cleanup = () => Promise.resolve(0)
  close = () => Promise.resolve()
  get living() {
    return this.made.filter(({ removed }) => !removed)
  }
}

const image = { root: '/', digest: 'a', environment: {} }
const other = { root: '/', digest: 'b', environment: {} }
const log = { info: () => {}, warn: () => {} }
const signal = new AbortController().signal

describe('warm pool', () => {
  let runtime: MemoryRuntime
  beforeEach(() => (runtime = new MemoryRuntime()))

  /** What the pool does later is done at once, but where a test holds it back. */
  let later = (work: () => void): void => work()
  const make = (init: Partial<SandboxPoolInit> = {}, start: () => Promise<string> = async () => 'session') =>
    createSandboxPool(
      { runtime, log, start, later: work => later(work) },
      { argv: ['/runner'], limits: LIMITS, warm: [{ image, size: 2 }], ...init }
    )
  /** Until what was begun has been done; nothing here waits for time. */
  const settled = async () => {
    for (let count = 0; count < 50; count++) await turn()
  }

  it('keeps as many waiting as asked, and no more', async () => {
    const pool = make()
    await settled()
    assert.deepEqual([...pool.waiting()], [['a', 2]])
    assert.equal(runtime.made.length, 2)
    await pool.stop()
  })

  it('hands a waiting one out with the limits of its task, once, and fills up again', async () => {
    const pool = make()
    await settled()
    const first = await pool.take(image, { ...LIMITS, memoryBytes: 1 << 30, cpus: 2 }, signal)
    const second = await pool.take(image, LIMITS, signal)
    assert.ok(first.warm && second.warm)
    assert.notEqual(first.sandbox, second.sandbox)
    assert.equal(runtime.made[0]?.limits?.memoryBytes, 1 << 30)
    await settled()
    assert.deepEqual([...pool.waiting()], [['a', 2]])
    await first.release()
    assert.ok(runtime.made[0]?.removed)
    await pool.stop()
  })

  it('leaves the machine to a task that begins: what it took is replaced later', async () => {
    const held: (() => void)[] = []
    later = work => void held.push(work)
    try {
      const pool = make({ warm: [{ image, size: 1 }] })
      await settled()
      const { warm } = await pool.take(image, LIMITS, signal)
      await settled()
      assert.ok(warm)
      assert.equal(runtime.made.length, 1)
      for (const work of held) work()
      await settled()
      assert.deepEqual([...pool.waiting()], [['a', 1]])
      await pool.stop()
    } finally {
      later = work => work()
    }
  })

  it('starts one for an image of which none waits, and for limits that can only be set at the start', async () => {
    const pool = make()
    await settled()
    const cold = await pool.take(other, LIMITS, signal)
    const large = await pool.take(image, { ...LIMITS, diskBytes: 1 << 30 }, signal)
    assert.deepEqual([cold.warm, large.warm], [false, false])
    await pool.stop()
  })

  it('starts a fresh one where a waiting one can not take the limits of the task', async () => {
    const pool = make({ warm: [{ image, size: 1 }] })
    await settled()
    runtime.limitsFail = true
    const taken = await pool.take(image, LIMITS, signal)
    assert.equal(taken.warm, false)
    assert.ok(runtime.made[0]?.removed)
    await pool.stop()
  })

  it('replaces one that dies while it waits', async () => {
    const pool = make({ warm: [{ image, size: 1 }] })
    await settled()
    await runtime.made[0]?.kill()
    await settled()
    assert.ok(runtime.made[0]?.removed)
    assert.deepEqual([...pool.waiting()], [['a', 1]])
    assert.equal(runtime.made.length, 2)
    await pool.stop()
  })

  it('waits longer and longer while starting fails, and does not hammer', async () => {
    runtime.failing = true
    const pool = make()
    await settled()
    assert.equal(runtime.tries, 1)
    await pool.stop()
    assert.equal(runtime.tries, 1)
  })

  it('tells a task why its sandbox could not be started', async () => {
    runtime.failing = true
    const pool = make({ warm: [] })
    await assert.rejects(pool.take(image, LIMITS, signal), { code: 'SANDBOX_FAILED' })
    await pool.stop()
  })

  it('removes a sandbox whose runner ends or fails before it is ready', async () => {
    const pool = make({ warm: [] }, () => Promise.reject(new Error('no runner')))
    await assert.rejects(pool.take(image, LIMITS, signal), /no runner/)
    assert.deepEqual(runtime.living, [])
    const hanging = make({ warm: [] }, () => new Promise(() => {}))
    const taken = hanging.take(image, LIMITS, signal)
    await settled()
    await runtime.made.at(-1)?.kill()
    await assert.rejects(taken, { code: 'SANDBOX_FAILED' })
    assert.deepEqual(runtime.living, [])
    await Promise.all([pool.stop(), hanging.stop()])
  })

  it('removes the sandbox of a task that is cancelled while it starts', async () => {
    const pool = make({ warm: [] }, () => new Promise(() => {}))
    const controller = new AbortController()
    const taken = pool.take(image, LIMITS, controller.signal)
    await settled()
    controller.abort(new Error('cancelled'))
    await assert.rejects(taken, /cancelled/)
    assert.deepEqual(runtime.living, [])
    await pool.stop()
  })

  it('keeps what waits within its memory', async () => {
    const pool = make({ warm: [{ image, size: 5 }], maxMemoryBytes: 3 * LIMITS.memoryBytes })
    await settled()
    assert.deepEqual([...pool.waiting()], [['a', 3]])
    await pool.stop()
  })

  it('follows a change of what should wait', async () => {
    const pool = make()
    await settled()
    pool.setWarm([{ image: other, size: 1 }])
    await settled()
    assert.deepEqual(Object.fromEntries(pool.waiting()), { a: 0, b: 1 })
    assert.equal(runtime.living.length, 1)
    await pool.stop()
  })

  it('drains: nothing waits, nothing is started, what serves a task goes on until it is released', async () => {
    const pool = make()
    await settled()
    const taken = await pool.take(image, LIMITS, signal)
    let drained = false
    const draining = pool.drain().then(() => (drained = true))
    await settled()
    assert.deepEqual(runtime.living, [taken.sandbox])
    assert.equal(drained, false)
    await assert.rejects(pool.take(image, LIMITS, signal), { code: 'SANDBOX_FAILED' })
    await taken.release()
    await draining
    assert.deepEqual(runtime.living, [])
  })

  it('stops: nothing is left, whatever it was doing', async () => {
    const pool = make({ warm: [{ image, size: 3 }] })
    await turn()
    await pool.stop()
    await settled()
    assert.deepEqual(runtime.living, [])
  })
})
