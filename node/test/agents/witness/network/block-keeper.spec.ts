import assert from 'node:assert/strict'
import { firstBeacon, type CommitRecord, type EpochStart } from '@pekka/node/consensus'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { BlockKeeper } from '../../../../src/agents/witness/network/blocks/block-keeper.js'

const digest = new Uint8Array(32)
const beacon = firstBeacon(digest)
const epoch = (number: number, firstIndex: number): EpochStart => ({
  epoch: number,
  members: [{ key: digest, stake: 1n, tip: digest }],
  nextMembers: null,
  firstIndex,
  history: digest,
  timestamp: 0,
  beacon
})
const record = (index: number): CommitRecord => ({
  index,
  epoch: 0,
  leaderRound: index + 1,
  next: { round: index + 2, offset: 0 },
  gcRound: 0,
  digest,
  timestamp: 0,
  beacon,
  blocks: []
})

describe('witness: what it goes on from after a restart', () => {
  it('is no epoch whose first commits follow ones that aren’t executed yet', async () => {
    const { beside } = new MemoryLedgerStore()
    const first = epoch(0, 0)
    const keeper = new BlockKeeper(beside)
    await keeper.load(first)
    const execute = (index: number) =>
      beside.write(keeper.rowsOf(record(index), { index, state: digest, elected: null }))
    await execute(0)
    // Commits 1 and 2, the last of the epoch, are decided and wait for the ledger; an own block of the next epoch is written.
    keeper.begin(epoch(1, 3))
    await keeper.flush()
    const after = async (): Promise<EpochStart> => (await new BlockKeeper(beside).load(first)).start
    assert.equal((await after()).epoch, 0)
    await execute(1)
    assert.equal((await after()).epoch, 0)
    await execute(2)
    assert.equal((await after()).epoch, 1)
  })
})
