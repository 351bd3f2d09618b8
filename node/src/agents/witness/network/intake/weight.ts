import type { VerifiedTransaction } from '@pekka/node/ledger'
import { VIEW_BYTES } from '../../constants.js'

/** What a commit tells of each of its transactions beside its bytes: the outcome, and accounts that it changed. */
const OUTCOME_BYTES = 256

/** Bytes that a transaction makes in the commit that orders it, at most: its own, its outcome, and the views of what it changes. */
export function weightOf({ bytes, transaction: { body } }: Pick<VerifiedTransaction, 'bytes' | 'transaction'>): number {
  const views = body.kind === 'offer' ? body.tasks.length : 'task' in body || body.kind.startsWith('auction-') ? 1 : 0
  return bytes.length + OUTCOME_BYTES + VIEW_BYTES * views
}
