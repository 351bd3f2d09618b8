import assert from 'node:assert/strict'
import { RECEIPT_PARTS, drawOf, encodeReceipt, makeReceipt, verifyReceipt } from '@pekka/node/client'
import {
  encodeSigned,
  settlementMessage,
  signTransaction,
  transactionId,
  type Body,
  type CommitClaim,
  type Receipt,
  type SignedTransaction,
  type Signer,
  type TaskView
} from '@pekka/node/protocol'
import { createSigner } from '@pekka/node/host/crypto'
import { createParties, primitives, printed, sealRun, settledView } from '../../support/sealed-run.js'

const { random, verifier } = primitives

/** A receipt of a task, or of a session: committed after a tranche, or lost after it. `paid`: as the bridge signs it. */
async function createReceipt(
  init: { session?: 'committed' | 'lost'; paid?: bigint; trancheBy?: 'client' } = {}
): Promise<Receipt> {
  const parties = await createParties()
  const run = await sealRun(parties, [printed('one\n')])
  const client = createSigner(random.bytes(32))
  const bridge = createSigner(random.bytes(32))
  const plain: TaskView = { ...settledView(parties, run), lane: client.publicKey }
  const made = plain.attempts[0]?.claim
  assert.ok(made)
  const sign = async (account: Uint8Array, signer: Signer, sequence: number, body: Body) =>
    await signTransaction(
      {
        v: 1,
        network: parties.network,
        account,
        key: signer.publicKey,
        sequence,
        previous: sequence === 0 ? null : random.bytes(32),
        parents: [random.bytes(32)],
        expiry: 1,
        body
      },
      [signer]
    )
  const { task, account, provider, agent } = parties
  const cells = { heldMs: 2000, in: { count: 1, head: random.bytes(32) }, cells: 2 }
  const claim = init.session ? { ...made, session: cells } : made
  const tranche = await (init.trancheBy === 'client'
    ? sign(account, client, 5, { kind: 'tranche', task, attempt: 1, claim })
    : sign(provider, agent, 5, { kind: 'tranche', task, attempt: 1, claim }))
  const view = init.session ? sessionView(plain, claim, tranche, init) : plain
  const signed = [
    await sign(account, client, 0, { kind: 'offer', tasks: [view.offer] }),
    await sign(provider, agent, 4, { kind: 'accept', task }),
    ...(init.session ? [tranche] : []),
    ...(init.session === 'lost' ? [] : [await sign(provider, agent, 6, { kind: 'commit', task, attempt: 1, claim })])
  ]
  const settled = { ...view, transactions: signed.map(({ transaction }) => transactionId(transaction)) }
  const proof = {
    view: settled,
    transactions: signed.map(encodeSigned),
    settlement: { key: bridge.publicKey, signature: await bridge.sign(settlementMessage(parties.network, settled)) }
  }
  const finished = {
    header: run.header,
    count: run.sealed.length,
    head: run.head,
    signedHead: run.signed,
    manifest: run.manifest,
    done: {
      type: 'done' as const,
      outcome: 'ok' as const,
      reason: 'completed' as const,
      detail: {},
      exitCode: 0,
      usage: run.manifest.run.usage,
      t: 1
    }
  }
  const known = init.session === 'lost' ? null : finished
  return makeReceipt(parties.network, proof, known, parties.taskKey, 1_700_000_000_000)
}

/** 1.2 s of running at 1,500 and 2 s of waiting at 100 a second: 2,000. */
function sessionView(
  view: TaskView,
  claim: CommitClaim,
  tranche: SignedTransaction,
  { session, paid = 2000n }: { session?: 'committed' | 'lost'; paid?: bigint }
): TaskView {
  const fixed = { claim, transaction: transactionId(tranche.transaction) }
  const time = { aliveT: 3201, idleSince: null, idleMs: 0, busyMs: 0, trancheT: 3000, tranche: fixed }
  const progress = { in: { count: 1, head: claim.head }, cells: 2, ...time }
  const lost = session === 'lost'
  return {
    ...view,
    reason: lost ? 'provider-lost' : 'not-rerun',
    attempts: view.attempts.map(attempt => ({
      ...attempt,
      ended: lost ? ('lapsed' as const) : attempt.ended,
      claim: lost ? null : claim,
      session: progress
    })),
    offer: {
      ...view.offer,
      candidates: view.offer.candidates.map(candidate => ({ ...candidate, holdPricePerSecond: 100n })),
      session: { idleMs: 600_000, lifeMs: 3_600_000 }
    },
    paid,
    refunded: view.lock - paid
  }
}

describe('a receipt', () => {
  it('verifies from itself alone, part by part', async () => {
    const { checks } = await verifyReceipt(encodeReceipt(await createReceipt()), verifier)
    assert.deepEqual(
      checks.map(({ part, ok }) => [part, ok]),
      RECEIPT_PARTS.filter(part => part !== 'Ledger').map(part => [part, true]),
      JSON.stringify(checks)
    )
  })

  for (const session of ['committed', 'lost'] as const) {
    it(`of a session that was ${session} rests on its commit, or on its last tranche, and on both prices`, async () => {
      const failing = async (init: { paid?: bigint; trancheBy?: 'client' }) => {
        const { checks } = await verifyReceipt(encodeReceipt(await createReceipt({ session, ...init })), verifier)
        return checks.filter(({ ok }) => !ok).map(({ part }) => part)
      }
      assert.deepEqual(await failing({}), [])
      assert.deepEqual(await failing({ paid: 2001n }), ['Payment'], 'more than both prices allow')
      assert.deepEqual(await failing({ trancheBy: 'client' }), session === 'lost' ? ['Machine'] : [])
    })
  }

  it('fails when any one byte of it is changed', async () => {
    const bytes = encodeReceipt(await createReceipt())
    for (let i = 0; i < bytes.length; i++) {
      const changed = bytes.slice()
      changed[i] = (changed[i] ?? 0) ^ (1 + (i % 255))
      const { checks } = await verifyReceipt(changed, verifier)
      assert.ok(
        checks.some(({ ok }) => !ok),
        `byte ${i} of ${bytes.length}`
      )
    }
  }).timeout(60_000)

  it('says who would draw audits: several who sign, or one who knows each draw before (R26)', () => {
    const member: [Uint8Array, bigint] = [new Uint8Array(32), 1n]
    assert.equal(drawOf({ members: [member] }), 'single witness')
    assert.equal(drawOf({ members: [member, member, member, member] }), 'committee')
  })

  const forgeries: [string, string, (receipt: Receipt) => Receipt][] = [
    ['a smaller payment', 'Payment', r => ({ ...r, view: { ...r.view, paid: 1n, refunded: r.view.lock - 1n } })],
    ['a larger payment', 'Payment', r => ({ ...r, view: { ...r.view, paid: 5000n, refunded: r.view.lock - 5000n } })],
    ['another cap', 'Offer', r => ({ ...r, view: { ...r.view, offer: { ...r.view.offer, cap: 1n } } })],
    ['a left-out accept', 'Offer', r => ({ ...r, transactions: r.transactions.filter((_, i) => i !== 1) })],
    ['a result of another run', 'Result', r => ({ ...r, run: r.run && { ...r.run, digest: new Uint8Array(32) } })],
    ['another head', 'Output', r => ({ ...r, run: r.run && { ...r.run, head: { ...r.run.head, count: 1 } } })],
    [
      'a machine that was not named',
      'Machine',
      r => ({ ...r, view: { ...r.view, attempts: r.view.attempts.map(a => ({ ...a, provider: new Uint8Array(32) })) } })
    ]
  ]
  for (const [what, part, forge] of forgeries) {
    it(`shows ${what} in its part, even with the outer hash made anew`, async () => {
      const { digest: _, ...fields } = forge(await createReceipt())
      const { sha256, encodeCanonical } = await import('@pekka/node/protocol')
      const { checks } = await verifyReceipt(
        encodeCanonical({ ...fields, digest: sha256(encodeCanonical(fields)) }),
        verifier
      )
      assert.equal(checks.find(check => check.part === part)?.ok, false, JSON.stringify(checks))
    })
  }
})
