import assert from 'node:assert/strict'
import type { KernelMessage } from '@jupyterlab/services'
import { CellClaims, writerLock } from '../../src/outputs/claims.js'
import { OutputCleaner } from '../../src/outputs/clean.js'
import { RemoteFuture } from '../../src/outputs/remote-future.js'

/** A future whose pauses end when the test says so. */
function bench(hintFor?: (error: { ename: string; evalue: string }) => string | undefined) {
  const pauses: (() => void)[] = []
  const future = new RemoteFuture(
    {
      cleaner: new OutputCleaner({}, { run: 'r' }),
      timer: { set: then => pauses.push(then), clear: () => pauses.splice(0) }
    },
    { id: 'f', date: '2026-01-01T00:00:00Z', ...(hintFor === undefined ? {} : { hintFor }) }
  )
  const seen: string[] = []
  const show = (msg: KernelMessage.IMessage): void => {
    const { text, data, execution_state: state } = msg.content as Record<string, unknown> // whatever the type has
    seen.push(
      `${msg.header.msg_type} ${String(text ?? state ?? (data === undefined ? '' : JSON.stringify(data)))}`.trim()
    )
  }
  future.onIOPub = show
  future.onReply = show
  const say = (text: string, name: 'stdout' | 'stderr' = 'stdout'): void =>
    future.push({ type: 'stream', cell: 'a', name, text, t: 0 })
  return { future, seen, say, pauses }
}

describe('outputs: the remote future', () => {
  it('shows the first text at once and gathers the rest until the pause ends', async () => {
    const { future, seen, say, pauses } = bench()
    say('a')
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(seen, ['stream a'])
    say('b')
    say('c')
    say('E', 'stderr')
    await new Promise(resolve => setImmediate(resolve))
    assert.deepEqual(seen, ['stream a'])
    pauses.shift()?.()
    await future.settled()
    assert.deepEqual(seen, ['stream a', 'stream bc', 'stream E'])
  })

  it('keeps the order between text and other outputs', async () => {
    const { future, seen, say } = bench()
    say('1')
    say('2')
    future.push({ type: 'display_data', cell: 'a', data: { 'text/plain': 'x' }, metadata: {}, t: 0 })
    say('3')
    await future.finish('ok', 1)
    assert.deepEqual(seen, [
      'stream 1',
      'stream 2',
      'display_data {"text/plain":"x"}',
      'stream 3',
      'status idle',
      'execute_reply'
    ])
  })

  it('waits for a slow listener before the next message, and for the reply before done', async () => {
    const { future, seen, say } = bench()
    const order: string[] = []
    future.onIOPub = async msg => {
      order.push(`in ${msg.header.msg_type}`)
      await new Promise(resolve => setTimeout(resolve, 5))
      order.push('out')
    }
    say('1')
    future.push({ type: 'clear_output', cell: 'a', wait: false, t: 0 })
    void future.finish('error', 3)
    const reply = await future.done
    assert.deepEqual(order, ['in stream', 'out', 'in clear_output', 'out', 'in status', 'out'])
    assert.deepEqual(seen, ['execute_reply'])
    assert.equal(reply.content.status, 'error')
  })

  it('rejects as cancelled when it is disposed of early, without an unhandled rejection, and tells its owner', async () => {
    const { future, seen, say } = bench()
    let told = 0
    future.onDisposed(() => (told += 1))
    future.dispose()
    future.dispose()
    say('late')
    await future.settled()
    await assert.rejects(future.done, /^Error: Canceled/)
    assert.deepEqual([told, seen], [1, []])
  })

  it('obeys message hooks, newest first, and survives one that throws', async () => {
    const { future, seen, say } = bench()
    const quiet = console.error
    console.error = () => undefined
    try {
      const veto = (msg: KernelMessage.IIOPubMessage): boolean => msg.header.msg_type !== 'stream'
      future.registerMessageHook(veto)
      future.registerMessageHook(() => {
        throw new Error('a hook of another extension')
      })
      say('no')
      await future.settled()
      future.removeMessageHook(veto)
      future.note('yes')
      await future.settled()
    } finally {
      console.error = quiet
    }
    assert.deepEqual(seen, ['stream yes'])
  })

  it('puts a hint under an error and says how much was cut', async () => {
    const { future, seen } = bench(({ ename }) =>
      ename === 'NameError' ? 'This cell needs `df` from cell 2.' : undefined
    )
    future.push({ type: 'error', cell: 'a', ename: 'NameError', evalue: "name 'df'", traceback: [], t: 0 })
    future.push({ type: 'truncated', cell: 'a', what: 'text', keptBytes: 9 << 20, cutBytes: 5_000_000, t: 0 })
    await future.finish('error', null)
    assert.match(seen[0] ?? '', /^error/)
    assert.equal(seen[1], 'stream This cell needs `df` from cell 2.')
    assert.match(seen[2] ?? '', /^stream Output cut: 5\.0 MB left out, 9\.4 MB kept\./)
  })

  it('still updates a display after its cell ended', async () => {
    const { future, seen } = bench()
    await future.finish('ok', 1)
    const transient = { display_id: 'd' }
    future.push({
      type: 'update_display_data',
      cell: 'a',
      data: { 'text/plain': 'new' },
      metadata: {},
      transient,
      t: 0
    })
    future.push({ type: 'display_data', cell: 'a', data: { 'text/plain': 'no' }, metadata: {}, transient, t: 0 })
    await future.settled()
    assert.equal(seen.at(-1), 'update_display_data {"text/plain":"new"}')
  })
})

describe('outputs: one writer', () => {
  it('per cell: a new one takes over and the old one is told', () => {
    const claims = new CellClaims()
    const lost: string[] = []
    const [one, two] = [1, 2].map(n => ({ superseded: (cell: string) => void lost.push(`${n} ${cell}`) }))
    assert.ok(one !== undefined && two !== undefined)
    claims.claim('a', one)
    claims.claim('a', one)
    claims.claim('a', two)
    claims.release('a', one)
    assert.deepEqual([lost, claims.holder('a') === two], [['1 a'], true])
  })

  it('per task among the pages of a profile: the next one writes when the first lets go', async () => {
    const locks = navigator.locks
    const signal = new AbortController().signal
    const first = await writerLock('t', signal, locks)
    const order: string[] = []
    const second = writerLock('t', signal, locks).then(lock => {
      order.push('second')
      return lock
    })
    await new Promise(resolve => setTimeout(resolve, 10))
    order.push('free')
    first.release()
    const held = await second
    assert.deepEqual(order, ['free', 'second'])
    const waiting = new AbortController()
    const third = writerLock('t', waiting.signal, locks)
    waiting.abort()
    await assert.rejects(third)
    held.release()
  })
})
