import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CREDIT, encodeCanonical, networkId } from '@pekka/node/protocol'
import { createNetworkHost, LedgerClient, loadPeerKey, type NetworkHost } from '@pekka/node/host/network'
import { makeDust, sendDust, withDust, type DustTally } from '../../support/dust.js'
import { WitnessProcess } from './process.js'
import { createTestNetwork, faucet } from './support.js'

const ACCOUNTS = 200
const PER_SECOND = 1_000

/** A real witness process, dust from 200 accounts for some seconds, and an honest account beside it. How fast: `npm run bench -- spam`. */
export function underDust({ seconds, timeout }: { seconds: number; timeout: number }): void {
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
      const state: { tally: DustTally | null } = { tally: null }
      const sending = sendDust(other, dust, PER_SECOND).then(told => (state.tally = told))
      let honest = 0
      do {
        const outcome = await demo.send(client, faucet())
        assert.equal(outcome.status, 'applied', JSON.stringify(outcome))
        honest += 1
      } while (state.tally === null && honest < 900)
      const told = await sending
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
