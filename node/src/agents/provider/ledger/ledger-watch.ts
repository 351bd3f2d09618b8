import { isCommitMissing, pause } from '@pekka/node/host/network'
import { type AuctionView, type CommitView, type LedgerAccess, type TaskView } from '@pekka/node/protocol'

export interface LedgerWatchComponents {
  ledger: LedgerAccess
  /** Told of every task that changed, in the ledger's order. */
  onTask: (view: TaskView) => void
  /** Told of every auction that changed. */
  onAuction?: (view: AuctionView) => void
  /** Commits passed unseen: asks for whatever may have changed in them. What it throws brings it again. */
  onMissed?: (signal: AbortSignal) => Promise<void>
  log: { warn(data: object, text: string): void }
}

/** Follows the ledger for as long as it runs, without gaps, over all that may happen to the way there. */
export class LedgerWatch {
  #last = -1
  #timestamp = 0
  #running: Promise<void> | null = null
  readonly #stopping = new AbortController()

  constructor(private readonly components: LedgerWatchComponents) {}

  /** Timestamp of the newest commit seen, ms. */
  get timestamp(): number {
    return this.#timestamp
  }

  /** Follows from now on. What was before must be asked for, after this has resolved. */
  async start(signal?: AbortSignal): Promise<void> {
    const { index, timestamp } = await this.components.ledger.time(signal)
    this.#last = index
    this.#timestamp = timestamp
    this.#running = this.#run(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopped'))
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        for await (const commit of this.components.ledger.follow(this.#last, signal)) this.#take(commit)
      } catch (error) {
        if (!signal.aborted) this.components.log.warn({ err: error }, 'the ledger can not be followed')
        if (isCommitMissing(error)) await this.#skip(signal)
      }
      await pause(1_000, signal)
    }
  }

  /** The next commit comes from nobody any more, or is too large for any: it goes on with what comes now. */
  async #skip(signal: AbortSignal): Promise<void> {
    const from = this.#last + 1
    try {
      const { index, timestamp } = await this.components.ledger.time(signal)
      this.#timestamp = Math.max(this.#timestamp, timestamp)
      // After `index` is known: a change in between is seen twice, never missed. As long as it fails, following does too.
      await this.components.onMissed?.(signal)
      this.#last = Math.max(this.#last, index)
      this.components.log.warn({ from, to: this.#last }, 'commits were missed: no witness gives them')
    } catch (error) {
      if (!signal.aborted) this.components.log.warn({ err: error }, 'what was missed could not be asked for')
    }
  }

  #take({ header, tasks, auctions = [] }: CommitView): void {
    this.#last = header.index
    this.#timestamp = header.timestamp
    for (const auction of auctions) this.components.onAuction?.(auction)
    for (const task of tasks) this.components.onTask(task)
  }
}
