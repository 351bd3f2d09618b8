import assert from 'node:assert/strict'
import {
  encodeCanonical,
  encodeWitnessBlock,
  makeEquivocation,
  MAX_EVIDENCE_BYTES,
  sha256,
  utf8,
  verifyEquivocation,
  witnessBlockId,
  witnessBlockMessage,
  type WitnessBlock
} from '@pekka/node/protocol'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'

const NETWORK = sha256(utf8('test network'))
const OTHER = sha256(utf8('another network'))
const signer = createSigner(sha256(utf8('witness')))
const stranger = createSigner(sha256(utf8('another witness')))

const blockOf = (change: Partial<WitnessBlock> = {}): WitnessBlock => ({
  v: 1,
  network: NETWORK,
  epoch: 2,
  author: 1,
  round: 7,
  timestamp: 1_000,
  parents: [{ author: 1, round: 6, id: NETWORK }],
  weak: [],
  transactions: [],
  votes: [],
  reveal: NETWORK,
  ...change
})

async function signed(block: WitnessBlock, by = signer): Promise<Uint8Array> {
  const signature = await by.sign(witnessBlockMessage(block.network, witnessBlockId(block)))
  return encodeWitnessBlock({ block, signature })
}

const check = (bytes: Uint8Array, network = NETWORK) => verifyEquivocation(bytes, network, createVerifier())
const refused = (bytes: Uint8Array, issue: RegExp, network = NETWORK): Promise<void> =>
  assert.rejects(check(bytes, network), (error: { code?: string; data?: { issue?: string } }) => {
    assert.equal(error.code, 'PROOF_INVALID')
    assert.match(String(error.data?.issue), issue)
    return true
  })

describe('evidence of an equivocation', () => {
  it('shows whose two blocks of one round they are, in whatever order they were found', async () => {
    const [one, other] = [blockOf(), blockOf({ timestamp: 1_001 })]
    const [a, b] = [await signed(one), await signed(other)]
    const evidence = makeEquivocation(signer.publicKey, a, b)
    assert.deepEqual(evidence, makeEquivocation(signer.publicKey, b, a))
    const shown = await check(evidence)
    assert.deepEqual({ ...shown, blocks: null }, { key: signer.publicKey, epoch: 2, round: 7, blocks: null })
    const ids = [witnessBlockId(one), witnessBlockId(other)].map(String)
    assert.deepEqual(shown.blocks.map(String).sort(), ids.sort())
  })

  it('is none where both are the same block, also with two signatures', async () => {
    const bytes = await signed(blockOf())
    await refused(makeEquivocation(signer.publicKey, bytes, bytes), /same block/)
    const again = encodeWitnessBlock({ block: blockOf(), signature: new Uint8Array(64) })
    await refused(makeEquivocation(signer.publicKey, bytes, again), /same block/)
  })

  it('is none where the blocks stand in two places: another round, epoch or author', async () => {
    const bytes = await signed(blockOf())
    for (const change of [{ round: 8 }, { epoch: 3 }, { author: 2 }])
      await refused(makeEquivocation(signer.publicKey, bytes, await signed(blockOf(change))), /two places/)
  })

  it('is none of another network, nor of two', async () => {
    const bytes = await signed(blockOf())
    await refused(makeEquivocation(signer.publicKey, bytes, await signed(blockOf({ network: OTHER }))), /two networks/)
    const evidence = makeEquivocation(signer.publicKey, bytes, await signed(blockOf({ timestamp: 1_001 })))
    await refused(evidence, /another network/, OTHER)
  })

  it('is none where one of them isn’t signed with the key that it names', async () => {
    const [bytes, other] = [await signed(blockOf()), blockOf({ timestamp: 1_001 })]
    const forged = await signed(other, stranger)
    await refused(makeEquivocation(signer.publicKey, bytes, forged), /not signed/)
    await refused(makeEquivocation(signer.publicKey, forged, bytes), /not signed/)
    // Two true blocks, and somebody else accused.
    await refused(makeEquivocation(stranger.publicKey, bytes, await signed(other)), /not signed/)
  })

  it('is read in one form alone, of a bounded size', async () => {
    const [a, b] = [await signed(blockOf()), await signed(blockOf({ timestamp: 1_001 }))]
    const { publicKey: key } = signer
    const right = makeEquivocation(key, a, b)
    const sorted = right.toString() === encodeCanonical({ v: 1, key, blocks: [a, b] }).toString() ? [a, b] : [b, a]
    await refused(encodeCanonical({ v: 1, key, blocks: sorted.toReversed() }), /wrong order/)
    for (const wrong of [
      { v: 2, key, blocks: sorted },
      { v: 1, key, blocks: [a] },
      { v: 1, key, blocks: [...sorted, a] },
      { v: 1, key: key.slice(1), blocks: sorted },
      { v: 1, key, blocks: sorted, more: 1 },
      'evidence'
    ])
      await refused(encodeCanonical(wrong), /the evidence has no/)
    await refused(new Uint8Array(MAX_EVIDENCE_BYTES + 1), /too large/)
    await assert.rejects(check(new Uint8Array([...right, 0])), { code: 'ENCODING_NOT_CANONICAL' })
    await assert.rejects(check(encodeCanonical({ v: 1, key, blocks: [a.slice(1), b] })), (error: { code?: string }) =>
      ['ENCODING_NOT_CANONICAL', 'BLOCK_INVALID'].includes(error.code ?? '')
    )
  })
})
