import { readFile, rm } from 'node:fs/promises'
import {
  decodeSigned,
  equalBytes,
  fromOutcome,
  type LedgerAccess,
  type Transaction,
  type TransactionOutcome
} from '../../core/protocol/index.js'
import { replaceFile } from '../../host/files/index.js'

/** Refusals of a witness that takes no more just now: they say nothing of the transaction, which may be under way through another one. */
const FOR_LATER: ReadonlySet<string> = new Set(['RATE_LIMITED', 'BANDWIDTH_SPENT'])

/** What an earlier command had left, and whether it was carried out. */
export interface Left {
  transaction: Transaction
  applied: boolean
}

/**
 * What was signed for a witness's account and has no end that is known. A command that was cut off, or got no answer or a refusal, left it; the
 * next one sends the same bytes again before it signs anything: signed anew, both could be carried out.
 */
export class PendingTransaction {
  constructor(private readonly path: string) {}

  /** Remembers it, on the disk, before it is sent, and until it is carried out or has failed. */
  async submit(
    ledger: Pick<LedgerAccess, 'submit'>,
    bytes: Uint8Array,
    signal?: AbortSignal
  ): Promise<TransactionOutcome> {
    await replaceFile(this.path, bytes)
    const outcome = await ledger.submit(bytes, signal)
    if (outcome.status !== 'refused') await this.#forget()
    return outcome
  }

  /**
   * Sends what was left once more; what is refused then is given up.
   * @returns null: nothing was left
   * @throws PekkaError LEDGER_UNREACHABLE, RATE_LIMITED, BANDWIDTH_SPENT: it stays
   */
  async resend(ledger: Pick<LedgerAccess, 'submit' | 'time'>): Promise<Left | null> {
    const bytes = await this.#read()
    if (bytes === null) return null
    const { transaction } = decodeSigned(bytes)
    const { network } = await ledger.time()
    // The folder's genesis is another one by now.
    if (!equalBytes(network, transaction.network)) return null
    const outcome = await ledger.submit(bytes)
    if (outcome.status === 'refused' && FOR_LATER.has(outcome.code)) throw fromOutcome(outcome)
    await this.#forget()
    return { transaction, applied: outcome.status === 'applied' }
  }

  async #read(): Promise<Uint8Array | null> {
    try {
      return new Uint8Array(await readFile(this.path))
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
      throw error
    }
  }

  async #forget(): Promise<void> {
    await rm(this.path, { force: true })
  }
}
