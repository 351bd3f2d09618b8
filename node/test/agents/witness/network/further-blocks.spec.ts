import assert from 'node:assert/strict'
import { MAX_REQUEST_IDS, type Consensus, type ConsensusEvent, type OpenedBlock } from '@pekka/node/consensus'
import { Agreement, type AgreementComponents } from '../../../../src/agents/witness/network/agreement.js'
import { FurtherBlocks } from '../../../../src/agents/witness/network/blocks/further-blocks.js'
import { MAX_FURTHER_BLOCKS } from '../../../../src/agents/witness/network/constants.js'

/** What is looked at of a block: its bytes are its author, round and version. */
const block = (author: number, round: number, version = 0, epoch = 0): OpenedBlock =>
  ({
    block: { author, round, epoch },
    key: `${author}/${round}/${version}`,
    bytes: Uint8Array.of(author, round, version >> 8, version & 255)
  }) as unknown as OpenedBlock

describe('further blocks of an equivocator', () => {
  it('are counted against the rounds it has written, and forgotten with the epoch', () => {
    const further = new FurtherBlocks()
    for (let round = 100; round < 200; round++) for (const author of [0, 1]) further.add(block(author, round))
    for (let version = 1; version < MAX_FURTHER_BLOCKS; version++) further.add(block(1, 150, version))
    assert.equal(further.isOver(0, 1), false)
    further.add(block(1, 151, 1))
    assert.deepEqual([further.isOver(0, 0), further.isOver(0, 1), further.isOver(1, 1)], [false, true, false])
    further.add(block(1, 1, 0, 1))
    assert.deepEqual([further.isOver(1, 1), further.isOver(0, 1)], [false, false])
  })

  it('are taken from it no more once they are too many, nor from observers; from other members they are', async () => {
    const taken: OpenedBlock[] = []
    // As the consensus does where something that it waits for has asked for all of them.
    const consensus = {
      handle: (event: ConsensusEvent) => {
        if (event.type !== 'blocks') return []
        taken.push(...event.blocks)
        return event.blocks.map(one => ({ type: 'store' as const, block: one }))
      }
    } as unknown as Consensus
    const none = async (): Promise<void> => {}
    const components = {
      consensus,
      keeper: { add: () => {}, flush: none, stop: none },
      opener: {
        block: async ([author = 0, round = 0, high = 0, low = 0]: Uint8Array) => ({
          status: 'opened',
          block: block(author, round, high * 256 + low)
        })
      },
      clock: { now: () => 0 },
      monotonic: () => 0,
      send: () => {},
      log: { error: (data: object) => assert.fail(JSON.stringify(data)) }
    } as unknown as AgreementComponents
    const agreement = new Agreement(components, {
      network: new Uint8Array(32),
      onEpoch: () => {},
      onTransactions: () => {},
      onBroken: () => {},
      seatOf: peer => (peer === 'observer' ? null : peer),
      memberOf: (_, author) => ['honest', 'equivocator'][author] ?? null
    })
    agreement.start([])
    const from = async (peer: string, version: number): Promise<'taken' | 'broken'> =>
      await agreement.receive(peer, { type: 'blocks', blocks: [block(1, 7, version).bytes], answer: true })
    for (let version = 0; version < 4 * MAX_REQUEST_IDS + 50; version++) await from('equivocator', version)
    await agreement.commits.room()
    assert.equal(taken.length, MAX_FURTHER_BLOCKS + 1)
    assert.equal(await from('equivocator', 1_000), 'broken')
    assert.equal(await from('observer', 1_001), 'taken')
    assert.equal(taken.length, MAX_FURTHER_BLOCKS + 1)
    assert.equal(await from('honest', 1_002), 'taken')
    await agreement.stop()
    assert.deepEqual(taken.at(-1)?.key, '1/7/1002')
  })
})
