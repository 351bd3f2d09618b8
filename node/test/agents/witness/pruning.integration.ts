import assert from 'node:assert/strict'
import { join } from 'node:path'
import { encodeRow, executeCommit, genesisState, scan, TABLE_NAMES } from '@pekka/node/ledger'
import { batchOf, commitView, MIN_KEPT_COMMITS } from '@pekka/node/agents/witness'
import { createLedgerStore } from '@pekka/node/host/storage'
import { ServedWitness } from './process.js'
import { createTestNetwork, faucet, type TestNetwork } from './support.js'

const COMMITS = MIN_KEPT_COMMITS + 1_500

/** A ledger that has stood for some hours without work. */
async function idleLedger({ genesis, bytes, witness }: TestNetwork, folder: string): Promise<void> {
  const store = createLedgerStore({ folder, synced: false })
  const state = genesisState(genesis)
  await store.start()
  const rows = TABLE_NAMES.flatMap(table =>
    [...scan(state, table)].map(([key, row]) => ({ table, key, value: encodeRow(row) }))
  )
  await store.create(bytes, rows)
  for (let index = 0; index < COMMITS; index++) {
    const timestamp = genesis.createdAt - (COMMITS - index) * 1_000
    const result = executeCommit(state, {
      timestamp: Math.max(1, timestamp),
      transactions: [],
      witness: witness.publicKey,
      isFinal: () => false
    })
    await store.write(batchOf(result, commitView(result, new Uint8Array(64))))
    state.write(result.writes)
  }
  await store.stop()
}

describe('witness: a process that keeps less of the history', function () {
  this.timeout(120_000)
  const network = createTestNetwork()
  const witness = new ServedWitness(network, {
    keepHistory: String(MIN_KEPT_COMMITS),
    prepare: folder => idleLedger(network, join(folder, 'ledger'))
  })
  before(() => witness.start())
  after(() => witness.stop())

  const firstAfter = async (index: number): Promise<number> => {
    for (;;) {
      const { first } = await witness.client.history({ kind: 'commits', query: { from: 0, count: 1, ascending: true } })
      if (first > index) return first
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  it('deletes what is older, is killed meanwhile, goes on, and says so to who follows from there', async () => {
    const part = await firstAfter(0)
    await witness.process.end('SIGKILL')
    await witness.process.start()
    const all = await firstAfter(COMMITS - MIN_KEPT_COMMITS - 1)
    assert.ok(part <= all && all <= COMMITS - MIN_KEPT_COMMITS + 5, `${part}, then ${all}`)
    await assert.rejects(
      async () => {
        for await (const _ of witness.client.follow(-1, new AbortController().signal)) assert.fail()
      },
      { code: 'HISTORY_PRUNED' }
    )
    const outcome = await network.demo.send(witness.client, faucet())
    assert.equal(outcome.status, 'applied')
    assert.ok(await witness.client.prove({ kind: 'transaction', id: outcome.id }))
    for await (const { header } of witness.client.follow(all - 1, AbortSignal.timeout(60_000))) {
      assert.equal(header.index, all)
      break
    }
  })
})
