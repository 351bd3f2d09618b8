import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  accountId,
  CREDIT,
  decodeCbor,
  decodeWitnessBlock,
  encodeBatch,
  encodeCanonical,
  networkId,
  toHex,
  transactionsTopic
} from '@pekka/node/protocol'
import { STANDARD_PARAMETERS } from '@pekka/node/consensus'
import { createSigner, createVerifier, systemClock } from '@pekka/node/host/crypto'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import type { NetworkHost } from '@pekka/node/host/network'
import { MAX_BROKEN, WITNESS_PROTOCOL } from '../../../../src/agents/witness/network/constants.js'
import { WitnessLinks } from '../../../../src/agents/witness/network/links.js'
import { witnessMessageSchema } from '../../../../src/agents/witness/network/messages.js'
import { committeeGenesis, createCommitteeLedger, LastProposed } from '../../../../src/agents/witness/network/index.js'
import { LyingHost } from '../../../support/lying-host.js'
import { createTestNetwork, faucet, seed, Sender } from '../support.js'
import { startHost } from './committee.js'

const silent = { info: () => {}, warn: () => {}, error: () => {} }

describe('witness: transactions that others tell of', function () {
  this.timeout(60_000)
  let folder = ''
  const owner = createSigner(seed())
  const policy = { threshold: 1, keys: [owner.publicKey] }
  const seeds = Array.from({ length: 4 }, () => seed())
  const genesis = committeeGenesis({
    base: { ...createTestNetwork().genesis, accounts: [{ policy, balance: 10n * CREDIT }] },
    members: seeds.map(own => ({ seed: own, stake: 5n, account: accountId(policy) })),
    parameters: { ...STANDARD_PARAMETERS, epochCommits: 8_000, epochRounds: 10_000 }
  })
  const network = networkId(genesis)
  const hosts: NetworkHost[] = []
  const witnesses: ReturnType<typeof createCommitteeLedger>[] = []
  /** Of the first witness: nobody gets these. */
  const own = toHex(createSigner(seeds[0] ?? assert.fail()).publicKey)
  let withheld = 0

  /** Blocks that it wrote itself stay where they are. */
  async function withholds(protocol: string, _: string, message: Uint8Array): Promise<readonly Uint8Array[]> {
    if (protocol !== WITNESS_PROTOCOL) return [message]
    const said = witnessMessageSchema.parse(decodeCbor(message))
    if (said.type !== 'blocks') return [message]
    const authors = said.blocks.map(bytes => decodeWitnessBlock(bytes).block.author)
    const mine = (await witnesses[0]?.sequencer.status())?.committee.findIndex(({ key }) => key === own)
    if (!authors.includes(mine ?? 0)) return [message]
    withheld += 1
    return []
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-gossip-'))
    for (const [i, own] of seeds.entries()) {
      const host = await startHost(['/ip4/127.0.0.1/tcp/0'])
      const peers = hosts.flatMap(other => other.addresses())
      hosts.push(host)
      await LastProposed.create(join(folder, `${i}`))
      witnesses.push(
        createCommitteeLedger(
          {
            store: new MemoryLedgerStore(),
            host: i === 0 ? new LyingHost(host, withholds) : host,
            signer: { ...createSigner(own), seed: own },
            verifier: createVerifier(),
            lastProposed: new LastProposed(join(folder, `${i}`)),
            clock: systemClock,
            log: silent
          },
          { genesis: encodeCanonical(genesis), peers }
        )
      )
    }
    await Promise.all(witnesses.map(({ ledger }) => ledger.start()))
  })
  after(async () => {
    await Promise.all(witnesses.map(({ ledger }) => ledger.stop()))
    await Promise.all(hosts.map(host => host.stop()))
    await rm(folder, { recursive: true, force: true })
  })

  it('are final through others where the witness that took them withholds its blocks', async () => {
    const [withholder, other] = witnesses
    const sender = new Sender(accountId(policy), null, owner)
    const outcome = await sender.send(withholder?.ledger ?? assert.fail(), faucet())
    assert.equal(outcome.status, 'applied', JSON.stringify(outcome))
    assert.ok(withheld > 0)
    const stop = new AbortController()
    for await (const { transactions } of (other ?? assert.fail()).ledger.follow(-1, stop.signal)) {
      if (transactions.some(({ outcome: { id } }) => toHex(id) === toHex(outcome.id))) stop.abort()
    }
    // None of those who brought it or refused it wasted anything.
    assert.deepEqual([...(other ?? assert.fail()).ledger.state.keys('includer')], [])
  })

  it('are answered by a witness without a seat also where nobody orders them: too late, or beaten to their place', async () => {
    const host = await startHost()
    const stranger = seed()
    const file = join(folder, 'observer')
    await LastProposed.create(file)
    const observer = createCommitteeLedger(
      {
        store: new MemoryLedgerStore(),
        host,
        signer: { ...createSigner(stranger), seed: stranger },
        verifier: createVerifier(),
        lastProposed: new LastProposed(file),
        clock: systemClock,
        log: silent
      },
      { genesis: encodeCanonical(genesis), peers: hosts.flatMap(other => other.addresses()) }
    )
    try {
      await observer.ledger.start()
      const member = witnesses[1]?.ledger ?? assert.fail()
      const sender = new Sender(accountId(policy), null, owner)
      for (let round = 0; round < 3; round++) {
        const signed: Uint8Array[] = []
        for (const credits of [1n, 2n]) {
          sender.forget()
          signed.push((await sender.sign(member, faucet(credits))).bytes)
        }
        const [one, other] = signed
        const outcomes = await Promise.all([
          member.submit(one ?? assert.fail()),
          observer.ledger.submit(other ?? assert.fail())
        ])
        assert.deepEqual(outcomes.map(({ status }) => status).sort(), ['applied', 'refused'])
      }
      // In time for this witness, and too late for those that it tells.
      sender.forget()
      const late = await sender.sign(member, faucet(), { expiry: Date.now() + 15 })
      const outcome = await observer.ledger.submit(late.bytes)
      assert.equal(outcome.status === 'refused' && outcome.code, 'TRANSACTION_EXPIRED')
    } finally {
      await observer.ledger.stop()
      await host.stop()
    }
  })

  it('are judged before they go on: who sends rubbish loses its score and its links, and nobody else hears of it', async () => {
    const stranger = await startHost()
    const target = hosts[1] ?? assert.fail()
    const links = new WitnessLinks(
      { host: stranger, signer: createSigner(seed()), verifier: createVerifier(), log: silent, monotonic: () => 0 },
      {
        network,
        addresses: target.addresses(),
        isMember: () => false,
        commit: () => -1,
        onPeers: peers => gossip.setPeers(peers),
        onMessage: async () => 'taken'
      }
    )
    const gossip = await stranger.gossip({ topic: transactionsTopic(network), take: async () => 'ignore' })
    await links.start()
    const sees = async (): Promise<boolean> =>
      (await witnesses[1]?.sequencer.status())?.peers.some(({ peer }) => peer === stranger.peerId) ?? false
    while (!(await sees())) await new Promise(resolve => setTimeout(resolve, 10))
    const rubbish = (i: number): Uint8Array => encodeBatch([new Uint8Array(40).fill(i)])
    for (let i = 0; i < MAX_BROKEN || (await sees()); i++) {
      await gossip.publish(rubbish(i))
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    // The others have heard nothing but what is in order: they still know one another.
    for (const { sequencer } of witnesses) {
      const peers = (await sequencer.status())?.peers.filter(({ key }) => key !== null) ?? []
      assert.equal(peers.length, 3)
    }
    await links.stop()
    await stranger.stop()
  })
})
