import assert from 'node:assert/strict'
import { request } from 'node:http'
import { pino } from 'pino'
import { createLoneLedger, type LocalLedger } from '@pekka/node/agents/witness'
import { createVerifier, systemClock } from '@pekka/node/host/crypto'
import { Registry, serveMetrics, type MetricsServer } from '@pekka/node/host/metrics'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { DEVNET_PARAMETERS } from '@pekka/node/protocol'
import { countCommits, createWitnessMetrics } from '../../../src/agents/witness/metrics.js'
import { createTestNetwork } from './support.js'

describe('the metrics of a witness', () => {
  const net = createTestNetwork(DEVNET_PARAMETERS)
  const store = new MemoryLedgerStore()
  const ended = new AbortController()
  let ledger: LocalLedger
  let server: MetricsServer
  let counting: Promise<void>
  const registry = new Registry()
  const metrics = createWitnessMetrics({ registry, store })

  before(async () => {
    const log = pino({ level: 'silent' })
    const components = { store, signer: net.witness, verifier: createVerifier(), clock: systemClock, log }
    ledger = createLoneLedger(components, { genesis: net.bytes })
    await ledger.start()
    counting = countCommits(ledger, metrics, store.last(), ended.signal)
    server = await serveMetrics(registry, { host: '127.0.0.1', port: 0 })
  })
  after(async () => {
    await server.stop()
    ended.abort()
    await counting
    await ledger.stop()
  })

  const scrape = async (): Promise<string> => await (await fetch(server.url)).text()
  const status = (headers: Record<string, string>, path = '/metrics', at = server.url): Promise<number> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(at)
      const asked = request({ hostname, port, path, headers }, answer => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
      asked.on('error', reject).end()
    })

  it('count what was ordered, and show the height of this moment', async () => {
    const to = net.providers[1].account
    const applied = await net.demo.send(ledger, { kind: 'transfer', to, amount: 1n })
    const failed = await net.demo.send(ledger, { kind: 'transfer', to, amount: 1n << 42n })
    assert.deepEqual([applied.status, failed.status], ['applied', 'failed'])
    metrics.submitted(failed, 12)
    let text = await scrape()
    // The counting follows the ledger, a turn behind it.
    while (!/transactions_total\{outcome="failed"\} 1/.test(text)) text = await scrape()
    assert.match(text, /^pekka_witness_transactions_total\{outcome="applied"\} 1$/m)
    assert.match(text, new RegExp(`^pekka_witness_commit_index ${store.last()}$`, 'm'))
    assert.match(text, /^pekka_witness_submissions_total\{outcome="failed"\} 1$/m)
    assert.match(text, /^pekka_witness_submit_seconds_bucket\{le="0.03"\} 1$/m)
  })

  it('are told to nobody who comes by another name, and nothing else is served', async () => {
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
    assert.equal(await status({ host: 'evil.test' }), 421)
    assert.equal(await status({ host: `localhost:${new URL(server.url).port}` }), 200)
    assert.equal(await status({}, '/'), 404)
  })

  it('are told at any address of a machine that serves them on all', async () => {
    const all = await serveMetrics(registry, { host: '0.0.0.0', port: 0 })
    try {
      const at = `http://127.0.0.2:${new URL(all.url).port}`
      assert.equal(await status({}, '/metrics', at), 200)
      assert.equal(await status({ host: 'evil.test' }, '/metrics', at), 421)
      assert.equal(await status({ host: '127.0.0.3' }, '/metrics', at), 421)
    } finally {
      await all.stop()
    }
  })

  it('count the equivocations that the status tells of, however often it is asked', async () => {
    const committee = new Registry()
    const sum = {
      commit: 1,
      certified: 1,
      epoch: 0,
      round: 2,
      mempool: 0,
      waiting: 0,
      finalityP50: null,
      finalityP95: null
    }
    const told = { ...sum, committee: [], peers: [], writes: true, equivocations: 3, equivocated: [] }
    createWitnessMetrics({ registry: committee, store, status: async () => told })
    for (let time = 0; time < 2; time++)
      assert.match(await committee.metrics(), /^pekka_witness_equivocations_total 3$/m)
  })
})
