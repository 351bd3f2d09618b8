import { PekkaError } from '@pekka/node/protocol'
import { laneHead, laneKey, type Reader, type VerifiedTransaction } from '@pekka/node/ledger'
import { GAP_WAIT_MS, MAX_PENDING_PER_LANE } from '../constants.js'

/** Transactions that wait for predecessors, in all lanes together. */
const MAX_EARLY = 2_048

interface Early {
  transaction: VerifiedTransaction
  pass: () => void
  timer: NodeJS.Timeout
}

/**
 * Lets transactions of a lane through in their order: one that comes before its predecessors waits a moment for them. Else it could go
 * into a block ahead of them, and be refused.
 */
export class LaneGate {
  /** Lanes with transactions under way: how many, and what the next one must be numbered by their word. */
  readonly #under = new Map<string, { count: number; next: number }>()
  readonly #early = new Map<string, Early[]>()
  #waiting = 0

  constructor(private readonly state: () => Reader) {}

  /**
   * Resolves when the transaction may go on; it is under way then, until {@link leave}.
   * @throws PekkaError RATE_LIMITED when too many wait
   */
  async enter(transaction: VerifiedTransaction): Promise<void> {
    const lane = laneOf(transaction)
    const { sequence } = transaction.transaction
    if (sequence > this.#expected(transaction)) await this.#wait(lane, transaction)
    const { count = 0, next = 0 } = this.#under.get(lane) ?? {}
    this.#under.set(lane, { count: count + 1, next: Math.max(next, sequence + 1) })
    this.#release(lane)
  }

  /** It is ordered, refused or turned away. */
  leave(transaction: VerifiedTransaction): void {
    const lane = laneOf(transaction)
    const under = this.#under.get(lane)
    if (under === undefined) return
    if (under.count > 1) this.#under.set(lane, { ...under, count: under.count - 1 })
    else this.#under.delete(lane)
  }

  /** A commit has moved these lanes on. */
  moved(transactions: readonly VerifiedTransaction[]): void {
    if (this.#waiting > 0) for (const transaction of transactions) this.#release(laneOf(transaction))
  }

  stop(): void {
    for (const [lane, waiting] of [...this.#early]) for (const entry of waiting) this.#pass(lane, entry)
  }

  #expected(transaction: VerifiedTransaction): number {
    const { account, key } = transaction.transaction
    const head = laneHead(this.state(), account, key)?.sequence ?? 0
    return Math.max(head, this.#under.get(laneOf(transaction))?.next ?? 0)
  }

  #wait(lane: string, transaction: VerifiedTransaction): Promise<void> {
    const waiting = this.#early.get(lane) ?? []
    if (this.#waiting >= MAX_EARLY || waiting.length >= MAX_PENDING_PER_LANE) throw new PekkaError('RATE_LIMITED')
    this.#waiting += 1
    return new Promise(resolve => {
      const timer = setTimeout(() => this.#pass(lane, entry), GAP_WAIT_MS)
      const entry: Early = { transaction, pass: resolve, timer }
      this.#early.set(lane, [...waiting, entry])
    })
  }

  #release(lane: string): void {
    for (const entry of this.#early.get(lane) ?? []) {
      if (entry.transaction.transaction.sequence <= this.#expected(entry.transaction)) this.#pass(lane, entry)
    }
  }

  #pass(lane: string, entry: Early): void {
    clearTimeout(entry.timer)
    this.#waiting -= 1
    const left = (this.#early.get(lane) ?? []).filter(other => other !== entry)
    if (left.length > 0) this.#early.set(lane, left)
    else this.#early.delete(lane)
    entry.pass()
  }
}

const laneOf = ({ transaction: { account, key } }: VerifiedTransaction): string => laneKey(account, key)
