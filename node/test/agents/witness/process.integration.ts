import assert from 'node:assert/strict'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CREDIT, networkId, toHex, type CommitView } from '@pekka/node/protocol'
import { ServedWitness } from './process.js'
import { createTestNetwork, faucet } from './support.js'

describe('witness: the process', function () {
  this.timeout(120_000)
  const network = createTestNetwork()
  const witness = new ServedWitness(network)
  before(() => witness.start())
  after(() => witness.stop())

  it('says where it serves, over IPC and in its ready file', async () => {
    const ready: unknown = JSON.parse(await readFile(join(witness.folder, 'ready.json'), 'utf8'))
    assert.deepEqual(Object.keys(ready as object).sort(), ['addresses', 'pid', 'seat'])
    assert.equal((ready as { pid: number }).pid, witness.process.child?.pid)
  })

  it('serves genesis, time and accounts, and makes transactions final', async () => {
    assert.deepEqual(await witness.client.genesis(), network.bytes)
    const time = await witness.client.time()
    assert.equal(toHex(time.network), toHex(networkId(network.genesis)))
    assert.equal((await witness.client.account(network.demo.account))?.balance, 10n * CREDIT)
    const outcome = await network.demo.send(witness.client, faucet(5n))
    assert.equal(outcome.status, 'applied')
    assert.equal((await witness.client.account(network.demo.account))?.balance, 15n * CREDIT)
    const found = await witness.client.transaction(outcome.id)
    assert.deepEqual(found?.outcome, outcome)
  })

  it('follows history without gaps, then live, also over a restart', async () => {
    const stop = new AbortController()
    const seen: CommitView[] = []
    const following = (async () => {
      for await (const commit of witness.client.follow(-1, stop.signal)) seen.push(commit)
    })()
    for (let i = 0; i < 5; i++) await network.demo.send(witness.client, faucet())
    assert.equal(await witness.process.end('SIGTERM'), 0)
    await assert.rejects(stat(join(witness.folder, 'ready.json')), 'the ready file is gone after a clean stop')
    await witness.process.start()
    network.demo.forget()
    const last = await network.demo.send(witness.client, faucet())
    assert.equal(last.status, 'applied')
    while (!seen.some(({ transactions }) => transactions.some(({ outcome }) => toHex(outcome.id) === toHex(last.id)))) {
      await new Promise(resolve => setTimeout(resolve, 20))
    }
    stop.abort()
    await following
    assert.deepEqual(
      seen.map(({ header }) => header.index),
      seen.map((_, i) => i)
    )
  })

  it('loses nothing that it acknowledged when it is killed again and again', async () => {
    const acknowledged: Uint8Array[] = []
    for (let round = 0; round < 4; round++) {
      network.demo.forget()
      let killed = false
      const sending = (async () => {
        while (!killed) {
          const outcome = await network.demo.send(witness.client, faucet()).catch(() => null)
          if (outcome?.status === 'applied') acknowledged.push(outcome.id)
        }
      })()
      const goal = acknowledged.length + 10 * (round + 1)
      while (acknowledged.length < goal) await new Promise(resolve => setTimeout(resolve, 5))
      const ended = witness.process.end('SIGKILL')
      killed = true
      await ended
      await witness.process.start()
      await sending
      for (const id of acknowledged) assert.notEqual(await witness.client.transaction(id), null)
    }
    const { balance } = (await witness.client.account(network.demo.account)) ?? { balance: 0n }
    assert.ok(balance >= BigInt(acknowledged.length) * CREDIT)
  })

  it('writes no key into its log', async () => {
    assert.ok(!witness.process.log.includes(toHex(network.witnessSeed)))
    for (const line of witness.process.log.trim().split('\n')) assert.doesNotThrow(() => JSON.parse(line))
  })
})
