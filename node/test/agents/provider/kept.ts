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
import { KeptSession, type CellLimits, type KeptSessionInit } from '../../../src/agents/provider/attempt/session.js'

export const primitives = createPrimitives()
export const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
export const binding = { network: bytes(1), task: bytes(2), attempt: 1, run: 1 }

export const program = (source: string): Bundle =>
  createBundle({ kind: 'cells', cells: [{ id: 'a', source, tags: [] }], stopOnError: true }, 1)

const USAGE = { wallMs: 100, cpuMs: 50, maxMemoryBytes: 10, outputBytes: 7 }
export const OK: Done = {
  type: 'done',
  outcome: 'ok',
  reason: 'completed',
  detail: {},
  exitCode: 0,
  usage: USAGE,
  t: 100
}

const NO_LIMITS: CellLimits = { wallMs: 0, atCap: false, outputBytes: 0 }

/** A session whose sandbox is a list of what each run comes to, and whose clock the test moves. */
export class Kept {
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
  readonly #held = Promise.withResolvers<void>()
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

  /** One whose second cell runs until it is let go; `result` is what its run comes to. */
  static async atSecond(result: { done: Done; kept: boolean } = { done: OK, kept: true }): Promise<Kept> {
    const kept = await Kept.start()
    kept.gate = kept.#held.promise
    kept.results = [result]
    await kept.send(program('second'))
    await kept.until(() => kept.ran.length === 2)
    return kept
  }

  /** Lets the second cell end, see {@link atSecond}. */
  letGo(): void {
    this.#held.resolve()
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise(resolve => setImmediate(resolve))
  }

  ended(count: number): Promise<void> {
    return this.until(() => this.ends.length >= count)
  }

  /** Ends it as its client does; gives how. */
  async close(): Promise<Done> {
    this.session.finish('close')
    return await this.running
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
