import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encodeCanonical } from '@pekka/node/protocol'
import { encodeRow, executeCommit, genesisState, scan, TABLE_NAMES } from '@pekka/node/ledger'
import { MIN_KEPT_COMMITS } from '@pekka/node/agents/witness'
import { createNetworkHost, LedgerClient, loadPeerKey, type NetworkHost } from '@pekka/node/host/network'
import { createLedgerStore } from '@pekka/node/host/storage'
import { WitnessProcess } from './process.js'
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
    await store.write({
      index,
      rows: result.writes.map(({ table, key, row }) => ({ table, key, value: row === null ? null : encodeRow(row) })),
      commit: encodeCanonical({
        header: { ...result.header, signature: new Uint8Array(64) },
        transactions: [],
        tasks: [],
        asks: [],
        accounts: []
      }),
      transactions: [],
      closedTasks: []
    })
    state.write(result.writes)
  }
  await store.stop()
}

describe('witness: a process that keeps less of the history', function () {
  this.timeout(120_000)
  const network = createTestNetwork()
  let folder = ''
  let host: NetworkHost
  let witness: WitnessProcess
  let client: LedgerClient

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-pruning-'))
    await idleLedger(network, join(folder, 'witness', 'ledger'))
    witness = new WitnessProcess(join(folder, 'witness'), network, { keepHistory: String(MIN_KEPT_COMMITS) })
    const address = await witness.start()
    host = createNetworkHost({ key: await loadPeerKey(join(folder, 'client.key')) })
    await host.start()
    client = new LedgerClient({ host }, { addresses: [address] })
  })
  after(async () => {
    await client?.stop()
    await host?.stop()
    await witness?.end('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  const firstAfter = async (index: number): Promise<number> => {
    for (;;) {
      const { first } = await client.history({ kind: 'commits', query: { from: 0, count: 1, ascending: true } })
      if (first > index) return first
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }

  it('deletes what is older, is killed meanwhile, goes on, and says so to who follows from there', async () => {
    const part = await firstAfter(0)
    await witness.end('SIGKILL')
    await witness.start()
    const all = await firstAfter(COMMITS - MIN_KEPT_COMMITS - 1)
    assert.ok(part <= all && all <= COMMITS - MIN_KEPT_COMMITS + 5, `${part}, then ${all}`)
    await assert.rejects(
      async () => {
        for await (const _ of client.follow(-1, new AbortController().signal)) assert.fail()
      },
      { code: 'HISTORY_PRUNED' }
    )
    const outcome = await network.demo.send(client, faucet())
    assert.equal(outcome.status, 'applied')
    assert.ok(await client.prove({ kind: 'transaction', id: outcome.id }))
    for await (const { header } of client.follow(all - 1, AbortSignal.timeout(60_000))) {
      assert.equal(header.index, all)
      break
    }
  })
})
