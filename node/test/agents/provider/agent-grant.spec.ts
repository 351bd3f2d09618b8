import assert from 'node:assert/strict'
import { AGENT_BODIES, equalBytes, networkId } from '@pekka/node/protocol'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { createLoneLedger, type LocalLedger } from '@pekka/node/agents/witness'
import { AgentGrant } from '../../../src/agents/provider/ledger/agent-grant.js'
import { createTestNetwork, seed } from '../witness/support.js'

const DAY = 86_400_000

describe('the key of a provider’s agent', () => {
  const net = createTestNetwork()
  const agent = createSigner(seed())
  let late = 0
  const clock = { now: () => Date.now() + late }
  let ledger: LocalLedger
  let grant: AgentGrant
  const said: string[] = []
  const log = { info: () => undefined, warn: (_: object, text: string) => void said.push(text), error: () => undefined }

  before(async () => {
    ledger = createLoneLedger(
      { store: new MemoryLedgerStore(), signer: net.witness, verifier: createVerifier(), clock, log },
      { genesis: net.bytes }
    )
    await ledger.start()
    const [owner] = net.providers
    assert.ok(owner)
    grant = new AgentGrant(
      { ledger, clock, log },
      { network: networkId(net.genesis), provider: owner.account, account: owner.signer, agent },
      { interval: 5 }
    )
  })
  after(async () => {
    await grant.stop()
    await ledger.stop()
  })

  const delegate = async () => {
    const view = await ledger.account(net.providers[0]?.account ?? new Uint8Array())
    return view?.lanes.find(({ key }) => key !== null && equalBytes(key, agent.publicKey))?.delegate ?? null
  }
  const days = async (): Promise<number> => Math.round(((await delegate())?.expiry ?? 0) - Date.now()) / DAY

  it('is good for thirty days, and for what an agent does', async () => {
    await grant.ensure()
    assert.deepEqual([...((await delegate())?.bodies ?? [])].sort(), [...AGENT_BODIES].sort())
    assert.ok(Math.abs((await days()) - 30) < 0.01)
  })

  it('is left alone while it lasts', async () => {
    late = 26 * DAY
    await grant.ensure()
    assert.ok(Math.abs((await days()) - 30) < 0.01)
  })

  it('is renewed in its last days while the provider runs, again and again', async () => {
    grant.start()
    for (const day of [28, 56, 84]) {
      late = day * DAY
      while (Math.abs((await days()) - day - 30) > 0.01) await new Promise(resolve => setTimeout(resolve, 5))
    }
    assert.deepEqual(said, [])
  })
})
