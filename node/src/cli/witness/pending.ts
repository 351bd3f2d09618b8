import { readFile, rm } from 'node:fs/promises'
import {
  decodeSigned,
  equalBytes,
  type Body,
  type LedgerAccess,
  type Transaction,
  type TransactionOutcome
} from '../../core/protocol/index.js'
import { replaceFile } from '../../host/files/index.js'

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
   * @returns it, where it is applied; null: nothing was left, or it came to nothing
   * @throws PekkaError LEDGER_UNREACHABLE: it stays
   */
  async resend(ledger: Pick<LedgerAccess, 'submit' | 'time'>): Promise<Transaction | null> {
    const bytes = await this.#read()
    if (bytes === null) return null
    const { transaction } = decodeSigned(bytes)
    const { network } = await ledger.time()
    // The folder's genesis is another one by now.
    if (!equalBytes(network, transaction.network)) return null
    const { status } = await ledger.submit(bytes)
    await this.#forget()
    return status === 'applied' ? transaction : null
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

/** Whether what was left is what is asked for now. */
export const isSame = (left: Transaction | null, kind: 'stake' | 'unstake', amount: bigint): boolean =>
  left !== null && isOfKind(left.body, kind) && left.body.amount === amount

const isOfKind = <K extends Body['kind']>(body: Body, kind: K): body is Extract<Body, { kind: K }> => body.kind === kind
