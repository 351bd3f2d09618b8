import assert from 'node:assert/strict'
import {
  checkpointDigest,
  committeeDigest,
  concat,
  CREDIT,
  decodeProof,
  encodeProof,
  MAX_PROOF_BYTES,
  sha256,
  toHex,
  trustGenesis,
  u32,
  verifyProof,
  type Certificate,
  type Checkpoint,
  type Claim,
  type LedgerProof,
  type Trust
} from '@pekka/node/protocol'
import { CheckpointTrees, scriptHashing } from '@pekka/node/ledger'
import { bytes, openMarket, START } from '../support.js'
import {
  certificateOf,
  check,
  follow,
  proofOf,
  refuses,
  trustOf,
  verifier,
  witnesses,
  world,
  type Witnesses
} from './support.js'

describe('protocol: a proof of what the ledger says', () => {
  const committee = witnesses(21, 3)
  const made = world(committee)
  const { market, task, trees, trust, transaction } = made
  const { chain, client, providers } = market
  const ask = providers[0]?.ask.ask ?? assert.fail()
  const row = (table: 'account' | 'ask' | 'task', id: Uint8Array): Claim => trees.proveRow(chain.state, table, id)

  it('shows an account, an ask with its KEM key, a settled task and a transaction’s outcome, from the committee alone', async () => {
    const claims = [row('account', client.account), row('ask', ask), row('task', task)]
    claims.push(trees.proveTransaction(transaction) ?? assert.fail())
    const { facts, checkpoint } = await verifyProof(encodeProof(await proofOf(made, claims)), trust, verifier)
    const [account, asked, settled, ordered] = facts
    assert.equal(account?.kind === 'account' && account.row?.balance, chain.balance(market.owner))
    assert.deepEqual(asked?.kind === 'ask' && asked.row?.ask.kemKey, providers[0]?.ask.kemKey)
    assert.equal(settled?.kind === 'task' && settled.row?.state, 'settled')
    assert.ok(ordered?.kind === 'transaction' && ordered.code === null)
    assert.equal(ordered.index, chain.results.length - 1)
    assert.equal(checkpoint.contractTime, chain.contractTime)
  })

  it('shows that a task, an ask and an account are not there', async () => {
    const claims = (['account', 'ask', 'task'] as const).map(table => row(table, bytes(77)))
    const facts = await check(await proofOf(made, claims), trust)
    assert.deepEqual(
      facts.map(fact => 'row' in fact && fact.row),
      [null, null, null]
    )
  })

  it('shows a failed transaction as failed, and can’t be turned into an applied one', async () => {
    const failing = openMarket(1)
    const { id } = failing.chain.send(failing.owner, { kind: 'transfer', to: bytes(3), amount: CREDIT })
    const { trees: own, state } = follow(failing)
    const place = { epoch: 3, previous: failing.chain.network, nextCommittee: null }
    const members = witnesses(1, 3)
    const checkpoint = own.checkpoint(state, {
      ...place,
      committee: committeeDigest(failing.chain.network, 3, members.members)
    })
    const claim = own.proveTransaction(id)
    assert.ok(claim?.kind === 'transaction')
    const small = { ...made, checkpoint, committee: members, trust: trustOf(checkpoint, members) }
    const [fact] = await check(await proofOf(small, [claim]), small.trust)
    assert.equal(fact?.kind === 'transaction' && fact.code, 'ACCOUNT_UNKNOWN')
    await refuses(await proofOf(small, [{ ...claim, ordered: { ...claim.ordered, code: null } }]), small.trust)
    assert.equal(own.proveTransaction(bytes(1)), null)
  })

  it('holds nothing that can be changed: any byte of it makes it fail, or not be a proof', async () => {
    const proof = encodeProof(
      await proofOf(made, [row('task', task), trees.proveTransaction(transaction) ?? assert.fail()])
    )
    for (let at = 0; at < proof.length; at += 23) {
      const changed = proof.slice()
      changed[at] = (changed[at] ?? 0) ^ (1 << (at % 8))
      await assert.rejects(
        verifyProof(changed, trust, verifier),
        /PekkaError|PROOF_INVALID|ENCODING_NOT_CANONICAL/,
        `${at}`
      )
    }
    for (const cut of [proof.slice(0, -1), proof.slice(1), concat(proof, Uint8Array.of(0)), new Uint8Array(0)]) {
      await assert.rejects(verifyProof(cut, trust, verifier), { code: 'ENCODING_NOT_CANONICAL' })
    }
  })

  it('is refused with a row of another task, or none, in place of the right one', async () => {
    const claim = row('task', task)
    assert.ok(claim.kind === 'row')
    const other = row('account', client.account)
    assert.ok(other.kind === 'row')
    const settled = claim.row ?? assert.fail()
    for (const change of [{ row: null }, { row: other.row }, { key: toHex(bytes(5)) }, { table: 'ask' as const }]) {
      await refuses(await proofOf(made, [{ ...claim, ...change }]), trust)
    }
    await refuses(await proofOf(made, [{ ...claim, path: other.path }]), trust)
    await refuses(await proofOf(made, [{ ...claim, row: concat(settled, Uint8Array.of(0)) }]), trust)
  })

  it('is bounded before it is read', () => {
    assert.throws(() => decodeProof(new Uint8Array(MAX_PROOF_BYTES + 1)), { code: 'PROOF_INVALID' })
  })

  it('takes at most 4 kB with a committee of 21 and a state of 20,000 rows', async () => {
    const state = follow(market).state
    for (let at = 0; at < 20_000; at++) state.put('closed', toHex(sha256(u32(at))), { until: at })
    const large = new CheckpointTrees(scriptHashing, state)
    const checkpoint = large.checkpoint(state, made.checkpoint)
    const sizes: Record<string, number> = {}
    const size = async (claim: Claim): Promise<number> =>
      encodeProof(await proofOf({ ...made, checkpoint }, [claim])).length
    const rows = { account: client.account, ask, task }
    for (const table of ['account', 'ask', 'task'] as const) {
      sizes[table] = await size(large.proveRow(state, table, rows[table]))
    }
    sizes['absent'] = await size(large.proveRow(state, 'task', bytes(77)))
    console.log(`      bytes: ${JSON.stringify(sizes)}`)
    for (const [name, found] of Object.entries(sizes)) assert.ok(found <= 4096, `${name}: ${found} bytes`)
  })
})

describe('protocol: certificates', () => {
  it('need a quorum of the stake, whoever gives it', async () => {
    const uneven = witnesses(4, 3, at => [4n, 3n, 2n, 1n][at] ?? 0n)
    const { checkpoint } = world(uneven)
    // Q = 10 − 3 = 7 of 10.
    assert.equal(await certificateOf(checkpoint, uneven, [0, 2]), null)
    assert.equal(await certificateOf(checkpoint, uneven, [1, 2, 3]), null)
    assert.ok(await certificateOf(checkpoint, uneven, [0, 1]))
    assert.ok(await certificateOf(checkpoint, uneven, [0, 2, 3]))
    const all = await certificateOf(checkpoint, uneven)
    assert.equal(all?.signatures.length, 128, 'no more signatures than a quorum needs')
  })

  it('are refused with too few signers, one signer marked for another, a signature twice, cut or by a stranger', async () => {
    const committee = witnesses(4, 3)
    const made = world(committee)
    const { checkpoint, trust } = made
    const proof = await proofOf(made, [])
    const { certificate } = proof
    await check(proof, trust)
    const [first, second, third] = [0, 64, 128].map(from => certificate.signatures.slice(from, from + 64))
    assert.ok(first && second && third)
    const strangers = await certificateOf(checkpoint, witnesses(4, 9))
    const marks = (bits: number): Uint8Array => Uint8Array.of(bits)
    const attempts: Partial<Certificate>[] = [
      { signers: marks(0b11000000), signatures: concat(first, second) },
      { signers: marks(0b11100000), signatures: concat(first, second) },
      { signers: marks(0b11110000), signatures: concat(first, second, third) },
      { signers: marks(0b11110000), signatures: concat(first, second, third, third) },
      { signers: marks(0b11100000), signatures: concat(first, first, first) },
      { signers: marks(0b11100000), signatures: concat(second, first, third) },
      { signers: marks(0b11010000), signatures: concat(first, second, third) },
      { signers: marks(0b11101000) },
      { signatures: concat(certificate.signatures, first) },
      { signers: Uint8Array.of(0b11100000, 0) },
      { signers: new Uint8Array(0), signatures: new Uint8Array(0) },
      { signatures: strangers?.signatures ?? assert.fail() },
      { signatures: certificate.signatures.slice(0, -1) },
      { checkpoint: { ...checkpoint, stateRoot: bytes(1) } },
      { checkpoint: { ...checkpoint, index: checkpoint.index + 1 } }
    ]
    for (const change of attempts) {
      await refuses({ ...proof, certificate: { ...certificate, ...change } }, trust)
    }
    await refuses(proof, { ...trust, network: bytes(9) })
    const abroad = await certificateOf({ ...checkpoint, network: bytes(9) }, committee)
    await refuses({ ...proof, certificate: abroad ?? assert.fail() }, trust)
    await refuses(proof, { ...trust, epoch: 4 })
    await refuses(proof, { ...trust, members: witnesses(4, 9).members })
    await refuses(proof, { ...trust, members: [...trust.members].reverse() })
    await refuses(proof, { ...trust, members: trust.members.slice(1) })
  })

  it('are refused where a committee names a witness twice, though its digest is trusted', async () => {
    const { signers, members } = witnesses(2, 3)
    const [one] = members
    const [signer] = signers
    assert.ok(one && signer)
    const doubled: Witnesses = { members: [one, one, one, one], signers: [signer, signer, signer, signer] }
    const made = world(doubled)
    await refuses(await proofOf(made, []), made.trust)
  })

  it('lead from the committee of the genesis over each epoch’s to the one that signed', async () => {
    const epochs = [0, 1, 2, 3].map(epoch => witnesses(4, epoch))
    const made = world(epochs[3] ?? assert.fail())
    const { network } = made.checkpoint
    const place = (epoch: number): Checkpoint => {
      const [own, next] = [epochs[epoch], epochs[epoch + 1]]
      assert.ok(own)
      const nextCommittee = next === undefined ? null : committeeDigest(network, epoch + 1, next.members)
      const committee = committeeDigest(network, epoch, own.members)
      return { ...made.checkpoint, epoch, index: made.checkpoint.index - 3 + epoch, committee, nextCommittee }
    }
    const certificates = await Promise.all(
      epochs.map(async (own, epoch) => (await certificateOf(place(epoch), own)) ?? assert.fail())
    )
    const certificate = certificates[3] ?? assert.fail()
    const steps = certificates.slice(0, 3).map((step, epoch) => ({
      certificate: step,
      next: epochs[epoch + 1]?.members ?? assert.fail()
    }))
    const trust: Trust = { network, epoch: 0, members: epochs[0]?.members ?? assert.fail() }
    const claims = [made.trees.proveRow(made.market.chain.state, 'task', made.task)]
    const proof: LedgerProof = { v: 1, steps, certificate, claims }
    const proven = await verifyProof(encodeProof(proof), trust, verifier)
    assert.deepEqual(proven.trust, made.trust)
    assert.equal(proven.facts[0]?.kind, 'task')
    for (const at of [0, 1, 2]) await refuses({ ...proof, steps: steps.filter((_, step) => step !== at) }, trust)
    await refuses({ ...proof, steps: [...steps].reverse() }, trust)
    await refuses({ ...proof, steps: [...steps, ...steps] }, trust)
    await refuses({ ...proof, steps: steps.map(step => ({ ...step, next: trust.members })) }, trust)
    // The last epoch's committee isn't elected in there: nobody can name one.
    await refuses({ ...proof, steps: [...steps, { certificate, next: trust.members }] }, trust)
    // An epoch's certificate that goes back in the ledger, though its own quorum signed it.
    const back = await certificateOf({ ...place(1), index: 0 }, epochs[1] ?? assert.fail())
    const swapped = steps.map((step, at) => (at === 1 && back ? { ...step, certificate: back } : step))
    await refuses({ ...proof, steps: swapped }, trust)
  })

  it('begin with the committee of the genesis, whose hash is the network', async () => {
    const first = witnesses(3, 0)
    const { genesis } = openMarket(1).chain
    const trust = trustGenesis({ ...genesis, witnesses: first.members.map(([key, stake]) => ({ key, stake })) })
    const made = world(first)
    const committee = committeeDigest(trust.network, 0, first.members)
    const checkpoint = { ...made.checkpoint, network: trust.network, epoch: 0, committee }
    const proof = await proofOf({ ...made, checkpoint }, [])
    await check(proof, trust)
    await refuses(proof, { ...trust, network: made.checkpoint.network })
  })

  it('chain to the checkpoint before by its digest', () => {
    const { checkpoint } = world(witnesses(1, 3))
    assert.notEqual(toHex(checkpointDigest(checkpoint)), toHex(checkpointDigest({ ...checkpoint, timestamp: START })))
  })
})
