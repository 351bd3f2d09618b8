import assert from 'node:assert/strict'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'
import {
  CellChain,
  createBundle,
  encodeBundle,
  sealCell,
  signCell,
  signInterrupt,
  type Bundle,
  type Done,
  type EventOf,
  type SessionCell
} from '@pekka/node/protocol'
import { KeptSession, type CellLimits, type KeptSessionInit } from '../../../src/agents/provider/session.js'

const primitives = createPrimitives()
const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const binding = { network: bytes(1), task: bytes(2), attempt: 1, run: 1 }

const program = (source: string): Bundle =>
  createBundle({ kind: 'cells', cells: [{ id: 'a', source, tags: [] }], stopOnError: true }, 1)

const USAGE = { wallMs: 100, cpuMs: 50, maxMemoryBytes: 10, outputBytes: 7 }
const OK: Done = { type: 'done', outcome: 'ok', reason: 'completed', detail: {}, exitCode: 0, usage: USAGE, t: 100 }

const NO_LIMITS: CellLimits = { wallMs: 0, atCap: false, outputBytes: 0 }

/** A session whose sandbox is a list of what each run comes to, and whose clock the test moves. */
class Kept {
  readonly client = createSigner(primitives.random.bytes(32))
  readonly ran: { source: string; limits: CellLimits }[] = []
  readonly ends: EventOf<'session-cell-end'>[] = []
  readonly chain = new CellChain(binding, this.client.publicKey, primitives.verifier)
  results: { done: Done; kept: boolean }[] = []
  /** Each run waits for it. */
  gate: Promise<unknown> = Promise.resolve()
  stops = 0
  interrupts = 0
  now = 0
  session!: KeptSession
  running!: Promise<Done>
  readonly abort = new AbortController()
  #key = bytes(0)

  static async start(change: Partial<KeptSessionInit> = {}, endsEarly = false): Promise<Kept> {
    const kept = new Kept()
    const { publicKey, privateKey } = await primitives.agreement.generate()
    kept.#key = publicKey
    kept.session = new KeptSession(
      {
        primitives,
        run: async (bundle, limits) => {
          const source = bundle.program.kind === 'cells' ? (bundle.program.cells[0]?.source ?? '') : ''
          kept.ran.push({ source, limits })
          await kept.gate
          kept.now += 100
          return kept.results.shift() ?? { done: OK, kept: true }
        },
        end: async event => void kept.ends.push(event),
        interrupt: () => kept.interrupts++,
        stop: () => kept.stops++,
        restart: () => Promise.resolve(void kept.ran.push({ source: 'restart', limits: NO_LIMITS })),
        fetch: () => Promise.resolve(new Uint8Array()),
        onChange: () => undefined,
        now: () => kept.now
      },
      {
        binding,
        lane: kept.client.publicKey,
        runPrivate: privateKey,
        first: program('first'),
        prices: { pricePerSecond: 1000n, holdPricePerSecond: 100n },
        cap: 1_000_000n,
        wallMs: 60_000,
        outputBytes: 1_000,
        ...change
      }
    )
    if (endsEarly) kept.session.finish('cancel')
    kept.running = kept.session.run(kept.abort.signal)
    if (!endsEarly) await kept.ended(1)
    return kept
  }

  async ended(count: number): Promise<void> {
    while (this.ends.length < count) await new Promise(resolve => setImmediate(resolve))
  }

  /** The second run has begun. */
  async ran2(): Promise<void> {
    while (this.ran.length < 2) await new Promise(resolve => setImmediate(resolve))
  }

  get sources(): string[] {
    return this.ran.map(({ source }) => source)
  }

  async interrupt(index: number): Promise<void> {
    await this.session.interrupt(await signInterrupt(binding, index, this.client))
  }

  async cell(bundle: Bundle, signer = this.client): Promise<{ cell: SessionCell; sealed: Uint8Array }> {
    const place = this.chain.next
    const sealed = await sealCell(primitives, this.#key, place, encodeBundle(bundle))
    return { cell: await signCell(place, sealed, signer), sealed }
  }

  async send(bundle: Bundle): Promise<number> {
    const { cell, sealed } = await this.cell(bundle)
    await this.chain.add(cell)
    return await this.session.take(cell, sealed)
  }
}

describe('a kept machine', () => {
  it('runs the first program and then each cell that comes, in order', async () => {
    const kept = await Kept.start()
    assert.equal(await kept.send(program('second')), 1)
    assert.equal(await kept.send(program('third')), 2)
    await kept.ended(3)
    assert.deepEqual(
      kept.ran.map(({ source }) => source),
      ['first', 'second', 'third']
    )
    assert.deepEqual(
      kept.ends.map(({ index }) => index),
      [0, 1, 2]
    )
    kept.session.finish('close')
    const done = await kept.running
    assert.deepEqual([done.outcome, done.reason, done.usage.wallMs], ['ok', 'completed', 300])
    assert.deepEqual(kept.session.report, { in: kept.chain.state, cells: 3 })
  })

  it('counts the time between the end of a cell and the arrival of the next as waiting', async () => {
    const kept = await Kept.start()
    kept.now += 5_000
    assert.deepEqual(kept.session.times, { wallMs: 100, heldMs: 5_000 })
    await kept.send(program('second'))
    await kept.ended(2)
    assert.deepEqual(kept.session.times, { wallMs: 200, heldMs: 5_000 })
    kept.session.finish('close')
    await kept.running
  })

  it('takes a cell again without running it again, and refuses one of another key, after a gap, or in another’s place', async () => {
    const kept = await Kept.start()
    const first = await kept.cell(program('second'))
    await kept.chain.add(first.cell)
    const later = await kept.cell(program('third'))
    await assert.rejects(kept.session.take(later.cell, later.sealed), { code: 'CELL_REFUSED' })
    assert.equal(await kept.session.take(first.cell, first.sealed), 1)
    assert.equal(await kept.session.take(first.cell, first.sealed), 1)
    const forged = await kept.cell(program('forged'), createSigner(primitives.random.bytes(32)))
    await assert.rejects(kept.session.take(forged.cell, forged.sealed), { code: 'CELL_REFUSED' })
    await kept.ended(2)
    kept.session.finish('close')
    await kept.running
    assert.equal(kept.ran.length, 2)
  })

  it('ends a cell that can’t be opened or wants what only the first may, and goes on', async () => {
    const kept = await Kept.start()
    const { cell, sealed } = await kept.cell(program('second'))
    await kept.chain.add(cell)
    await kept.session.take(
      cell,
      sealed.map(byte => byte ^ 1)
    )
    await kept.send({ ...program('third'), layer: bytes(9) })
    await kept.send(program('fourth'))
    await kept.ended(4)
    assert.deepEqual(
      kept.ends.map(({ reason, detail }) => [reason, detail['ename'] ?? null]),
      [
        ['completed', null],
        ['exception', 'CELL_REFUSED'],
        ['exception', 'CELL_REFUSED'],
        ['completed', null]
      ]
    )
    assert.deepEqual(
      kept.ran.map(({ source }) => source),
      ['first', 'fourth']
    )
    kept.session.finish('close')
    await kept.running
  })

  it('gives each cell the offer’s limits, less what is used of cap and output', async () => {
    const kept = await Kept.start({ cap: 1_000n, wallMs: 950 })
    await kept.send(program('second'))
    await kept.ended(2)
    assert.deepEqual(
      kept.ran.map(({ limits }) => limits),
      [
        { wallMs: 950, atCap: false, outputBytes: 1_000 },
        { wallMs: 900, atCap: true, outputBytes: 993 }
      ]
    )
    kept.session.finish('close')
    await kept.running
  })

  it('ends at the cap: waiting uses it up too', async () => {
    const kept = await Kept.start({ cap: 101n })
    const done = await kept.running
    assert.deepEqual([done.outcome, done.reason, done.detail], ['limit', 'wall-limit', { atCap: true }])
    assert.equal(kept.ran.length, 1)
  })

  it('ends with its kernel, and with a cell that was stopped', async () => {
    const died = await Kept.start()
    const dead: Done = { ...OK, outcome: 'user', reason: 'kernel-died', exitCode: null }
    died.results = [{ done: dead, kept: false }]
    await died.send(program('second'))
    assert.deepEqual((await died.running).reason, 'kernel-died')
    assert.equal(died.ends.at(-1)?.reason, 'kernel-died')
    const stopped = await Kept.start()
    stopped.results = [{ done: { ...OK, outcome: 'stopped', reason: 'cancelled' }, kept: true }]
    await stopped.send(program('second'))
    assert.equal((await stopped.running).outcome, 'stopped')
  })

  it('interrupts the cell that runs and leaves out one that waits, and goes on', async () => {
    const kept = await Kept.start()
    const gate = Promise.withResolvers<undefined>()
    kept.gate = gate.promise
    kept.results = [{ done: { ...OK, outcome: 'user', reason: 'exception' }, kept: true }]
    await kept.send(program('second'))
    await kept.ran2()
    await kept.send(program('third'))
    await kept.interrupt(1)
    await kept.interrupt(1)
    assert.equal(kept.interrupts, 1)
    await kept.interrupt(2)
    await kept.interrupt(9)
    assert.equal(kept.interrupts, 1)
    await kept.send(program('fourth'))
    gate.resolve(undefined)
    await kept.ended(4)
    // It ended long ago: nothing that runs now is meant.
    await kept.interrupt(1)
    assert.equal(kept.interrupts, 1)
    assert.deepEqual(
      kept.ends.map(({ reason, detail }) => [reason, detail['interrupted'] ?? false, detail['notRun'] ?? false]),
      [
        ['completed', false, false],
        ['exception', true, false],
        ['exception', true, true],
        ['completed', false, false]
      ]
    )
    assert.deepEqual(kept.sources, ['first', 'second', 'fourth'])
    kept.session.finish('close')
    await kept.running
  })

  it('interrupts a cell once its program starts, where it was told before: what travels was being put there', async () => {
    const kept = await Kept.start()
    const gate = Promise.withResolvers<undefined>()
    kept.gate = gate.promise
    await kept.send(program('second'))
    await kept.ran2()
    kept.session.begun()
    assert.equal(kept.interrupts, 0)
    await kept.interrupt(1)
    kept.session.begun()
    assert.equal(kept.interrupts, 2)
    gate.resolve(undefined)
    await kept.ended(2)
    kept.session.begun()
    assert.equal(kept.interrupts, 2)
    kept.session.finish('close')
    await kept.running
  })

  it('makes the kernel anew also for a cell that is interrupted itself: the old one was stopped for it', async () => {
    const kept = await Kept.start()
    const gate = Promise.withResolvers<undefined>()
    kept.gate = gate.promise
    kept.results = [{ done: { ...OK, outcome: 'stopped', reason: 'cancelled' }, kept: false }]
    await kept.send(program('second'))
    await kept.ran2()
    await kept.send({ ...program('third'), restart: true })
    while (kept.stops === 0) await new Promise(resolve => setImmediate(resolve))
    await kept.interrupt(2)
    gate.resolve(undefined)
    await kept.ended(3)
    await kept.send(program('fourth'))
    await kept.ended(4)
    assert.deepEqual(kept.sources, ['first', 'second', 'restart', 'fourth'])
    kept.session.finish('close')
    await kept.running
  })

  it('is interrupted by its client alone', async () => {
    const kept = await Kept.start()
    await kept.send(program('second'))
    const forged = await signInterrupt(binding, 1, createSigner(primitives.random.bytes(32)))
    await assert.rejects(kept.session.interrupt(forged), { code: 'CELL_REFUSED' })
    const other = await signInterrupt({ ...binding, run: 2 }, 1, kept.client)
    await assert.rejects(kept.session.interrupt(other), { code: 'CELL_REFUSED' })
    const moved = { ...(await signInterrupt(binding, 1, kept.client)), index: 2 }
    await assert.rejects(kept.session.interrupt(moved), { code: 'CELL_REFUSED' })
    kept.session.finish('close')
    await kept.running
  })

  it('begins anew where a cell says so: what runs is stopped, what waits before it is left out', async () => {
    const kept = await Kept.start()
    const gate = Promise.withResolvers<undefined>()
    kept.gate = gate.promise
    kept.results = [{ done: { ...OK, outcome: 'stopped', reason: 'cancelled' }, kept: false }]
    await kept.send(program('second'))
    await kept.ran2()
    await kept.send(program('third'))
    await kept.send({ ...program('fourth'), restart: true })
    while (kept.stops === 0) await new Promise(resolve => setImmediate(resolve))
    // The old kernel is killed for it.
    kept.session.finish('lost')
    gate.resolve(undefined)
    await kept.ended(4)
    await kept.send(program('fifth'))
    await kept.ended(5)
    assert.deepEqual(kept.sources, ['first', 'second', 'restart', 'fourth', 'fifth'])
    assert.deepEqual(
      kept.ends.map(({ detail }) => detail['restarted'] ?? false),
      [false, true, true, false, false]
    )
    kept.session.finish('close')
    assert.equal((await kept.running).reason, 'completed')
  })

  it('begins anew once for two restarts told while a cell is being stopped: the first is left out', async () => {
    const kept = await Kept.start()
    const gate = Promise.withResolvers<undefined>()
    kept.gate = gate.promise
    kept.results = [{ done: { ...OK, outcome: 'stopped', reason: 'cancelled' }, kept: false }]
    await kept.send(program('second'))
    await kept.ran2()
    await kept.send({ ...program('third'), restart: true })
    await kept.send({ ...program('fourth'), restart: true })
    // Both have been looked into.
    while (kept.stops < 2) await new Promise(resolve => setImmediate(resolve))
    kept.session.finish('lost')
    gate.resolve(undefined)
    await kept.ended(4)
    await kept.send(program('fifth'))
    await kept.ended(5)
    assert.deepEqual(kept.sources, ['first', 'second', 'restart', 'fourth', 'fifth'])
    assert.deepEqual(
      kept.ends.map(({ detail }) => detail['restarted'] ?? false),
      [false, true, true, false, false]
    )
    kept.session.finish('close')
    assert.equal((await kept.running).reason, 'completed')
  })

  it('runs nothing after its end', async () => {
    const early = await Kept.start({}, true)
    assert.equal((await early.running).outcome, 'stopped')
    assert.deepEqual(early.ran, [])
  })

  it('throws what the attempt was given up for', async () => {
    const kept = await Kept.start()
    kept.abort.abort(new Error('given up'))
    await assert.rejects(kept.running, /given up/)
  })
})
