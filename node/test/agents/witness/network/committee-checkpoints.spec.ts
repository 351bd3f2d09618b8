import assert from 'node:assert/strict'
import {
  certify,
  checkpointDigest,
  encodeCertificate,
  equalBytes,
  signCheckpoint,
  toHex,
  type Checkpoint
} from '@pekka/node/protocol'
import { createSigner } from '@pekka/node/host/crypto'
import { CheckpointRule } from '../../../../src/agents/witness/network/checkpoints/checkpoint-rule.js'
import { encodeNote } from '../../../../src/agents/witness/network/checkpoints/checkpoint-messages.js'
import { seed } from '../support.js'
import { CheckpointWorld, type Member } from './checkpoint-world.js'

describe('witness: after which commits a committee makes checkpoints', () => {
  const due = (rule: CheckpointRule, timestamp: number, changes: boolean, last = false): boolean =>
    rule.next({ timestamp, changes, last })

  it('after the first, after a change when the last one is a while ago, and now and then', () => {
    const rule = new CheckpointRule()
    assert.deepEqual(
      [
        due(rule, 1_000, false),
        due(rule, 1_100, true),
        due(rule, 1_249, false),
        due(rule, 1_250, false),
        due(rule, 2_000, false),
        due(rule, 6_249, false),
        due(rule, 6_250, false)
      ],
      [true, false, false, true, false, false, true]
    )
  })

  it('after the last one of an epoch', () => {
    const rule = new CheckpointRule(1_000)
    assert.deepEqual([due(rule, 1_001, false, true), due(rule, 1_002, true)], [true, false])
  })

  it('at the same ones after a restart', () => {
    const before = new CheckpointRule(1_000)
    due(before, 1_010, true)
    const after = new CheckpointRule(1_000, before.hasChanged)
    assert.deepEqual([due(before, 1_300, false), due(after, 1_300, false)], [true, true])
  })
})

describe('witness: checkpoints of a committee', function () {
  this.timeout(60_000)
  let world: CheckpointWorld
  const member = (i: number): Member => world.members[i] ?? assert.fail()
  const account = () => ({ kind: 'rows' as const, rows: [{ table: 'account' as const, id: world.sender.account }] })
  /** Until all have a certificate of the last commit. */
  const certified = async (members = world.members, index = world.height): Promise<void> => {
    while (!members.every(({ checkpoints }) => (checkpoints.last?.checkpoint.index ?? -1) >= index))
      await new Promise(resolve => setTimeout(resolve, 5))
  }

  beforeEach(async () => {
    world = new CheckpointWorld(4)
    await world.start()
  })
  afterEach(() => world.stop())

  it('are signed by a quorum and prove rows and transactions, on each witness, to who knows the genesis', async () => {
    const transaction = await world.draw()
    await world.commit(300, [transaction])
    for (const { ledger } of world.members) {
      const row = ledger.state.get('account', toHex(world.sender.account))
      const proven = await member(world.members.findIndex(one => one.ledger === ledger)).prove(account())
      const [fact] = proven?.facts ?? []
      assert.ok(fact?.kind === 'account')
      assert.equal(fact.row?.balance, row?.balance)
    }
    for (const one of world.members) {
      const proven = await one.prove({ kind: 'transaction', id: transaction.id })
      assert.deepEqual(proven?.facts, [{ kind: 'transaction', index: 1, position: 0, id: transaction.id, code: null }])
    }
    const digests = new Set(world.members.map(({ checkpoints }) => toHex(checkpointDigest(lastOf(checkpoints)))))
    assert.equal(digests.size, 1)
  })

  it('show a row as it was at the last certified one, while the state has gone on', async () => {
    await world.commit(300, [await world.draw()])
    await certified()
    const before = await member(0).prove(account())
    // Nobody hears anybody: these are signed by no quorum.
    world.passes = () => false
    await world.commit(300)
    await world.commit(5_000)
    await world.commit(5_000)
    const after = await member(0).prove(account())
    assert.deepEqual(after, before)
    await world.commit(300, [await world.draw()])
    // What has changed since isn't shown as it was.
    assert.equal(await member(0).prove(account()), null)
  })

  it('need no more than a quorum', async () => {
    const silent = member(3)
    world.passes = from => from !== silent
    await world.commit(300, [await world.draw()])
    await certified()
    world.passes = (from, to) => from !== silent && to !== silent && from !== member(2)
    const { last } = member(0).checkpoints
    await world.commit(300, [await world.draw()])
    assert.equal(await member(0).prove(account()), null)
    assert.equal(member(0).checkpoints.last, last)
    // The links are back: what was missed is said again.
    world.passes = () => true
    await certified()
  })

  it('are asked for by who missed the signatures, in order, so that earlier transactions can be proved too', async () => {
    const away = member(3)
    world.passes = (from, to) => from !== away && to !== away
    const ids: Uint8Array[] = []
    for (let i = 0; i < 80; i++) {
      const transaction = await world.draw()
      ids.push(transaction.id)
      await world.commit(300, [transaction])
    }
    await certified(world.members.slice(0, 3))
    assert.ok((away.checkpoints.last?.checkpoint.index ?? -1) <= 0)
    world.passes = () => true
    while (away.checkpoints.waiting.length > 0) await new Promise(resolve => setTimeout(resolve, 5))
    for (const [i, id] of ids.entries()) {
      const proven = await away.prove({ kind: 'transaction', id })
      assert.deepEqual(proven?.facts, [{ kind: 'transaction', index: i + 1, position: 0, id, code: null }])
    }
    assert.deepEqual(away.broken, [])
  })

  it('that were made before all were killed are certified after it, and those after them follow', async () => {
    world.passes = () => false
    const transaction = await world.draw()
    await world.commit(300, [transaction])
    await world.commit(10)
    await world.stop()
    world.passes = () => true
    await world.start()
    // The state has gone on since: nobody could make that checkpoint again.
    await certified(world.members, 1)
    const proven = await member(2).prove({ kind: 'transaction', id: transaction.id })
    assert.equal(proven?.checkpoint.index, 1)
    await world.commit(300, [await world.draw()])
    const next = await member(1).prove(account())
    assert.ok(proven && next)
    assert.deepEqual(next.checkpoint.previous, checkpointDigest(proven.checkpoint))
  })

  it('of later epochs are believed over a certificate of each before, also after a restart', async () => {
    for (let epoch = 0; epoch < 3; epoch++) {
      await world.commit(300, [await world.draw()], { last: true })
      await certified()
    }
    await world.commit(300, [await world.draw()])
    assert.equal((await member(0).prove(account()))?.trust.epoch, 3)
    await world.stop()
    await world.start()
    await world.commit(300, [await world.draw()])
    const proven = await member(0).prove(account())
    assert.equal(proven?.trust.epoch, 3)
  })

  it('are believed from nobody who isn’t a quorum: what is no signature or no certificate is counted', async () => {
    await world.commit(300, [await world.draw()])
    await certified()
    const [liar, victim] = [member(3), member(0)]
    world.passes = () => false
    await world.commit(300, [await world.draw()])
    const index = world.height
    const checkpoint = { ...lastOf(liar.checkpoints), index }
    const wrong = encodeNote({ type: 'signature', index, digest: digestOf(victim), signature: new Uint8Array(64) })
    await world.deliver(liar, victim, wrong)
    assert.deepEqual(victim.broken, [liar.name])
    await world.deliver(liar, victim, forged(world, checkpoint, liar))
    await world.deliver(liar, victim, await forgedByStrangers(world, checkpoint))
    await world.deliver(liar, victim, new Uint8Array([1, 2, 3]))
    assert.equal(victim.broken.length, 4)
    // Another checkpoint than ours: it may be ours that is wrong, so it is said and not counted.
    const digest = checkpointDigest(checkpoint)
    const other = encodeNote({
      type: 'signature',
      index,
      digest,
      signature: await signCheckpoint(checkpoint, liar.signer)
    })
    await world.deliver(liar, victim, other)
    assert.deepEqual([victim.broken.length, victim.warnings.length], [4, 1])
    assert.ok((victim.checkpoints.last?.checkpoint.index ?? -1) < index)
  })

  it('stop where a quorum has signed another state: nothing is proved any more, and commits go on', async () => {
    world.passes = () => false
    await world.commit(300, [await world.draw()])
    const [victim] = [member(0)]
    const made = lastMade(victim)
    const other = { ...made, stateRoot: new Uint8Array(32).fill(7) }
    const signatures = await Promise.all(world.members.slice(1).map(({ signer }) => signCheckpoint(other, signer)))
    const places = new Map(signatures.map((signature, i) => [i + 1, signature]))
    const certificate = certify(other, world.committee, places) ?? assert.fail()
    await world.deliver(
      member(1),
      victim,
      encodeNote({ type: 'certificates', certificates: [encodeCertificate(certificate)] })
    )
    assert.equal(await victim.prove({ kind: 'rows', rows: [] }), null)
    assert.ok(victim.warnings.includes('no more checkpoints'))
    await world.commit(300, [await world.draw()])
    assert.equal(victim.store.last(), 2)
  })
})

const lastOf = ({ last }: Member['checkpoints']): Checkpoint => last?.checkpoint ?? assert.fail()

/** The checkpoint that a witness has made and nobody has certified. */
function lastMade({ checkpoints }: Member): Checkpoint {
  return checkpoints.waiting.at(-1)?.checkpoint ?? assert.fail()
}
const digestOf = (member: Member): Uint8Array => checkpointDigest(lastMade(member))

/** One signature, marked as a quorum. */
function forged(world: CheckpointWorld, checkpoint: Checkpoint, liar: Member): Uint8Array {
  const own = world.committee.findIndex(([key]) => equalBytes(key, liar.signer.publicKey))
  const places = new Map(world.committee.map((_, i) => [i, new Uint8Array(64).fill(own)]))
  const certificate = certify(checkpoint, world.committee, places) ?? assert.fail()
  return encodeNote({ type: 'certificates', certificates: [encodeCertificate(certificate)] })
}

async function forgedByStrangers(world: CheckpointWorld, checkpoint: Checkpoint): Promise<Uint8Array> {
  const strangers = world.committee.map(() => createSigner(seed()))
  const signatures = await Promise.all(strangers.map(signer => signCheckpoint(checkpoint, signer)))
  const certificate = certify(checkpoint, world.committee, new Map(signatures.entries())) ?? assert.fail()
  return encodeNote({ type: 'certificates', certificates: [encodeCertificate(certificate)] })
}
