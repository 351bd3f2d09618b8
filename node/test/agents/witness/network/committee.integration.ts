import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command } from 'commander'
import { toHex, trustGenesis, verifyProof, type CommitView, type TransactionOutcome } from '@pekka/node/protocol'
import { createVerifier } from '@pekka/node/host/crypto'
import type { NetworkHost } from '@pekka/node/host/network'
import { registerStatus } from '../../../../src/cli/commands/ledger-status.js'
import { faucet, type Sender } from '../support.js'
import { createCommittee, startHost, type TestCommittee, type TestWitness } from './committee.js'

describe('witness: a committee of four processes', function () {
  this.timeout(240_000)
  let folder = ''
  let host: NetworkHost
  let committee: TestCommittee
  /** Everything that was acknowledged, by any witness. */
  const acknowledged: TransactionOutcome[] = []

  const witness = (i: number): TestWitness => {
    const found = committee.witnesses[i]
    if (found === undefined) throw new TypeError('no such witness')
    return found
  }
  const sender = (i: number): Sender => {
    const found = committee.senders[i]
    if (found === undefined) throw new TypeError('no such sender')
    return found
  }
  /** Sends one after the other; each must be applied. */
  const send = async (from: number, through: number, times: number): Promise<void> => {
    for (let i = 0; i < times; i++) {
      const outcome = await sender(from).send(witness(through).client, faucet())
      assert.equal(outcome.status, 'applied', JSON.stringify(outcome))
      acknowledged.push(outcome)
    }
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-committee-'))
    host = await startHost()
    committee = await createCommittee(folder, host, 4)
    await Promise.all(committee.witnesses.map(({ process }) => process.start()))
  })

  after(async () => {
    await committee?.end()
    await host?.stop()
    await rm(folder, { recursive: true, force: true })
  })

  it('makes transactions final that are submitted to different witnesses', async () => {
    await Promise.all([0, 1, 2, 3].map(i => send(i, i, 10)))
    await sameEverywhere(committee.witnesses, acknowledged)
  })

  it('answers a transaction that is sent again, also to another witness, as the first time', async () => {
    const { bytes } = await sender(0).sign(witness(0).client, faucet())
    const both = await Promise.all([witness(0).client.submit(bytes), witness(1).client.submit(bytes)])
    const later = await witness(2).client.submit(bytes)
    for (const outcome of [...both, later]) assert.deepEqual(outcome, both[0])
    assert.equal(later.status, 'applied')
    acknowledged.push(later)
  })

  it('takes several of one lane at once, in any order', async () => {
    const signed: Uint8Array[] = []
    for (let i = 0; i < 6; i++) signed.push((await sender(1).sign(witness(0).client, faucet())).bytes)
    const outcomes = await Promise.all(signed.reverse().map(bytes => witness(1).client.submit(bytes)))
    for (const outcome of outcomes) assert.equal(outcome.status, 'applied', JSON.stringify(outcome))
    acknowledged.push(...outcomes)
  })

  it('tells how its witnesses are doing: pekka ledger status', async () => {
    const lines: string[] = []
    const ledger = new Command('ledger')
    registerStatus(ledger, { json: false, home: '', env: {}, result: line => void lines.push(String(line)) })
    await ledger.parseAsync(['status', witness(0).address, witness(3).address], { from: 'user' })
    for (const i of [0, 3]) {
      const told = lines.slice(lines.indexOf(witness(i).address) + 1)
      assert.match(told[0] ?? '', /height: commit \d+, a quorum has vouched for \d+/)
      assert.match(told[1] ?? '', /history: from the first commit on/)
      assert.match(told[2] ?? '', /epoch 0, round \d+: writes blocks/)
      assert.match(told[3] ?? '', /committee of 4, \d of the others connected, \d observers/)
      assert.match(told[5] ?? '', /final after: \d+ ms in the middle/)
    }
  })

  it('proves from each of them what a quorum has signed, to who knows the genesis alone', async () => {
    const { account } = sender(0)
    for (const { client } of committee.witnesses) {
      const bytes = await client.prove({ kind: 'rows', rows: [{ table: 'account', id: account }] })
      const proven = await verifyProof(bytes ?? assert.fail(), trustGenesis(committee.genesis), createVerifier())
      const [fact] = proven.facts
      assert.equal(fact?.kind === 'account' && fact.row?.balance, (await client.account(account))?.balance)
    }
  })

  it('goes on while one is killed, which catches up and writes again after its restart', async () => {
    await witness(3).process.end('SIGKILL')
    await Promise.all([0, 1, 2].map(i => send(i, i, 5)))
    await witness(3).process.start()
    sender(3).forget()
    await send(3, 3, 3)
    await writesAgain(witness(3))
    await provesAll(witness(3), committee, acknowledged)
    await sameEverywhere(committee.witnesses, acknowledged)
  })

  it('catches up from the others without its database, and writes no second block for a round', async () => {
    await witness(2).process.end('SIGKILL')
    await witness(2).wipe(false)
    await send(0, 0, 5)
    await witness(2).process.start()
    await writesAgain(witness(2))
    sender(2).forget()
    await send(2, 2, 3)
    await sameEverywhere(committee.witnesses, acknowledged)
    await provesAll(witness(2), committee, acknowledged)
    assertNobodyAccused(committee.witnesses)
  })

  it('follows and writes nothing while its last proposal is lost too', async () => {
    await witness(1).process.end('SIGKILL')
    await witness(1).wipe(true)
    await send(0, 0, 5)
    await witness(1).process.start()
    // It serves clients all the same: what it is sent goes on to those who write.
    sender(1).forget()
    await send(1, 1, 3)
    const status = await witness(1).status()
    assert.equal(status.writes, false)
    await sameEverywhere(committee.witnesses, acknowledged)
    assertNobodyAccused(committee.witnesses)
  })

  it('stops cleanly, and serves everything again after all have been started anew', async () => {
    const codes = await Promise.all(committee.witnesses.map(({ process }) => process.end('SIGTERM')))
    assert.deepEqual(codes, [0, 0, 0, 0])
    await Promise.all(committee.witnesses.map(({ process }) => process.start()))
    for (const lane of committee.senders) lane.forget()
    await Promise.all([0, 2, 3].map(i => send(i, i, 2)))
    for (const one of committee.witnesses) await provesAll(one, committee, acknowledged.slice(-6))
    await sameEverywhere(committee.witnesses, acknowledged)
    assertNobodyAccused(committee.witnesses)
  })
})

/** It has certificates of everything that was acknowledged, also of what was certified while it was away. */
async function provesAll(
  { client }: TestWitness,
  { genesis }: TestCommittee,
  acknowledged: readonly TransactionOutcome[]
): Promise<void> {
  for (const { id } of acknowledged) {
    let bytes: Uint8Array | null = null
    while (bytes === null) bytes = await client.prove({ kind: 'transaction', id })
    const { facts } = await verifyProof(bytes, trustGenesis(genesis), createVerifier())
    assert.ok(facts.some(fact => fact.kind === 'transaction' && toHex(fact.id) === toHex(id) && fact.code === null))
  }
}

/** It has its own chain back and goes on with it. */
async function writesAgain(witness: TestWitness): Promise<void> {
  const { round } = await witness.until(({ writes }) => writes)
  await witness.until(status => status.round > round + 2)
}

/** Every witness comes to the same commits, has what was acknowledged, and a quorum has vouched for the states. */
async function sameEverywhere(witnesses: TestWitness[], acknowledged: readonly TransactionOutcome[]): Promise<void> {
  const last = Math.max(...acknowledged.map(outcome => ('index' in outcome ? outcome.index : 0)))
  const histories = await Promise.all(witnesses.map(one => one.history(last)))
  const [first = []] = histories
  for (const commits of histories) assert.deepEqual(commits.map(contentOf), first.map(contentOf))
  const outcomes = new Map(first.flatMap(({ transactions }) => transactions.map(t => [toHex(t.outcome.id), t.outcome])))
  for (const outcome of acknowledged) assert.deepEqual(outcomes.get(toHex(outcome.id)), outcome)
  for (const witness of witnesses) await witness.until(({ certified }) => certified >= last)
}

/** What must be the same everywhere; each witness signs the headers that it serves itself. */
const contentOf = ({ header: { signature: _, ...header }, ...rest }: CommitView) => ({ header, ...rest })

function assertNobodyAccused(witnesses: readonly TestWitness[]): void {
  for (const { process } of witnesses) {
    assert.ok(!process.log.includes('a witness broke a rule'), process.log)
    assert.ok(!process.log.includes('the consensus has stopped itself'), process.log)
  }
}
