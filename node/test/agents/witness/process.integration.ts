import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CREDIT, networkId, toHex, type CommitView } from '@pekka/node/protocol'
import { createNetworkHost, LedgerClient, loadPeerKey, type NetworkHost } from '@pekka/node/host/network'
import { WitnessProcess } from './process.js'
import { createTestNetwork, faucet } from './support.js'

describe('witness: the process', function () {
  this.timeout(120_000)
  const network = createTestNetwork()
  let folder = ''
  let host: NetworkHost
  let witness: WitnessProcess
  let client: LedgerClient

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-witness-'))
    witness = new WitnessProcess(join(folder, 'witness'), network)
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

  it('says where it serves, over IPC and in its ready file', async () => {
    const ready: unknown = JSON.parse(await readFile(join(folder, 'witness', 'ready.json'), 'utf8'))
    assert.deepEqual(Object.keys(ready as object).sort(), ['addresses', 'pid', 'seat'])
    assert.equal((ready as { pid: number }).pid, witness.child?.pid)
  })

  it('serves genesis, time and accounts, and makes transactions final', async () => {
    assert.deepEqual(await client.genesis(), network.bytes)
    const time = await client.time()
    assert.equal(toHex(time.network), toHex(networkId(network.genesis)))
    assert.equal((await client.account(network.demo.account))?.balance, 10n * CREDIT)
    const outcome = await network.demo.send(client, faucet(5n))
    assert.equal(outcome.status, 'applied')
    assert.equal((await client.account(network.demo.account))?.balance, 15n * CREDIT)
    const found = await client.transaction(outcome.id)
    assert.deepEqual(found?.outcome, outcome)
  })

  it('follows history without gaps, then live, also over a restart', async () => {
    const stop = new AbortController()
    const seen: CommitView[] = []
    const following = (async () => {
      for await (const commit of client.follow(-1, stop.signal)) seen.push(commit)
    })()
    for (let i = 0; i < 5; i++) await network.demo.send(client, faucet())
    assert.equal(await witness.end('SIGTERM'), 0)
    await assert.rejects(stat(join(folder, 'witness', 'ready.json')), 'the ready file is gone after a clean stop')
    await witness.start()
    network.demo.forget()
    const last = await network.demo.send(client, faucet())
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
          const outcome = await network.demo.send(client, faucet()).catch(() => null)
          if (outcome?.status === 'applied') acknowledged.push(outcome.id)
        }
      })()
      const goal = acknowledged.length + 10 * (round + 1)
      while (acknowledged.length < goal) await new Promise(resolve => setTimeout(resolve, 5))
      const ended = witness.end('SIGKILL')
      killed = true
      await ended
      await witness.start()
      await sending
      for (const id of acknowledged) assert.notEqual(await client.transaction(id), null)
    }
    const { balance } = (await client.account(network.demo.account)) ?? { balance: 0n }
    assert.ok(balance >= BigInt(acknowledged.length) * CREDIT)
  })

  it('writes no key into its log', async () => {
    assert.ok(!witness.log.includes(toHex(network.witnessSeed)))
    for (const line of witness.log.trim().split('\n')) assert.doesNotThrow(() => JSON.parse(line))
  })
})
