import assert from 'node:assert/strict'
import { toHex } from '@pekka/node/protocol'
import type { ISessionContext } from '@jupyterlab/apputils'
import type { Kernel } from '@jupyterlab/services'
import { Signal } from '@lumino/signaling'
import { PekkaError } from '@pekka/node/protocol'
import { ReturnDesk } from '../../src/values/desk.js'
import type { ReturnSource, ReturnedValue } from '../../src/values/returns.js'

/** A kernel with the helper loaded, which notes what is called there. */
class TestKernel {
  readonly calls: string[] = []
  /** How often a page has said that it answers. */
  targets = 0
  target: ((comm: unknown, message: unknown) => void) | null = null
  readonly supportsSubshells = true
  status: Kernel.Status = 'idle'
  readonly info = Promise.resolve({ language_info: { name: 'python' } })
  readonly expressions: string[] = []
  #told: (() => void)[] = []

  registerCommTarget(_: string, target: (comm: unknown, message: unknown) => void): void {
    this.targets++
    this.target = target
  }

  requestExecute({ user_expressions }: { user_expressions: { pekka: string } }): { done: Promise<unknown> } {
    const expression = user_expressions.pekka
    const name = /\.get\('_pekka_kernel'\)\.([\w.]+)\(/.exec(expression)?.[1]
    if (name !== undefined) this.calls.push(name)
    this.expressions.push(expression)
    for (const tell of this.#told.splice(0)) tell()
    const answers: Record<string, unknown> = {
      'returns.claim': this.calls.filter(call => call === 'returns.claim').length === 1,
      'returns.bind': { issue: null },
      'returns.bind_all': { issues: [null, 'it claims 9 bytes and has 1'] }
    }
    const data =
      name === undefined
        ? { 'text/plain': 'True' }
        : { 'application/vnd.pekka+json': JSON.stringify(answers[name] ?? null) }
    return { done: Promise.resolve({ content: { status: 'ok', user_expressions: { pekka: { status: 'ok', data } } } }) }
  }

  /** Resolves when something of this name was called so often. */
  async called(name: string, times = 1): Promise<void> {
    while (this.calls.filter(call => call === name).length < times)
      await new Promise<void>(resolve => this.#told.push(resolve))
  }

  /** What `pekka.get` in a cell does. */
  ask(name: string, target = this.target): void {
    target?.(null, { content: { data: { op: 'get', id: 'one', name } } })
  }
}

const HASH = new Uint8Array(32).fill(7)

function world() {
  const kernel = new TestKernel()
  const owner = {}
  const status = new Signal<object, Kernel.Status>(owner)
  const session = {
    session: { kernel },
    kernelChanged: new Signal<object, unknown>(owner),
    statusChanged: status
  } as unknown as ISessionContext // as much of one as a desk uses
  const value = (name: string, size: number): ReturnedValue => ({
    ...{ name, type: 'int', look: '7', codec: 'json', reason: null, size, parts: [], hash: HASH }
  })
  const values = [value('x', 1), value('y', 1), value('big', 100_000), { ...value('model', 9), codec: null }]
  const opened: boolean[] = []
  const follower = {
    async *open({ size }: { size: number }, whole = true) {
      opened.push(whole)
      yield new Uint8Array(size)
    }
  }
  const source: ReturnSource = {
    ...{ task: 't', submitted: 1, names: new Set(['x', 'y', 'big', 'model']) },
    reached: () => Promise.resolve(true),
    load: () => Promise.resolve({ values, follower })
  }
  const desk = (sources = [source]): ReturnDesk => new ReturnDesk({ session, sources: () => sources })
  return { kernel, status: (next: Kernel.Status) => status.emit(next), desk, source, opened }
}

describe('values: the page that hands them out', () => {
  it('answers pekka.get also when it was loaded anew, from what its notebook’s runs brought back', async () => {
    const { kernel, desk } = world()
    const first = desk()
    await kernel.called('returns.ready')
    first.dispose()
    desk()
    await kernel.called('returns.ready', 2)
    assert.equal(kernel.targets, 2)
    kernel.ask('big')
    await kernel.called('returns.settle')
    assert.deepEqual(kernel.calls.slice(2), ['returns.claim', 'returns.expect', 'returns.part', 'returns.settle'])
    assert.ok(kernel.expressions.at(-1)?.includes(toHex(HASH)), 'the kernel is told what to hold it against')
  })

  it('answers from an older run where the newest is another browser’s', async () => {
    const { kernel, desk, source } = world()
    const theirs: ReturnSource = {
      ...{ ...source, task: 'theirs', submitted: 2 },
      reached: () => Promise.resolve(false),
      load: () => Promise.reject(new PekkaError('TASK_UNKNOWN'))
    }
    desk([source, theirs])
    await kernel.called('returns.ready')
    kernel.ask('x')
    await kernel.called('returns.settle')
    assert.ok(kernel.calls.includes('returns.part'))
  })

  it('leaves the answer to other pages first where it can reach none of the runs', async () => {
    const { kernel, desk, source } = world()
    const theirs: ReturnSource = {
      ...source,
      reached: () => Promise.resolve(false),
      load: () => Promise.reject(new PekkaError('TASK_UNKNOWN'))
    }
    desk([theirs])
    await kernel.called('returns.ready')
    const stranger = kernel.target
    desk()
    await kernel.called('returns.ready', 2)
    // The stranger hears of it first.
    kernel.ask('x', stranger)
    await new Promise(resolve => setImmediate(resolve))
    kernel.ask('x')
    await kernel.called('returns.settle')
    assert.ok(kernel.calls.includes('returns.part'))
  })

  it('tells a kernel that was restarted that it is there, and answers it', async () => {
    const { kernel, desk, status } = world()
    desk()
    await kernel.called('returns.ready')
    status('restarting')
    status('starting')
    status('idle')
    await kernel.called('returns.ready', 2)
    status('busy')
    status('idle')
    kernel.ask('x')
    await kernel.called('returns.settle')
    assert.equal(kernel.calls.filter(call => call === 'returns.ready').length, 2)
  })

  it('tells a free kernel once that values are to come', async () => {
    const { kernel, desk } = world()
    const page = desk()
    await kernel.called('returns.ready')
    kernel.status = 'busy'
    page.expect()
    kernel.status = 'idle'
    page.expect()
    page.expect()
    await kernel.called('returns.expect')
    kernel.ask('x')
    await kernel.called('returns.settle')
    // The one for the cell that asked, besides.
    assert.equal(kernel.calls.filter(call => call === 'returns.expect').length, 2)
  })

  it('binds all that can come, small ones together, and says which were refused', async () => {
    const { kernel, desk, source, opened } = world()
    const said = await desk().bring(source)
    assert.deepEqual(opened, [true, true, false])
    const bound = kernel.expressions.filter(expression => expression.includes('returns.bind('))
    assert.ok(bound.length === 1 && bound[0]?.includes(toHex(HASH)), 'what is not hashed here as a whole is there')
    assert.match(said, /^In your kernel now: x, big\..*y.*it claims 9 bytes and has 1/)
    assert.equal(kernel.calls.filter(call => call === 'returns.bind_all').length, 1)
    assert.equal(kernel.calls.filter(call => call === 'returns.bind').length, 1)
  })
})
