import {
  PekkaError,
  chargeOf,
  commitment,
  compareBytes,
  decodeCanonical,
  decodeSigned,
  encodeCanonical,
  equalBytes,
  receiptSchema,
  runHash,
  resultDigest,
  settlementMessage,
  sha256,
  storedMessage,
  transactionId,
  verifyHead,
  verifyProof,
  verifyWay,
  verifyRunHeader,
  verifySignatures,
  type Attempt,
  type CommitClaim,
  type Receipt,
  type SignedTransaction,
  type TaskView,
  type Trust,
  type Verifier
} from '../../protocol/index.js'
import { readAnchor, verdictOf } from '../ledger/proven-ledger.js'
import { dateText } from '../words.js'
import type { FinishedRun } from './reader.js'
import { auctionIssue } from './receipt-auction.js'

/** What `GET /v1/tasks/:task/proof` gives. */
export interface Proof {
  view: TaskView
  transactions: Uint8Array[]
  settlement: { key: Uint8Array; signature: Uint8Array }
}

/** What the ledger itself shows of a task, for its receipt. */
export type OnLedger = Pick<Extract<Receipt, { v: 2 }>, 'ledger' | 'draw'>

/** Who draws audits where these keep the ledger (R26). */
export const drawOf = ({ members }: Pick<Trust, 'members'>): OnLedger['draw'] =>
  members.length === 1 ? 'single witness' : 'committee'

/** Puts a receipt together from the bridge's proof and what this client recomputed. Verify it before it is stored. */
export function makeReceipt(
  network: Uint8Array,
  proof: Proof,
  finished: FinishedRun | null,
  taskKey: Uint8Array,
  madeAt: number,
  shown: OnLedger | null = null
): Receipt {
  const committed = proof.view.attempts.find(attempt => attempt.ended === 'committed')
  if (committed && !finished?.signedHead)
    throw new PekkaError('RECEIPT_INVALID', { part: 'Result', issue: 'its output is not complete here' })
  const run =
    committed && finished?.signedHead
      ? {
          header: finished.header,
          head: finished.signedHead,
          manifest: finished.manifest,
          digest: resultDigest(taskKey, finished.manifest.result)
        }
      : null
  const fields = {
    network,
    view: proof.view,
    bridge: proof.settlement,
    transactions: proof.transactions,
    run,
    stored: committed?.claim?.stored ?? null,
    checked: 'not-rerun' as const,
    draw: 'single witness' as const,
    madeAt
  }
  if (shown === null) return sealed({ v: 1 as const, ...fields })
  return sealed({ v: 2 as const, ...fields, ...shown })
}

const sealed = <T extends object>(fields: T): T & { digest: Uint8Array } => ({
  ...fields,
  digest: sha256(encodeCanonical(fields))
})

export const encodeReceipt = (receipt: Receipt): Uint8Array => encodeCanonical(receipt)

/** The parts of a receipt that are checked, as people see them. */
export const RECEIPT_PARTS = ['Form', 'Offer', 'Machine', 'Output', 'Result', 'Payment', 'Ledger'] as const
export type ReceiptPart = (typeof RECEIPT_PARTS)[number]

export interface PartCheck {
  part: ReceiptPart
  ok: boolean
  /** One sentence; why it fails, or what was found. */
  note: string
}

/**
 * Checks every signature and hash of a receipt from the receipt alone (no network). It proves who signed what. That the ledger's state
 * is as it says is the bridge's signed word in version 1; version 2 carries the witnesses'.
 */
export async function verifyReceipt(
  bytes: Uint8Array,
  verifier: Verifier
): Promise<{ receipt: Receipt | null; checks: PartCheck[] }> {
  let receipt: Receipt
  try {
    receipt = receiptSchema.parse(decodeCanonical(bytes))
    const { digest, ...fields } = receipt
    if (!equalBytes(sha256(encodeCanonical(fields)), digest))
      throw new PekkaError('RECEIPT_INVALID', { part: 'Form', issue: 'it was changed' })
  } catch (error) {
    const note =
      error instanceof PekkaError && error.code === 'RECEIPT_INVALID'
        ? 'Changed after it was made.'
        : 'Not a receipt of this version, or damaged.'
    return { receipt: null, checks: [{ part: 'Form', ok: false, note }] }
  }
  const checks: PartCheck[] = [{ part: 'Form', ok: true, note: `Version ${receipt.v}, all fields known.` }]
  const context = { receipt, verifier, signed: [] as SignedTransaction[] }
  for (const [part, check] of receipt.v === 1 ? CHECKS : [...CHECKS, LEDGER]) {
    try {
      checks.push({ part, ok: true, note: await check(context) })
    } catch (error) {
      const issue =
        error instanceof PekkaError && typeof error.data['issue'] === 'string'
          ? error.data['issue']
          : 'it cannot be read'
      checks.push({ part, ok: false, note: `${capital(issue)}. Changed after signing, or from another task.` })
    }
  }
  return { receipt, checks }
}

interface CheckContext {
  receipt: Receipt
  verifier: Verifier
  signed: SignedTransaction[]
}

const CHECKS: [ReceiptPart, (context: CheckContext) => Promise<string>][] = [
  ['Offer', checkOffer],
  ['Machine', checkMachine],
  ['Output', checkOutput],
  ['Result', checkResult],
  ['Payment', checkPayment]
]

const LEDGER: [ReceiptPart, (context: CheckContext) => Promise<string>] = ['Ledger', checkLedger]

const demand = (holds: boolean, part: ReceiptPart, issue: string): void => {
  if (!holds) throw new PekkaError('RECEIPT_INVALID', { part, issue })
}

/** All transactions are signed, on this network, about this task; the first one is the offer the view shows, after an auction's (R31). */
async function checkOffer(context: CheckContext): Promise<string> {
  const { receipt, verifier } = context
  const { view } = receipt
  for (const bytes of receipt.transactions) {
    const signed = decodeSigned(bytes)
    demand(equalBytes(signed.transaction.network, receipt.network), 'Offer', 'a transaction is for another network')
    demand(await verifySignatures(signed, verifier), 'Offer', 'a signature does not hold')
    context.signed.push(signed)
  }
  const ids = context.signed.map(({ transaction }) => transactionId(transaction))
  demand(sameList(ids, view.transactions), 'Offer', 'the transactions are not those of the task')
  const place = context.signed.findIndex(({ transaction }) => transaction.body.kind === 'offer')
  const first = context.signed[place]?.transaction
  demand(
    first?.body.kind === 'offer' && equalBytes(first.account, view.account),
    'Offer',
    'the offer is not of this account'
  )
  demand(
    first?.key !== null && first?.key !== undefined && equalBytes(first.key, view.lane),
    'Offer',
    'the offer is of another key'
  )
  const offered = first?.body.kind === 'offer' ? first.body.tasks.find(t => equalBytes(t.task, view.task)) : undefined
  demand(offered !== undefined && sameValue(offered, view.offer), 'Offer', 'the offer is not what was signed')
  const auction = context.signed.slice(0, place).map(({ transaction }) => transaction)
  if (auction.length > 0) {
    const issue = auctionIssue(receipt.network, auction, offered ?? view.offer)
    demand(issue === null, 'Offer', issue ?? '')
  }
  for (const { transaction } of context.signed.slice(place + 1)) {
    demand(
      'task' in transaction.body && equalBytes(transaction.body.task, view.task),
      'Offer',
      'a transaction is of another task'
    )
  }
  const bids = auction.filter(({ body }) => body.kind === 'auction-bid').length
  const bought = bids > 0 ? ` Its price follows from ${bids} sealed ${bids === 1 ? 'bid' : 'bids'}.` : ''
  return `Signed by the account's key ${context.signed.length > 1 ? `, with ${context.signed.length - 1} more steps` : ''}.`
    .replace(' ,', ',')
    .concat(bought)
}

/** Each attempt's provider was a candidate and signed its accept; the committed one signed the claim. */
async function checkMachine({ receipt, signed }: CheckContext): Promise<string> {
  const { view } = receipt
  const accepts = signed.filter(({ transaction }) => transaction.body.kind === 'accept')
  demand(accepts.length === view.attempts.length, 'Machine', 'the number of tries does not agree')
  for (const [i, attempt] of view.attempts.entries()) {
    const accept = accepts[i]?.transaction
    demand(
      accept !== undefined && equalBytes(accept.account, attempt.provider),
      'Machine',
      'a try was not accepted by its machine'
    )
    const candidate = view.offer.candidates[attempt.candidate]
    demand(
      candidate !== undefined && equalBytes(candidate.provider, attempt.provider),
      'Machine',
      'a machine was not named in the offer'
    )
  }
  const committed = view.attempts.findIndex(attempt => attempt.ended === 'committed')
  const commit = signed.find(({ transaction }) => transaction.body.kind === 'commit')?.transaction
  if (committed < 0) {
    demand(receipt.run === null, 'Machine', 'there is output without a commit')
    const lost = view.attempts.at(-1)
    if (!lost?.session?.tranche) return 'No machine finished it.'
    const { claim, transaction } = lost.session.tranche
    const tranche = signed.find(one => equalBytes(transactionId(one.transaction), transaction))?.transaction
    const fixed =
      tranche?.body.kind === 'tranche' &&
      tranche.body.attempt === view.attempts.length &&
      equalBytes(tranche.account, lost.provider) &&
      sameValue(tranche.body.claim, claim)
    demand(fixed, 'Machine', 'what was paid was not fixed by the machine')
    return 'Kept by the machine and not finished; its last part is signed.'
  }
  const attempt = view.attempts[committed]
  const matches =
    commit?.body.kind === 'commit' &&
    attempt !== undefined &&
    commit.body.attempt === committed + 1 &&
    equalBytes(commit.account, attempt.provider) &&
    sameValue(commit.body.claim, attempt.claim)
  demand(matches, 'Machine', 'the result was not fixed by the machine')
  return `Run and signed by the machine, try ${committed + 1}.`
}

/** Run header, last head and the bridge's `stored` are signed and end in the committed head. */
async function checkOutput({ receipt, verifier, signed }: CheckContext): Promise<string> {
  const { run, view, network } = receipt
  const committed = view.attempts.findIndex(attempt => attempt.ended === 'committed')
  const claim = view.attempts[committed]?.claim
  if (!claim) return 'No result was fixed.'
  demand(run !== null, 'Output', 'the machine’s signatures are missing')
  if (!run) return ''
  const { header, head } = run
  const bound =
    equalBytes(header.network, network) &&
    equalBytes(header.task, view.task) &&
    equalBytes(head.task, view.task) &&
    header.attempt === committed + 1 &&
    head.attempt === header.attempt &&
    header.run === claim.run &&
    head.run === claim.run
  demand(bound, 'Output', 'it is of another run')
  const commit = signed.find(({ transaction }) => transaction.body.kind === 'commit')?.transaction
  demand(
    commit?.key !== null && commit?.key !== undefined && equalBytes(header.key, commit.key),
    'Output',
    'another key signed the output'
  )
  demand(equalBytes(head.key, header.key), 'Output', 'another key signed the head')
  demand(await verifyRunHeader(header, verifier), 'Output', 'the run’s signature does not hold')
  demand(await verifyHead(network, head, verifier), 'Output', 'the head’s signature does not hold')
  demand(
    head.count === claim.count && equalBytes(head.head, claim.head),
    'Output',
    'the output is not the one that was fixed'
  )
  demand(sameValue(receipt.stored, claim.stored), 'Output', 'the bridge’s acknowledgement was exchanged')
  if (claim.stored) {
    const message = storedMessage(network, {
      task: view.task,
      attempt: header.attempt,
      run: claim.run,
      count: claim.stored.count,
      head: claim.stored.head
    })
    demand(
      await verifier.verify(claim.stored.key, message, claim.stored.signature),
      'Output',
      'the bridge’s acknowledgement does not hold'
    )
  }
  return `${claim.count} pieces of output, chained and signed.`
}

/** c = H(network ‖ task ‖ attempt ‖ provider ‖ D ‖ H(run) ‖ blind). */
async function checkResult({ receipt }: CheckContext): Promise<string> {
  const { run, view, network } = receipt
  const committed = view.attempts.findIndex(attempt => attempt.ended === 'committed')
  const attempt = view.attempts[committed]
  if (!attempt?.claim || !run) return 'No result was fixed.'
  const { manifest } = run
  const expected = commitment({
    network,
    task: view.task,
    attempt: committed + 1,
    provider: attempt.provider,
    digest: run.digest,
    runHash: runHash(manifest.run),
    blind: manifest.blind
  })
  demand(equalBytes(expected, attempt.claim.commitment), 'Result', 'it is not the result that was fixed')
  demand(equalBytes(manifest.run.image, view.offer.image.digest), 'Result', 'it ran in another environment')
  demand(manifest.result.outcome === attempt.claim.outcome, 'Result', 'the outcome does not agree')
  return 'Fixed on the ledger before it was paid. Not re-run elsewhere.'
}

/** Pay follows from price, usage and cap; lock = pay + refund + levy + deposit; the bridge signed the end. */
async function checkPayment({ receipt, verifier }: CheckContext): Promise<string> {
  const { view, network } = receipt
  demand(
    await verifier.verify(receipt.bridge.key, settlementMessage(network, view), receipt.bridge.signature),
    'Payment',
    'the bridge’s signature does not hold'
  )
  demand(
    view.lock === view.paid + view.refunded + view.levy + view.deposit || !ended(view),
    'Payment',
    'the sums do not agree'
  )
  const attempt = view.attempts.find(a => a.ended === 'committed') ?? view.attempts.at(-1)
  const claim = payable(view, attempt)
  const candidate = attempt && view.offer.candidates[attempt.candidate]
  if (claim !== null && candidate !== undefined) {
    const time = { wallMs: claim.usage.wallMs, heldMs: claim.session?.heldMs ?? 0 }
    demand(view.paid <= chargeOf(candidate, time, view.offer.cap), 'Payment', 'more was paid than price and time allow')
  } else {
    demand(view.paid === 0n, 'Payment', 'something was paid without a result')
  }
  return receipt.v === 1
    ? 'Price, time and cap agree. Settled, as the bridge says.'
    : 'Price, time and cap agree; the bridge has signed it too.'
}

/** The witnesses of the network that the receipt names signed this end, or at least the transaction that led to it. */
async function checkLedger({ receipt, verifier, signed }: CheckContext): Promise<string> {
  if (receipt.v === 1) return ''
  const { view, network, ledger } = receipt
  demand(equalBytes(sha256(ledger.genesis), network), 'Ledger', 'the genesis is of another network')
  const trust = await verifyWay(ledger.way ?? [], readAnchor(ledger.genesis, network), verifier)
  const proven = await verifyProof(ledger.proof, trust, verifier)
  demand(receipt.draw === drawOf(proven.trust), 'Ledger', 'others keep the ledger than it says')
  const verdict = verdictOf(proven, view)
  const at = dateText(proven.checkpoint.timestamp)
  if (verdict === 'proven') return `Settled: signed by the network’s witnesses, ${at}.`
  demand(verdict === 'open', 'Ledger', 'the ledger says something else')
  const last = signed.at(-1)?.transaction
  const moved = last && proven.facts.find(f => f.kind === 'transaction' && equalBytes(f.id, transactionId(last)))
  demand(moved?.kind === 'transaction' && moved.code === null, 'Ledger', 'the proof shows nothing of this task')
  return `Its last step is on the ledger, signed by the network’s witnesses, ${at}; the sums are as the bridge says.`
}

/** What pay rests on: the commit once the task has ended, before that and without one a session's last tranche (R33). */
const payable = (view: TaskView, attempt: Attempt | undefined): CommitClaim | null =>
  (ended(view) && attempt?.ended === 'committed' ? attempt.claim : null) ?? attempt?.session?.tranche?.claim ?? null

const ended = (view: TaskView): boolean => ['settled', 'refunded', 'closed'].includes(view.state)
const sameValue = (a: unknown, b: unknown): boolean => equalBytes(encodeCanonical(a), encodeCanonical(b))
const sameList = (a: Uint8Array[], b: Uint8Array[]): boolean =>
  a.length === b.length && a.every((id, i) => compareBytes(id, b[i] ?? new Uint8Array()) === 0)
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
