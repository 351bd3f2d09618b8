import type { Logger } from 'pino'
import type { Socket } from 'socket.io'
import {
  asPekkaError,
  concerns,
  decodeSigned,
  placedIn,
  summaryOf,
  toHex,
  type ClientToServerEvents,
  type CommitView,
  type FollowLedger,
  type LedgerBatch,
  type ServerToClientEvents,
  type TransactionSummary
} from '@pekka/node/protocol'
import type { LedgerFeed } from '../ledger/index.js'
import { LEDGER_ACK_MS } from './constants.js'
import { pack } from './packing.js'

type TailSocket = Pick<Socket<ClientToServerEvents, ServerToClientEvents>, 'connected' | 'timeout'>

export interface LedgerTailComponents {
  socket: TailSocket
  feed: LedgerFeed
  log: Logger
  /** The reader is too slow or the ledger doesn't answer: it is cut off, comes back, and goes on where it was. */
  drop: (reason: string) => void
}

/** Final transactions for one reader: a batch, its acknowledgement, the next one. What waits for a slow reader is one batch. */
export class LedgerTail {
  readonly #ended = new AbortController()
  readonly after: number

  constructor(
    private readonly components: LedgerTailComponents,
    private readonly request: FollowLedger
  ) {
    this.after = request.after ?? components.feed.last
  }

  /** Runs until the end; never throws. */
  async run(): Promise<void> {
    const { socket, feed, drop, log } = this.components
    try {
      let after = this.after
      let told = this.after
      while (!this.#ended.signal.aborted) {
        const { commits, large } = await feed.read(after + 1, this.#ended.signal)
        const seen = [...commits.map(({ header }) => header.index), ...large.map(({ index }) => index)]
        if (seen.length === 0) throw new TypeError(`no commits after ${after}`)
        const [first, through] = [Math.min(...seen), Math.max(...seen)]
        // Where older commits are gone the batch begins later, and says so.
        if (first > after + 1) told = first - 1
        after = through
        const transactions = commits.flatMap(commit => this.#matching(commit))
        // What says nothing is sent only where it saves the reader much work after a reconnection.
        if (transactions.length + large.length === 0 && through - told < WORTH_TELLING) continue
        if (!socket.connected) return
        const batch: LedgerBatch = { after: told, through, transactions, ...(large.length > 0 && { large }) }
        await socket.timeout(LEDGER_ACK_MS).emitWithAck('ledger', pack(batch))
        told = through
      }
    } catch (error) {
      if (this.#ended.signal.aborted) return
      log.debug({ err: error }, 'a reader of the ledger ended')
      drop(asPekkaError(error).code)
    }
  }

  end(): void {
    this.#ended.abort(new Error('no longer followed'))
  }

  #matching(commit: CommitView): TransactionSummary[] {
    const { account, task } = this.request
    return placedIn(commit)
      .filter(({ bytes, outcome }) => account === null || concerns(decodeSigned(bytes).transaction, outcome, account))
      .map(summaryOf)
      .filter(({ tasks }) => task === null || tasks.some(one => toHex(one) === toHex(task)))
  }
}

/** Commits without anything that matches, after which the reader is told how far it is. */
const WORTH_TELLING = 64
