import {
  equalBytes,
  toHex,
  type BridgeMessage,
  type Clock,
  type LedgerAccess,
  type Primitives,
  type Signer,
  type TaskView
} from '@pekka/node/protocol'
import type { NetworkHost, Startable } from '@pekka/node/host/network'
import type { AskBook } from './ledger/asks.js'
import { Attempt } from './attempt/attempt.js'
import { BridgeLink, type BridgeEvents } from './output/bridge-link.js'
import { Committer } from './attempt/committer.js'
import { DRAIN_MS } from './constants.js'
import { awardedPrice, type Auctions } from './ledger/auctions.js'
import type { CpuPath } from './machine/cpu-path.js'
import { Intakes, type ReadyTask } from './intake/intakes.js'
import type { KemKeys } from './ledger/kem-keys.js'
import type { LedgerLane } from './ledger/ledger-lane.js'
import { LedgerWatch } from './ledger/ledger-watch.js'
import { Outputs } from './output/outputs.js'
import { Places } from './machine/places.js'
import type { RunRecord, RunStore } from './output/run-store.js'
import { withPrefetched } from './intake/travel.js'
import type { TaskExtras } from './intake/extras.js'
import type { Workshop } from './machine/workshop.js'

export interface ProviderLog {
  info(data: object, text: string): void
  warn(data: object, text: string): void
}

export interface ProviderComponents {
  host: NetworkHost
  ledger: LedgerAccess
  /** The agent's lane. */
  lane: LedgerLane
  /** The agent's key. */
  signer: Signer
  primitives: Primitives
  clock: Clock
  kem: KemKeys
  asks: AskBook
  store: RunStore
  workshop: Workshop
  extras: TaskExtras
  /** Bids for tasks (R31); left out: it doesn't. */
  auctions?: Auctions | undefined
  log: ProviderLog
}

export interface ProviderInit {
  network: Uint8Array
  provider: Uint8Array
  name: string
  /** Public half of our peer key, 32 bytes. */
  peer: Uint8Array
  /** Addresses of bridges, each with its peer id. */
  bridges: readonly string[]
  concurrency: number
  runtime: string
  isolation: number
  /** How this machine computes, by image digest (hex). */
  paths?: ReadonlyMap<string, CpuPath>
  /** How often the time of a session is claimed, ms. */
  trancheEvery?: number | undefined
  /** How long running tasks may go on when we stop, ms. */
  drain?: number
}

/**
 * A provider: sells places in sandboxes on the ledger, takes tasks that name it from its bridges, runs them, sends the sealed output and
 * commits. What it promised survives its own end: output and openings are on disk until the ledger has closed the task (R8).
 */
export class Provider implements Startable {
  readonly #attempts = new Map<string, Attempt>()
  readonly #running = new Set<Promise<void>>()
  readonly #links: BridgeLink[]
  readonly #places: Places
  readonly #intakes: Intakes
  readonly #outputs: Outputs
  readonly #watch: LedgerWatch
  readonly #committer: Committer
  readonly #stopping = new AbortController()
  readonly #firstLink = Promise.withResolvers<void>()

  constructor(
    private readonly components: ProviderComponents,
    private readonly init: ProviderInit
  ) {
    const { log, ledger, lane, store, signer, clock, asks, host, kem, primitives, extras } = components
    const { network, provider } = init
    this.#places = new Places(init.concurrency)
    this.#outputs = new Outputs({ store, signer, clock, log }, network)
    this.#watch = new LedgerWatch({
      ledger,
      log,
      onTask: view => this.#onTask(view),
      onAuction: view => components.auctions?.take(view),
      onMissed: signal => this.#askAnew(signal)
    })
    const ledgerNow = () => this.#watch.timestamp
    this.#committer = new Committer({ lane, store, ledgerNow, stopping: this.#stopping.signal, log })
    this.#intakes = new Intakes(
      {
        primitives,
        kem,
        host,
        ledger,
        lane,
        log,
        places: this.#places,
        extras,
        ask: id => asks.get(id),
        awarded: task => awardedPrice(ledger, provider, task),
        run: task => this.#run(task),
        decline: (bridge, task, reason) => this.#decline(bridge, task, reason)
      },
      { network, provider }
    )
    const events: BridgeEvents = {
      resume: link => this.#outputs.resume(link.address),
      up: (link, sender) => {
        this.#outputs.linkUp(link.address, sender)
        for (const attempt of this.#attempts.values()) this.#tellCells(link, attempt)
        this.#firstLink.resolve()
      },
      down: (link, sender) => this.#outputs.linkDown(link.address, sender),
      message: (link, message) => this.#onMessage(link, message)
    }
    const { name, peer } = init
    this.#links = init.bridges.map(
      address => new BridgeLink({ host, signer, events, log }, { address, network, provider, name, peer })
    )
  }

  /** Takes up what an earlier life has left, publishes asks and links to the bridges. */
  async start(): Promise<void> {
    const { store, asks, log } = this.components
    await store.open()
    // First follow, then ask: a change in between is seen twice, never missed.
    await this.#watch.start()
    const unfinished = await this.#recover()
    await asks.start(this.#stopping.signal)
    for (const link of this.#links) await link.start()
    // Tasks at published prices come all the same.
    await this.components.auctions
      ?.start(this.#stopping.signal)
      .catch((error: unknown) => log.warn({ err: error }, 'the bids of an earlier life could not be read'))
    for (const work of unfinished) this.#keep(work())
  }

  /**
   * Drains: takes nothing new, lets running tasks end for a while, gives up the others by `fail`, and stops. What could not be committed or
   * delivered by then is at the next start.
   */
  async stop(): Promise<void> {
    const { asks, workshop, store, log } = this.components
    this.#intakes.close()
    await Promise.race([asks.withdraw(), sleep(this.init.drain ?? DRAIN_MS)])
    for (const attempt of this.#attempts.values()) attempt.windUp()
    if (this.#attempts.size > 0) log.info({ tasks: this.#attempts.size }, 'waiting for running tasks')
    await Promise.race([this.#idle(), sleep(this.init.drain ?? DRAIN_MS)])
    for (const attempt of this.#attempts.values()) attempt.shutDown()
    await Promise.race([this.#idle(), sleep(2_000)])
    this.#stopping.abort(new Error('the provider stops'))
    await this.components.auctions?.stop()
    await workshop.stop()
    await this.#idle()
    for (const link of this.#links) await link.stop()
    await this.#watch.stop()
    await this.#outputs.close()
    await store.close()
  }

  /** Resolves when a bridge is linked, or after `patience` ms. */
  async linked(patience: number): Promise<void> {
    if (this.#links.some(link => link.connected)) return
    await Promise.race([this.#firstLink.promise, sleep(patience)])
  }

  /** For readiness and metrics. */
  status(): { running: number; free: number; undelivered: number; linked: number } {
    const linked = this.#links.filter(link => link.connected).length
    return { running: this.#attempts.size, free: this.#places.free, undelivered: this.#outputs.open, linked }
  }

  /** Reads the runs of an earlier life and says what is to be done about them once the links are there. */
  async #recover(): Promise<(() => Promise<void>)[]> {
    const { store, log } = this.components
    const records = await store.list()
    await store.sweep(records)
    const work: (() => Promise<void>)[] = []
    for (const record of records) {
      if (!record.delivered) {
        try {
          await this.#outputs.recover(record)
        } catch (error) {
          log.warn({ err: error, task: toHex(record.task) }, 'the output of a run is lost')
        }
      }
      work.push(() => this.#takeUp(record))
    }
    return work
  }

  /** Commits what had finished, fails what hadn't, forgets what is over. */
  async #takeUp(record: RunRecord): Promise<void> {
    const { ledger, lane, store, log } = this.components
    const { task, attempt } = record
    try {
      const view = await ledger.task(task, this.#stopping.signal)
      if (view === null) return await this.#outputs.remove(record)
      if (view.state === 'closed') return await this.#outputs.closed(record)
      if (record.ledger !== 'open') return await this.#outputs.settle(record)
      const ours = view.attempts[attempt - 1]
      const mine = ours !== undefined && equalBytes(ours.provider, this.init.provider)
      if (!mine) return await this.#outputs.remove(record)
      if (record.finished !== null) {
        await this.#committer.commit(record, view.offer.limits.wallMs, () => view)
        log.info({ task: toHex(task), ledger: record.ledger }, 'a run of an earlier life is committed')
      } else {
        record.ledger = 'lost'
        await store.put(record)
        if (ours.ended === null) await lane.send({ kind: 'fail', task, attempt, reason: 'internal' })
        log.warn({ task: toHex(task) }, 'a run was cut off by the end of an earlier life')
      }
      await this.#outputs.settle(record)
    } catch (error) {
      if (!this.#stopping.signal.aborted) log.warn({ err: error, task: toHex(task) }, 'a run stays for the next start')
    }
  }

  #onMessage(link: BridgeLink, message: BridgeMessage): void {
    const bridge = link.address
    switch (message.kind) {
      case 'notice':
        return this.#intakes.notice(bridge, message)
      case 'box':
        return this.#intakes.box(message.task, message.box)
      case 'ack':
        return this.#outputs.acknowledge(bridge, message)
      case 'cell':
        return void this.#onCell(link, message)
      case 'interrupt':
        return void this.#onInterrupt(link, message)
      default:
      // States are taken from the ledger, not from a bridge's word; blobs are confirmed on their own stream.
    }
  }

  /** A session's cell; the bridge is told how many there are, also where this one doesn't fit: the next may come. */
  async #onCell(link: BridgeLink, { cell, sealed }: Extract<BridgeMessage, { kind: 'cell' }>): Promise<void> {
    const attempt = this.#attempts.get(toHex(cell.task))
    if (attempt === undefined || attempt.bridge !== link.address) return
    try {
      await attempt.takeCell(cell, sealed)
      this.#tellCells(link, attempt)
    } catch (error) {
      this.components.log.warn({ err: error, task: toHex(cell.task), index: cell.index }, 'a cell was not taken')
    }
  }

  async #onInterrupt(link: BridgeLink, { interrupt }: Extract<BridgeMessage, { kind: 'interrupt' }>): Promise<void> {
    const attempt = this.#attempts.get(toHex(interrupt.task))
    if (attempt === undefined || attempt.bridge !== link.address) return
    try {
      await attempt.interrupt(interrupt)
    } catch (error) {
      this.components.log.warn({ err: error, task: toHex(interrupt.task) }, 'a cell was not interrupted')
    }
  }

  #tellCells(link: BridgeLink, attempt: Attempt): void {
    const { cells, place } = attempt
    if (cells !== null && attempt.bridge === link.address) link.tell({ kind: 'cells', ...place, count: cells })
  }

  /** Commits passed unseen: what they did to our tasks and auctions. */
  async #askAnew(signal: AbortSignal): Promise<void> {
    const { ledger, store, auctions } = this.components
    const records = await store.list()
    const attempts = [...this.#attempts.values()].map(({ place }) => place.task)
    const ours = [...this.#intakes.forgetViews(), ...attempts, ...records.map(({ task }) => task)]
    for (const task of new Map(ours.map(id => [toHex(id), id])).values()) {
      const view = await ledger.task(task, signal)
      if (view !== null) this.#onTask(view)
    }
    await auctions?.askAnew(signal)
  }

  #onTask(view: TaskView): void {
    const named = view.offer.candidates.some(one => equalBytes(one.provider, this.init.provider))
    if (!named) return
    this.#intakes.update(view)
    this.#attempts.get(toHex(view.task))?.update(view)
    if (view.state === 'closed') this.#keep(this.#forget(view.task))
  }

  async #forget(task: Uint8Array): Promise<void> {
    for (const record of await this.components.store.ofTask(task)) await this.#outputs.closed(record)
  }

  async #run(ready: ReadyTask): Promise<void> {
    const { lane, signer, primitives, clock, store, workshop, log } = this.components
    const { network, provider, runtime, isolation } = this.init
    const id = toHex(ready.opened.offer.task)
    let kept: RunRecord | null = null
    const attempt = new Attempt(
      {
        lane,
        signer,
        primitives,
        clock,
        store,
        workshop,
        log,
        committer: this.#committer,
        view: signal => this.components.ledger.task(ready.opened.offer.task, signal),
        register: (delivery, record) => {
          kept = record
          this.#outputs.register(delivery, record)
        }
      },
      {
        network,
        provider,
        runtime,
        isolation,
        path: this.init.paths?.get(toHex(ready.opened.offer.image.digest)) ?? null,
        bridge: ready.bridge,
        task: ready.opened,
        attempt: ready.attempt,
        eager: ready.eager,
        fetchPart: withPrefetched(ready.opened.parts, (part, signal) =>
          this.#intakes.fetchPart(ready.bridge, ready.opened, part, signal)
        ),
        fetchCell: (sealed, signal) => this.#intakes.fetchPart(ready.bridge, ready.opened, sealed, signal),
        trancheEvery: this.init.trancheEvery
      }
    )
    this.#attempts.set(id, attempt)
    const work = attempt.run()
    this.#keep(work.then(() => {}))
    try {
      const end = await work
      if (kept !== null) await this.#putAway(kept, end)
    } finally {
      this.#attempts.delete(id)
    }
  }

  async #putAway(record: RunRecord, end: 'committed' | 'failed' | 'abandoned'): Promise<void> {
    if (end === 'abandoned') return await this.#outputs.remove(record)
    if (end === 'failed' && record.finished === null) {
      record.ledger = 'lost'
      await this.components.store.put(record)
    }
    await this.#outputs.settle(record)
  }

  #decline(bridge: string, task: Uint8Array, reason: string): void {
    const link = this.#links.find(one => one.address === bridge)
    link?.tell({ kind: 'declined', task, reason: reason.slice(0, 64) })
  }

  #keep(work: Promise<void>): void {
    const kept = work
      .catch((error: unknown) => this.components.log.warn({ err: error }, 'work in the background failed'))
      .finally(() => this.#running.delete(kept))
    this.#running.add(kept)
  }

  async #idle(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running)
  }
}

const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms).unref())
