import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CREDIT, encodeCanonical, networkId } from '@pekka/node/protocol'
import { createNetworkHost, LedgerClient, loadPeerKey, type NetworkHost } from '@pekka/node/host/network'
import { makeDust, sendDust, withDust, type DustTally } from '../../support/dust.js'
import { WitnessProcess } from './process.js'
import { createTestNetwork, faucet } from './support.js'

const ACCOUNTS = 200
const PER_SECOND = 1_000

/** What the witness may grow by, kB: 63 MB were measured. What waits for it has a bound, whatever is sent. */
const MAX_GROWN_KB = 256 << 10
/** Honest ones before the flood, for comparison. */
const QUIET = 100

/** A real witness process, dust from 200 accounts for some seconds, and an honest account beside it. How fast: `npm run bench -- spam`. */
export function underDust({
  seconds,
  timeout,
  slowdown = null
}: {
  seconds: number
  timeout: number
  /** How much slower the honest one may be at its 99th percentile than before the flood; null: it isn't looked at. */
  slowdown?: number | null
}): void {
  describe(`witness: ${PER_SECOND} worthless transactions a second for ${seconds} s`, function () {
    this.timeout(timeout)
    const network = createTestNetwork()
    const genesis = withDust(network.genesis, ACCOUNTS)
    const count = PER_SECOND * seconds
    let folder = ''
    let host: NetworkHost
    let client: LedgerClient
    let other: LedgerClient
    let witness: WitnessProcess

    before(async () => {
      folder = await mkdtemp(join(tmpdir(), 'pekka-spam-'))
      witness = new WitnessProcess(join(folder, 'witness'), { ...network, genesis, bytes: encodeCanonical(genesis) })
      const addresses = [await witness.start()]
      host = createNetworkHost({ key: await loadPeerKey(join(folder, 'client.key')) })
      await host.start()
      client = new LedgerClient({ host }, { addresses })
      // What follows one that was turned away holds its stream up for two seconds: not all of a flood is answered.
      other = new LedgerClient({ host }, { addresses, patience: 3_000 })
    })
    after(async () => {
      await client?.stop()
      await other?.stop()
      await host?.stop()
      await witness?.end('SIGKILL')
      await rm(folder, { recursive: true, force: true })
    })

    it('takes every honest one, answers worthless ones or turns them away, and counts each once', async () => {
      const dust = await makeDust(networkId(genesis), ACCOUNTS, count)
      const { demo } = network
      await demo.send(client, { kind: 'bond', amount: CREDIT })
      const times: number[] = []
      const send = async (): Promise<void> => {
        const began = performance.now()
        const outcome = await demo.send(client, faucet())
        times.push(performance.now() - began)
        assert.equal(outcome.status, 'applied', JSON.stringify(outcome))
        honest += 1
      }
      let honest = 0
      while (slowdown !== null && honest < QUIET) await send()
      const quiet = percentile99(times.splice(0))
      const before = await residentKb(witness)
      const state: { tally: DustTally | null } = { tally: null }
      const sending = sendDust(other, dust, PER_SECOND).then(told => (state.tally = told))
      do await send()
      while (state.tally === null && honest < 900)
      const told = await sending
      const grown = (await residentKb(witness)) - before
      assert.ok(grown < MAX_GROWN_KB, `the witness grew by ${grown} kB`)
      if (slowdown !== null) {
        const beside = percentile99(times)
        assert.ok(beside < slowdown * quiet, `99th percentile ${beside} ms beside the flood, ${quiet} ms before it`)
      }
      assert.equal((await client.account(demo.account))?.balance, BigInt(9 + honest) * CREDIT)
      assert.equal(
        Object.values(told).reduce((sum, part) => sum + part, 0),
        count
      )
      const unanswered = 'error: PekkaError: The ledger does not answer.'
      const known = ['applied', 'RATE_LIMITED', 'LANE_SEQUENCE', 'BANDWIDTH_SPENT', unanswered]
      assert.deepEqual(
        Object.keys(told).filter(what => !known.includes(what)),
        []
      )
    })
  })
}

const percentile99 = (times: readonly number[]): number =>
  times.toSorted((a, b) => a - b)[Math.floor((times.length - 1) * 0.99)] ?? 0

/** Memory that a witness's process holds, kB. */
async function residentKb({ child }: WitnessProcess): Promise<number> {
  const status = await readFile(`/proc/${child?.pid}/status`, 'utf8')
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? assert.fail('no VmRSS'))
}
