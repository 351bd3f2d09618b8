import { PekkaError, asPekkaError, type Clock, type TaskView } from '../../protocol/index.js'
import { drawOf, type OnLedger } from '../task/receipt.js'
import { makesCheckpoints, verdictOf, wayOf, type ProvenLedger } from './proven-ledger.js'

/**
 * For how long a receipt's proof is asked for again, and the pause between, ms: a checkpoint comes within five seconds, and a bridge that
 * was away is back within some. A witness waits for a checkpoint itself, so that one question may be all.
 */
const PATIENCE_MS = 8_000
const PAUSE_MS = 1_000

/**
 * The ledger's proof of how a task ended, for its receipt; null: there is none that says something, though it was asked for again where
 * the network makes checkpoints.
 * @throws PekkaError PROOF_INVALID where the ledger says something else than the bridge
 */
export async function proofForReceipt(
  ledger: Pick<ProvenLedger, 'task' | 'anchor'>,
  view: TaskView,
  clock: Clock,
  pause: (ms: number) => Promise<void> = wait
): Promise<OnLedger | null> {
  const end = clock.now() + PATIENCE_MS
  for (;;) {
    const found = await ask(ledger, view)
    if (found !== null || clock.now() >= end || !(await provesThings(ledger))) return found
    await pause(PAUSE_MS)
  }
}

async function ask(ledger: Pick<ProvenLedger, 'task'>, view: TaskView): Promise<OnLedger | null> {
  const found = await ledger.task(view.task).catch((error: unknown) => {
    // A bridge that gives none is no worse than one of before; one that gives a false one is.
    if (asPekkaError(error).code === 'PROOF_INVALID') throw error
    return null
  })
  const verdict = found === null ? 'open' : verdictOf(found.proven, view)
  if (verdict === 'refuted')
    throw new PekkaError('PROOF_INVALID', { issue: 'the ledger says something else than the bridge' })
  const says = verdict === 'proven' || found?.proven.facts.some(({ kind }) => kind === 'transaction')
  if (found === null || !says) return null
  return { draw: drawOf(found.proven.trust), ledger: { genesis: found.genesis, proof: found.bytes, ...wayOf(found) } }
}

/** Who can't be reached just now may have a proof later; whose genesis is of a network without checkpoints has none. */
async function provesThings(ledger: Pick<ProvenLedger, 'anchor'>): Promise<boolean> {
  return await ledger.anchor().then(
    ({ genesis }) => makesCheckpoints(genesis),
    () => true
  )
}

const wait = (ms: number): Promise<void> => new Promise(resolve => setTimeout(() => resolve(), ms))
