import { chainOf, signHead, type BridgeMessage, type Clock, type Signer } from '@pekka/node/protocol'
import { LATE_LOOK_MS, LATE_MS, MAX_LATE_RUNS } from '../constants.js'
import type { ResumedRun } from './bridge-link.js'
import { Delivery, type LinkSender } from './delivery.js'
import { RunFile } from './run-file.js'
import { keyOf, type RunRecord, type RunStore } from './run-store.js'

export interface OutputsComponents {
  store: RunStore
  /** The agent's key. */
  signer: Signer
  clock: Pick<Clock, 'now'>
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

interface Entry {
  delivery: Delivery
  record: RunRecord
  /** The bridge has been asked how far it is, and hasn't answered on this link. */
  asked: boolean
  /** The task is closed: nothing but its bridge wants it. */
  late: boolean
}

/** The output of all runs that some bridge may lack, and the links to bring it over. */
export class Outputs {
  readonly #entries = new Map<string, Entry>()
  /** Links that are up, by the bridge's address. */
  readonly #links = new Map<string, LinkSender>()

  readonly #looking: NodeJS.Timeout

  /** @param look how often it is looked for what has waited too long for its bridge, ms; for tests */
  constructor(
    private readonly components: OutputsComponents,
    private readonly network: Uint8Array,
    look = LATE_LOOK_MS
  ) {
    this.#looking = setInterval(() => {
      this.#dropLate().catch((error: unknown) => components.log.warn({ err: error }, 'old output could not be removed'))
    }, look).unref()
  }

  /** Adds a run; what it writes is sent from now on. */
  register(delivery: Delivery, record: RunRecord): void {
    this.#entries.set(keyOf(record), { delivery, record, asked: false, late: false })
    const link = this.#links.get(record.bridge)
    if (link !== undefined) delivery.attach(link, 0)
  }

  /** Takes up a run of an earlier life: its frames, its blobs, and a fresh signature over its last head. */
  async recover(record: RunRecord): Promise<void> {
    const file = await RunFile.open(this.components.store.fileOf(record))
    const delivery = new Delivery(file, {
      onError: error => this.components.log.warn({ err: error, run: keyOf(record) }, 'output waits')
    })
    for (const { hash, before } of record.blobs) delivery.blob(hash, before)
    const frames: Uint8Array[] = []
    for (let index = 0; index < file.count;) {
      const part = await file.read(index, 256, 4 << 20)
      frames.push(...part)
      index += part.length
    }
    const { task, attempt, run } = record
    const chain = chainOf(file.header, frames)
    if (chain.count > 0)
      delivery.head(await signHead(this.network, { task, attempt, run, ...chain }, this.components.signer))
    this.register(delivery, record)
  }

  /** What a bridge must be asked about when its link comes up. */
  resume(bridge: string): ResumedRun[] {
    const runs: ResumedRun[] = []
    for (const entry of this.#entries.values()) {
      if (entry.record.bridge !== bridge) continue
      entry.asked = true
      const { task, attempt, run } = entry.record
      runs.push({ task, attempt, run, count: entry.delivery.file.count })
    }
    return runs
  }

  linkUp(bridge: string, link: LinkSender): void {
    this.#links.set(bridge, link)
    for (const { delivery, record, asked } of this.#entries.values()) {
      if (record.bridge === bridge && !asked) delivery.attach(link, 0)
    }
  }

  linkDown(bridge: string, link: LinkSender): void {
    if (this.#links.get(bridge) === link) this.#links.delete(bridge)
    for (const { delivery } of this.#entries.values()) delivery.detach(link)
  }

  acknowledge(bridge: string, message: Extract<BridgeMessage, { kind: 'ack' }>): void {
    const entry = this.#entries.get(keyOf(message))
    // An answer about a run that is delivered, or another bridge's: nothing hangs on it.
    if (entry === undefined || entry.record.bridge !== bridge) return
    const link = this.#links.get(bridge)
    if (entry.asked && link !== undefined) {
      entry.asked = false
      entry.delivery.attach(link, message.count)
    }
    entry.delivery.acknowledge(message.count, message.stored)
    void this.settle(entry.record)
  }

  /** Lets go of a run's file once nothing of it is to be sent or committed any more. The files stay until the task is closed. */
  async settle(record: RunRecord): Promise<void> {
    const entry = this.#entries.get(keyOf(record))
    if (entry === undefined || record.ledger === 'open' || !entry.delivery.complete) return
    this.#entries.delete(keyOf(record))
    record.delivered = true
    try {
      await entry.delivery.file.close()
      await (entry.late ? this.components.store.delete(record) : this.components.store.put(record))
    } catch (error) {
      this.components.log.warn({ err: error, run: keyOf(record) }, 'a run could not be put away')
    }
  }

  /**
   * The ledger has closed a run's task, so nobody asks for its opening any more (R8). What its bridge has goes; what was committed and its bridge
   * lacks, because it was away for all that time, stays until it has that, in bounds: somebody has paid for it.
   */
  async closed(record: RunRecord): Promise<void> {
    const entry = this.#entries.get(keyOf(record))
    if (entry === undefined || entry.record.ledger !== 'committed' || entry.delivery.complete)
      return await this.remove(record)
    if (!entry.late) this.components.log.info({ run: keyOf(record) }, 'a closed task’s output waits for its bridge')
    entry.late = true
    await this.#dropLate()
  }

  /** What waits for its bridge goes when it is too old, or there is too much of it. */
  async #dropLate(): Promise<void> {
    const late = [...this.#entries.values()]
      .filter(one => one.late)
      .sort((a, b) => b.record.startedAt - a.record.startedAt)
    const oldest = this.components.clock.now() - LATE_MS
    for (const [i, { record: each }] of late.entries())
      if (i >= MAX_LATE_RUNS || each.startedAt < oldest) await this.remove(each)
  }

  /** Removes a run with all its files: nobody wants it any more, or it was never ours. */
  async remove(record: RunRecord): Promise<void> {
    const entry = this.#entries.get(keyOf(record))
    this.#entries.delete(keyOf(record))
    if (entry !== undefined) await entry.delivery.file.close()
    await this.components.store.delete(record)
  }

  /** Runs whose output isn't delivered. */
  get open(): number {
    return this.#entries.size
  }

  async close(): Promise<void> {
    clearInterval(this.#looking)
    for (const { delivery } of this.#entries.values()) await delivery.file.close()
    this.#entries.clear()
  }
}
