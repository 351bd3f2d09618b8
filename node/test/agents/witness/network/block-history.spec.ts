import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { accountId, CREDIT, encodeCanonical, toHex } from '@pekka/node/protocol'
import { STANDARD_PACE, STANDARD_PARAMETERS } from '@pekka/node/consensus'
import { createSigner, createVerifier, systemClock } from '@pekka/node/host/crypto'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { committeeGenesis, createCommitteeLedger, LastProposed } from '../../../../src/agents/witness/network/index.js'
import { createTestNetwork, faucet, seed, Sender } from '../support.js'
import { startHost } from './committee.js'

const silent = { info: () => {}, warn: () => {}, error: () => {} }

describe('witness: the blocks of a committee’s commits', function () {
  this.timeout(60_000)

  it('are told by commit, with the transactions that they brought and who wrote them', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pekka-blocks-'))
    const host = await startHost()
    await LastProposed.create(join(folder, 'proposed'))
    const owner = createSigner(seed())
    const policy = { threshold: 1, keys: [owner.publicKey] }
    const witnessSeed = seed()
    const signer = { ...createSigner(witnessSeed), seed: witnessSeed }
    const genesis = committeeGenesis({
      base: { ...createTestNetwork().genesis, accounts: [{ policy, balance: 10n * CREDIT }] },
      members: [{ seed: witnessSeed, stake: 5n, account: accountId(policy) }],
      // Short hash chains: they are made at the start.
      parameters: { ...STANDARD_PARAMETERS, epochCommits: 400, epochRounds: 2_000, gcDepth: 8 },
      epochs: 4
    })
    const { ledger } = createCommitteeLedger(
      {
        store: new MemoryLedgerStore(),
        host,
        signer,
        verifier: createVerifier(),
        lastProposed: new LastProposed(join(folder, 'proposed')),
        clock: systemClock,
        log: silent
      },
      { genesis: encodeCanonical(genesis), peers: [], pace: { ...STANDARD_PACE, minRoundDelay: 0, idleDelay: 5 } }
    )
    try {
      await ledger.start()
      const outcome = await new Sender(accountId(policy), null, owner).send(ledger, faucet())
      assert.ok(outcome.status === 'applied')
      const { index } = outcome
      const page = await ledger.history({ kind: 'blocks', query: { from: 0, to: index } })
      assert.deepEqual(
        page.commits.map(commit => commit.index),
        Array.from({ length: index + 1 }, (_, i) => i)
      )
      const commit = page.commits.at(-1)
      const blocks = commit?.blocks ?? []
      assert.equal(toHex(commit?.leader ?? new Uint8Array()), toHex(blocks.at(-1)?.id ?? new Uint8Array([1])))
      assert.ok(blocks.some(({ transactions }) => transactions.some(id => toHex(id) === toHex(outcome.id))))
      const all = page.commits.flatMap(one => one.blocks)
      assert.equal(new Set(all.map(({ id }) => toHex(id))).size, all.length)
      for (const [i, block] of all.entries()) {
        assert.equal(toHex(block.witness), toHex(signer.publicKey))
        const before = all[i - 1]
        if (before !== undefined) assert.deepEqual(block.parents.map(toHex), [toHex(before.id)])
      }
      const { committee } = await ledger.history({ kind: 'witnesses', query: { after: null, count: 10 } })
      assert.deepEqual(
        committee.map(({ key, stake }) => [toHex(key), stake]),
        [[toHex(signer.publicKey), 5n]]
      )
    } finally {
      await ledger.stop()
      await host.stop()
      await rm(folder, { recursive: true, force: true })
    }
  })
})
