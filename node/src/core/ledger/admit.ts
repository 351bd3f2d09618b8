import { equalBytes, isPekkaError, type PekkaError, type SignedTransaction } from '../protocol/index.js'
import { authorize, type LaneTip } from './authorize.js'
import { laneHead } from './queries.js'
import type { Context } from './step.js'
import { Overlay, type Reader } from './view.js'

/**
 * What a witness finds of a transaction before it takes it in. `ready`: by what is executed here it will be ordered. `early`: not yet, but
 * what waits or what other witnesses have executed may change that. `refused`: nothing will.
 */
export type Judgement = { status: 'ready' } | { status: 'early' | 'refused'; error: PekkaError }

/** What an account's own transactions change, and other vertices that become final: another witness may have executed them already. */
const MAY_PASS: readonly string[] = [
  'ACCOUNT_UNKNOWN',
  'DELEGATE_UNKNOWN',
  'DELEGATE_EXPIRED',
  'BODY_NOT_ALLOWED',
  'SIGNATURE_INVALID',
  'PARENT_UNKNOWN'
]

/**
 * Looks at a transaction as the ledger will when it is ordered, so that nothing goes into a witness's blocks that is refused there: that
 * would count as the witness's waste (R30). The ledger decides anew.
 * @param tip where its lane stands with what is under way here
 */
export function judge(
  reader: Reader,
  context: Context,
  signed: SignedTransaction,
  { isFinal, tip }: { isFinal: (vertex: Uint8Array) => boolean; tip: LaneTip }
): Judgement {
  const { account, key, sequence } = signed.transaction
  try {
    const known = (vertex: Uint8Array): boolean => equalBytes(vertex, context.network) || isFinal(vertex)
    authorize(new Overlay(reader), context, signed, known, tip)
    return { status: 'ready' }
  } catch (error) {
    if (!isPekkaError(error)) throw error
    const head = laneHead(reader, account, key)?.sequence ?? 0
    // One that stands where another of its lane is under way may still be the one that is ordered, should that be refused.
    const waits =
      error.code === 'LANE_SEQUENCE' ? sequence > head || tip.sequence > sequence : MAY_PASS.includes(error.code)
    return { status: waits && sequence >= head ? 'early' : 'refused', error }
  }
}
