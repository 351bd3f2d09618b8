/**
 * What dust does to everybody else: a real witness process, an honest account that sends as it always does, and 200 accounts with nothing
 * behind them that send 1,000 transactions a second for 20 s from a process of their own.
 *
 *   honest_p99_ratio              submit to final of the honest account, 99th percentile beside the dust over the one without
 *   quiet_p50_ms, quiet_p99_ms    without the dust; spam_p50_ms, spam_p99_ms: beside it
 *   dust_applied, dust_refused    what became of the dust (its credit isn't spent within the 20 s)
 *   memory_mb                     the witness's memory after it, memory_before_mb before
 *
 *   node --conditions=pekka-source --import=tsx node/bench/spam.ts [--json]     PEKKA_BENCH_SECONDS=5 for a shorter run
 */
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { CREDIT, encodeCanonical, fromHex, networkId, toHex } from '@pekka/node/protocol'
import { createNetworkHost, LedgerClient, loadPeerKey, type NetworkHost } from '@pekka/node/host/network'
import { WitnessProcess } from '../test/agents/witness/process.js'
import { createTestNetwork, faucet } from '../test/agents/witness/support.js'
import { makeDust, sendDust, withDust, type DustTally } from '../test/support/dust.js'

const ACCOUNTS = 200
const PER_SECOND = 1_000
const SECONDS = Number(process.env['PEKKA_BENCH_SECONDS'] ?? 20)
/** Between two transactions of the honest account, ms. */
const PAUSE_MS = 50
const HONEST_BOND = 4n * CREDIT

async function connect(folder: string, address: string): Promise<{ host: NetworkHost; client: LedgerClient }> {
  const host = createNetworkHost({ key: await loadPeerKey(join(folder, 'peer.key')) })
  await host.start()
  return { host, client: new LedgerClient({ host }, { addresses: [address] }) }
}

/** The other process: says that it is ready, sends when it is told to, tells what became of it. */
async function dustProcess(network: string, address: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pekka-bench-dust-'))
  const dust = await makeDust(fromHex(network), ACCOUNTS, PER_SECOND * SECONDS)
  const { host, client } = await connect(folder, address)
  await client.time()
  process.send?.('ready')
  await once(process, 'message')
  const tally = await sendDust(client, dust, PER_SECOND)
  process.send?.(tally)
  await client.stop()
  await host.stop()
  await rm(folder, { recursive: true, force: true })
  process.disconnect()
}

const percentile = (values: number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0
const rounded = (value: number): number => Math.round(value * 100) / 100

async function memoryOf(pid: number | undefined): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
}

async function main(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'pekka-bench-spam-'))
  const plain = createTestNetwork()
  const genesis = withDust(plain.genesis, ACCOUNTS)
  const net = { ...plain, genesis, bytes: encodeCanonical(genesis) }
  const witness = new WitnessProcess(join(folder, 'witness'), net)
  const address = await witness.start()
  const { host, client } = await connect(folder, address)
  const spam = fork(fileURLToPath(import.meta.url), ['--dust', toHex(networkId(genesis)), address])
  try {
    await once(spam, 'message')
    const honest = net.demo
    await honest.send(client, { kind: 'bond', amount: HONEST_BOND })

    await honest.send(client, faucet())
    // As small as can be: the faucet has a limit, and 40 s of credits are more.
    const [{ account: to }] = net.providers
    const times = async (until: () => boolean): Promise<number[]> => {
      const all: number[] = []
      while (!until()) {
        const { bytes } = await honest.sign(client, { kind: 'transfer', to, amount: 1n })
        const began = performance.now()
        const outcome = await client.submit(bytes)
        if (outcome.status !== 'applied') throw new Error(`the honest account: ${JSON.stringify(outcome)}`)
        all.push(performance.now() - began)
        await new Promise(resolve => setTimeout(resolve, PAUSE_MS))
      }
      return all
    }
    const lasting = (ms: number): (() => boolean) => {
      const end = performance.now() + ms
      return () => performance.now() > end
    }
    await times(lasting(1_000))
    const quiet = await times(lasting(SECONDS * 1_000))
    const before = await memoryOf(witness.child?.pid)
    const dust: { tally: DustTally | null } = { tally: null }
    spam.once('message', told => (dust.tally = told as DustTally)) // dustProcess() sends it
    spam.send('go')
    const beside = await times(() => dust.tally !== null)
    const { applied = 0, ...refused } = dust.tally ?? {}
    const figures = {
      honest_p99_ratio: rounded(percentile(beside, 0.99) / percentile(quiet, 0.99)),
      quiet_p50_ms: rounded(percentile(quiet, 0.5)),
      quiet_p99_ms: rounded(percentile(quiet, 0.99)),
      spam_p50_ms: rounded(percentile(beside, 0.5)),
      spam_p99_ms: rounded(percentile(beside, 0.99)),
      dust_applied: applied,
      dust_refused: Object.values(refused).reduce((sum, count) => sum + count, 0),
      memory_before_mb: before,
      memory_mb: await memoryOf(witness.child?.pid)
    }
    if (process.argv.includes('--json')) console.log(JSON.stringify({ bench: 'spam', seconds: SECONDS, figures }))
    else console.table(figures)
  } finally {
    spam.kill()
    await client.stop()
    await host.stop()
    await witness.end('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}

const [, , mode, network = '', address = ''] = process.argv
if (mode === '--dust') await dustProcess(network, address)
else await main()
