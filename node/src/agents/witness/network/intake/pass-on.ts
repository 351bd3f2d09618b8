import { toHex } from '@pekka/node/protocol'
import type { VerifiedTransaction } from '@pekka/node/ledger'
import { PASS_ON_BYTES, PASS_ON_MS } from '../constants.js'

/** Transactions in one message. */
const PASS_ON_COUNT = 1_024

export interface PassOnComponents {
  /** Milliseconds that only go forward. */
  monotonic: () => number
  /** Sends transactions to one of the other witnesses; `turn` says to which. */
  send: (turn: number, transactions: Uint8Array[]) => void
}

/**
 * Transactions of clients of this witness, until they are ordered. What isn't ordered in time is passed on to another witness, and
 * later to the next one: nobody's transaction hangs on a single witness, be it this one.
 */
export class PassOn {
  /** In the order in which they came. */
  readonly #open = new Map<string, { bytes: Uint8Array; due: number }>()
  #timer: NodeJS.Timeout | null = null
  #turn = 0

  constructor(private readonly components: PassOnComponents) {}

  get size(): number {
    return this.#open.size
  }

  start(): void {
    this.#timer ??= setInterval(() => this.#send(false), PASS_ON_MS / 2)
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  add({ id, bytes }: VerifiedTransaction): void {
    this.#open.set(toHex(id), { bytes, due: this.components.monotonic() + PASS_ON_MS })
  }

  /** @returns whether it was one of them */
  remove({ id }: Pick<VerifiedTransaction, 'id'>): boolean {
    return this.#open.delete(toHex(id))
  }

  /** This witness writes no blocks: what came last goes on at once. */
  now(): void {
    this.#send(true)
  }

  #send(last: boolean): void {
    const now = this.components.monotonic()
    const newest = last ? [...this.#open.keys()].at(-1) : undefined
    const transactions: Uint8Array[] = []
    let bytes = 0
    for (const [id, entry] of this.#open) {
      if (entry.due > now && id !== newest) continue
      if (transactions.length >= PASS_ON_COUNT || bytes + entry.bytes.length > PASS_ON_BYTES) break
      transactions.push(entry.bytes)
      bytes += entry.bytes.length
      entry.due = now + PASS_ON_MS
    }
    if (transactions.length > 0) this.components.send(this.#turn++, transactions)
  }
}
