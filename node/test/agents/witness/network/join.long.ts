import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHex, trustGenesis, verifyProof, type TransactionOutcome } from '@pekka/node/protocol'
import { createSigner, createVerifier, writeSigner } from '@pekka/node/host/crypto'
import type { NetworkHost } from '@pekka/node/host/network'
import { LastProposed, OwnerLane } from '../../../../src/agents/witness/network/index.js'
import { faucet, seed, type Sender } from '../support.js'
import { createCommittee, startHost, TEST_PARAMETERS, TestWitness, type TestCommittee } from './committee.js'

/** Epochs of some seconds under this test's load, of a minute at rest. */
const PARAMETERS = { ...TEST_PARAMETERS, epochCommits: 150, epochRounds: 4_000 }

/**
 * Processes that come later than the others: one that lost its disk when the first epochs' blocks were gone, and one that nobody knew of at the
 * genesis and that is elected by its stake.
 */
describe('witness: joining a committee of processes', function () {
  this.timeout(600_000)
  let folder = ''
  let host: NetworkHost
  let committee: TestCommittee
  const acknowledged: TransactionOutcome[] = []

  const witness = (i: number): TestWitness => committee.witnesses[i] ?? assert.fail('no such witness')
  const sender = (i: number): Sender => committee.senders[i] ?? assert.fail('no such sender')
  const send = async (from: number, through: TestWitness): Promise<void> => {
    const outcome = await sender(from).send(through.client, faucet())
    assert.equal(outcome.status, 'applied', JSON.stringify(outcome))
    acknowledged.push(outcome)
  }
  /** Sends until a witness is in an epoch: commits come as fast as blocks then. */
  const until = async (epoch: number, through = witness(0)): Promise<void> => {
    while ((await through.status()).epoch < epoch) await send(0, through)
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-join-'))
    host = await startHost()
    // All staked on by one account, with which each registers itself for later epochs.
    committee = await createCommittee(folder, host, 4, PARAMETERS, { registers: true })
    await Promise.all(committee.witnesses.map(({ process }) => process.start()))
  })
  after(async () => {
    await committee?.end()
    await host?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('begins with a snapshot where a disk was lost after the first blocks were gone, and writes again', async () => {
    await until(4)
    await witness(3).process.end('SIGKILL')
    await witness(3).wipe(false)
    await rm(join(witness(3).folder, 'snapshots'), { recursive: true, force: true })
    await send(0, witness(0))
    await witness(3).process.start()
    assert.match(witness(3).process.log, /begun with a snapshot/)
    const { round } = await witness(3).until(({ writes }) => writes)
    await witness(3).until(status => status.round > round + 2)
    await send(1, witness(3))
    await comesToTheSame()
    await nobodyAccused()
  })

  it('ends by itself where it ran and was cut off until its blocks were gone, and begins with a snapshot when it is started again', async () => {
    const { process } = witness(3)
    const child = process.child ?? assert.fail('it runs')
    const ended = once(child, 'exit')
    child.kill('SIGSTOP')
    const { epoch } = await witness(0).status()
    await until(epoch + 4)
    child.kill('SIGCONT')
    const [code]: unknown[] = await ended
    assert.equal(code, 1)
    assert.match(process.log, /fallen behind for good/)
    process.log = ''
    await process.start()
    assert.match(process.log, /begun with a snapshot/)
    const { round } = await witness(3).until(({ writes }) => writes)
    await witness(3).until(status => status.round > round + 2)
    await send(1, witness(3))
    await comesToTheSame()
    await nobodyAccused()
  })

  it('elects a witness that stakes by a transaction, whose blocks the others build on; it began with a snapshot too', async () => {
    const home = join(folder, 'late')
    const [blockSeed, ownerSeed, peerSeed] = [seed(), seed(), seed()]
    const signer = createSigner(blockSeed)
    const owner = createSigner(ownerSeed)
    await writeSigner(join(home, 'peer.key'), peerSeed)
    await writeSigner(join(home, 'account.key'), ownerSeed)
    await LastProposed.create(join(home, 'last-proposed'))
    const addresses = committee.witnesses.map(({ address }) => address)
    const late = await TestWitness.beside(committee, { folder: home, host, blockSeed, peerSeed, peers: addresses })
    committee.witnesses.push(late)
    await late.process.start()
    assert.match(late.process.log, /begun with a snapshot/)
    assert.equal((await late.status()).writes, false)

    // Through itself: it follows, and passes on what it is sent.
    const lane = new OwnerLane({ ledger: late.client, signer, owner })
    await lane.send({ kind: 'open-account', policy: lane.policy, deposit: 0n })
    await lane.send({ kind: 'faucet', amount: 1_000_000n })
    await lane.stake(500_000n, [])
    const key = toHex(signer.publicKey)
    const { epoch } = await witness(0).status()
    const seated = ({ committee: members }: { committee: { key: string }[] }): boolean =>
      members.some(member => member.key === key)
    while (!seated(await witness(0).status())) {
      await send(0, witness(0))
      assert.ok((await witness(0).status()).epoch < epoch + 8, 'it was never elected')
    }
    assert.ok((await witness(0).status()).epoch >= epoch + 2)
    const { round } = await late.until(({ writes }) => writes)
    await late.until(status => status.round > round + 2 || status.epoch > epoch + 3)
    await send(1, late)
    await comesToTheSame()
    await nobodyAccused()
  })

  it('proves to who knows the genesis alone, over the committee that it joined', async () => {
    const { account } = sender(0)
    for (const { client } of committee.witnesses) {
      const bytes = await client.prove({ kind: 'rows', rows: [{ table: 'account', id: account }] })
      const proven = await verifyProof(bytes ?? assert.fail(), trustGenesis(committee.genesis), createVerifier())
      assert.ok(proven.trust.epoch >= 4)
    }
  })

  it('keeps two snapshots, and blocks of three epochs', async () => {
    const names = await readdir(join(witness(0).folder, 'snapshots'))
    assert.ok(names.length > 0 && names.length <= 2, names.join())
  })

  /** Every witness has the last acknowledged commit, and the same header hash for it. */
  async function comesToTheSame(): Promise<void> {
    const last = Math.max(...acknowledged.map(outcome => ('index' in outcome ? outcome.index : 0)))
    const heads = await Promise.all(
      committee.witnesses.map(async one => {
        await one.until(({ commit }) => commit > last)
        const stop = new AbortController()
        for await (const { header } of one.client.follow(last, stop.signal)) return toHex(header.previous)
        return ''
      })
    )
    assert.equal(new Set(heads).size, 1, heads.join())
  }

  async function nobodyAccused(): Promise<void> {
    for (const { process } of committee.witnesses) {
      assert.ok(!process.log.includes('a witness broke a rule'), process.log)
      assert.ok(!process.log.includes('signs another checkpoint'), process.log)
      assert.ok(!process.log.includes('the consensus has stopped itself'), process.log)
    }
  }
})
