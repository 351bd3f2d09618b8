import assert from 'node:assert/strict'
import { readLedgerFile, verifyEvidenceFile, writeEvidenceFile, type CommitteeProof } from '@pekka/node/client'
import {
  certify,
  committeeDigest,
  decodeCanonical,
  encodeCanonical,
  encodeProof,
  encodeWitnessBlock,
  makeEquivocation,
  networkId,
  signCheckpoint,
  toHex,
  toJson,
  witnessBlockId,
  witnessBlockMessage,
  type Certificate,
  type CommitteeMembers,
  type Signer
} from '@pekka/node/protocol'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { accusationLines } from '../../../src/cli/commands/ledger-evidence.js'
import { createTestNetwork } from '../../agents/witness/support.js'

const verifier = createVerifier()
const [first, later, stranger] = [1, 2, 3].map(fill => createSigner(new Uint8Array(32).fill(fill)))
assert.ok(first && later && stranger)
const genesis = { ...createTestNetwork().genesis, witnesses: [{ key: first.publicKey, stake: 5n }] }
const network = networkId(genesis)
/** The committee of epoch 1 has another member; that of epoch 0 is in the genesis. */
const COMMITTEES: CommitteeMembers[] = [
  [[first.publicKey, 5n]],
  [
    [first.publicKey, 7n],
    [later.publicKey, 2n]
  ]
]

async function certificate(epoch: number): Promise<Certificate> {
  const members = COMMITTEES[epoch] ?? assert.fail()
  const next = COMMITTEES[epoch + 1]
  const some = new Uint8Array(32)
  const checkpoint = {
    ...{ v: 1 as const, network, epoch, index: 10 * (epoch + 1), head: some, timestamp: 1, contractTime: 1 },
    ...{ previous: some, stateRoot: some, transactionsRoot: some, transactions: 0 },
    committee: committeeDigest(network, epoch, members),
    nextCommittee: next === undefined ? null : committeeDigest(network, epoch + 1, next)
  }
  const signatures = new Map([[0, await signCheckpoint(checkpoint, first ?? assert.fail())]])
  return certify(checkpoint, members, signatures) ?? assert.fail()
}

async function committees(to: 0 | 1): Promise<CommitteeProof> {
  const [zero, next] = [await certificate(0), COMMITTEES[1] ?? assert.fail()]
  const proof = { v: 1 as const, claims: [] }
  const bytes =
    to === 0
      ? encodeProof({ ...proof, steps: [], certificate: zero })
      : encodeProof({ ...proof, steps: [{ certificate: zero, next }], certificate: await certificate(1) })
  return { genesis: encodeCanonical(genesis), proof: bytes }
}

async function evidence(signer: Signer, epoch: number): Promise<Uint8Array> {
  const blocks = [1, 2].map(async timestamp => {
    const block = {
      ...{ v: 1 as const, network, epoch, author: 0, round: 9, timestamp },
      parents: [{ author: 0, round: 8, id: network }],
      ...{ weak: [], transactions: [], votes: [], reveal: network }
    }
    const signature = await signer.sign(witnessBlockMessage(network, witnessBlockId(block)))
    return encodeWitnessBlock({ block, signature })
  })
  const [one, other] = await Promise.all(blocks)
  return makeEquivocation(signer.publicKey, one ?? assert.fail(), other ?? assert.fail())
}

const encoder = new TextEncoder()
const read = (text: string) => readLedgerFile(encoder.encode(text), text)
function accusing(text: string) {
  const found = read(text)
  assert.ok(found.kind === 'equivocation')
  return found.file
}
const invalid = (issue: RegExp) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === 'PROOF_INVALID' && issue.test(error.message)

describe('a file of evidence against a witness', () => {
  it('names the witness, the round, both blocks and the seat in that epoch’s committee, offline', async () => {
    const text = writeEvidenceFile(network, await evidence(later, 1), await committees(1))
    const shown = await verifyEvidenceFile(accusing(text), verifier, network)
    assert.deepEqual([toHex(shown.key), shown.epoch, shown.round], [toHex(later.publicKey), 1, 9])
    assert.deepEqual(shown.seat, { stake: 2n, of: 9n, members: 2 })
    const words = accusationLines(shown).join('\n')
    for (const { id } of shown.blocks) assert.ok(words.includes(toHex(id)))
    assert.equal(new Set(shown.blocks.map(({ id }) => toHex(id))).size, 2)
    assert.match(words, /round 9 of epoch 1[^]*seat in the committee of epoch 1[^]*2 witnesses/)
    const firsts = writeEvidenceFile(network, await evidence(first, 0), await committees(1))
    assert.deepEqual((await verifyEvidenceFile(accusing(firsts), verifier)).seat, { stake: 5n, of: 5n, members: 1 })
  })

  it('says that it doesn’t know of a seat where it shows no committee of that epoch', async () => {
    const early = writeEvidenceFile(network, await evidence(later, 1), await committees(0))
    assert.equal((await verifyEvidenceFile(accusing(early), verifier)).seat, null)
    const bytes = await evidence(first, 0)
    const bare = readLedgerFile(bytes, new TextDecoder().decode(bytes))
    const answer = read(JSON.stringify(toJson({ evidence: bytes })))
    for (const found of [bare, answer]) {
      assert.ok(found.kind === 'equivocation')
      const shown = await verifyEvidenceFile(found.file, verifier)
      assert.equal(shown.seat, null)
      assert.match(accusationLines(shown).join('\n'), /doesn’t say whether this key had a seat/)
    }
  })

  it('is refused of a key without a seat, on another network, or where anything in it was changed', async () => {
    const outside = writeEvidenceFile(network, await evidence(stranger, 1), await committees(1))
    await assert.rejects(
      verifyEvidenceFile(accusing(outside), verifier),
      invalid(/no seat in the committee of epoch 1/)
    )
    const good = accusing(writeEvidenceFile(network, await evidence(later, 1), await committees(1)))
    await assert.rejects(verifyEvidenceFile(good, verifier, new Uint8Array(32)), invalid(/another network/))
    const forged = makeEquivocation(first.publicKey, ...(await signedBy(later)))
    await assert.rejects(
      verifyEvidenceFile({ ...good, evidence: forged }, verifier),
      invalid(/not signed with this key/)
    )
    const { committees: by } = good
    assert.ok(by)
    const proof = by.proof.slice()
    proof[proof.length - 20] = (proof[proof.length - 20] ?? 0) ^ 1
    await assert.rejects(verifyEvidenceFile({ ...good, committees: { ...by, proof } }, verifier))
  })

  it('is told from a proof, and rubbish from both', async () => {
    const text = writeEvidenceFile(network, await evidence(later, 1), await committees(1))
    const { genesis: bytes, proof } = await committees(1)
    const file = JSON.stringify(toJson({ v: 1, network, genesis: bytes, proof }))
    assert.equal(read(file).kind, 'proof')
    for (const [rubbish, words] of [
      ['', /neither a proof nor evidence/],
      ['print("hello")', /neither a proof nor evidence/],
      ['{}', /no proof of this version/],
      ['[1, 2]', /no proof of this version/],
      ['null', /no proof of this version/],
      ['{"evidence": 5}', /no evidence of this version/],
      ['{"evidence": "AAAA"}', /neither a proof nor evidence/],
      [text.replace('"v": 1', '"v": 2'), /no evidence of this version/],
      [text.replace('"kind": "equivocation"', '"kind": "else"'), /no evidence of this version/],
      [text.slice(0, -5), /neither a proof nor evidence/]
    ] as const)
      assert.throws(() => read(rubbish), invalid(words), rubbish.slice(0, 40))
  })
})

/** The two blocks of somebody's evidence. */
async function signedBy(signer: Signer): Promise<[Uint8Array, Uint8Array]> {
  return (decodeCanonical(await evidence(signer, 1)) as { blocks: [Uint8Array, Uint8Array] }).blocks
}
