import assert from 'node:assert/strict'
import { readEquivocation, toHex, verifyEquivocation, witnessBlockId, witnessBlockMessage } from '@pekka/node/protocol'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { EQUIVOCATION, openedBlock, type OpenedBlock } from '@pekka/node/consensus'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { BlockKeeper } from '../../../../src/agents/witness/network/blocks/block-keeper.js'
import { EvidenceBook } from '../../../../src/agents/witness/network/blocks/evidence.js'
import { MAX_EVIDENCE, MAX_EVIDENCE_PER_EPOCH } from '../../../../src/agents/witness/network/constants.js'

const NETWORK = new Uint8Array(32).fill(7)
const signer = createSigner(new Uint8Array(32).fill(1))

async function blockOf(epoch: number, round: number, timestamp: number): Promise<OpenedBlock> {
  const block = {
    v: 1 as const,
    network: NETWORK,
    epoch,
    author: 0,
    round,
    timestamp,
    parents: [{ author: 0, round: round - 1, id: NETWORK }],
    weak: [],
    transactions: [],
    votes: [],
    reveal: NETWORK
  }
  const signature = await signer.sign(witnessBlockMessage(NETWORK, witnessBlockId(block)))
  return openedBlock({ block, signature }, [])
}

function bookOn(beside: MemoryLedgerStore['beside']) {
  const keeper = new BlockKeeper(beside)
  const said: { data: object; text: string }[] = []
  const log = { warn: (data: object, text: string) => void said.push({ data, text }) }
  const book = new EvidenceBook({ store: beside, write: rows => keeper.addRows(rows), log })
  const twice = async (epoch: number, round: number): Promise<OpenedBlock[]> => {
    const blocks = [await blockOf(epoch, round, 1), await blockOf(epoch, round, 2)]
    book.note({ type: 'misbehaviour', author: 0, key: signer.publicKey, rule: EQUIVOCATION, blocks })
    return blocks
  }
  return { keeper, book, said, twice }
}

describe('witness: evidence of equivocations', () => {
  it('is written with the next blocks, named once with both ids, and there after a restart for anyone to check', async () => {
    const { beside } = new MemoryLedgerStore()
    const { keeper, book, said, twice } = bookOn(beside)
    const blocks = await twice(0, 5)
    await keeper.flush()
    assert.equal(said.length, 1)
    const ids = blocks.map(({ key }) => key).sort()
    assert.deepEqual(said[0]?.data, { author: 0, key: toHex(signer.publicKey), epoch: 0, round: 5, blocks: ids })
    const again = bookOn(beside)
    await again.book.load()
    assert.deepEqual(again.book.kept, book.kept)
    const bytes = await again.book.read({ key: signer.publicKey, epoch: 0, round: 5 })
    const shown = await verifyEquivocation(bytes ?? assert.fail(), NETWORK, createVerifier())
    assert.deepEqual([shown], book.kept)
    assert.equal(await again.book.read({ key: signer.publicKey, epoch: 0, round: 6 }), null)
    // What is known from disk is not told once more.
    await again.twice(0, 5)
    assert.deepEqual([again.said, again.book.seen, again.book.kept.length], [[], 1, 1])
  })

  it('is bounded: a few of a witness in an epoch, the last ones in all; each is counted', async () => {
    const { beside } = new MemoryLedgerStore()
    const { keeper, book, said, twice } = bookOn(beside)
    for (let round = 1; round <= 20; round++) await twice(0, round)
    assert.deepEqual([book.seen, book.kept.length, said.length], [20, MAX_EVIDENCE_PER_EPOCH, MAX_EVIDENCE_PER_EPOCH])
    // The consensus tells of a round for each of its blocks, where both come in one go.
    await twice(0, 20)
    assert.equal(book.seen, 20)
    for (let epoch = 1; epoch <= MAX_EVIDENCE; epoch++) await twice(epoch, 1)
    await keeper.flush()
    assert.equal(book.kept.length, MAX_EVIDENCE)
    const rows: string[] = []
    for await (const { value } of beside.rows({ gte: 'equivocation/', lt: 'equivocation/\uffff' }))
      rows.push(String(readEquivocation(value).epoch))
    assert.deepEqual(
      rows,
      book.kept.map(({ epoch }) => String(epoch))
    )
    assert.equal(book.kept.at(-1)?.epoch, MAX_EVIDENCE)
  })

  it('isn’t made of other broken rules, which are logged once for an epoch', async () => {
    const { book, said } = bookOn(new MemoryLedgerStore().beside)
    for (const round of [1, 2, 3]) {
      const blocks = [await blockOf(0, round, 1)]
      book.note({ type: 'misbehaviour', author: 0, key: signer.publicKey, rule: 'V3 quorum of parents', blocks })
    }
    assert.deepEqual([said.length, book.seen, book.kept.length], [1, 0, 0])
  })
})
