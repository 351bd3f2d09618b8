import assert from 'node:assert/strict'
import {
  encodeBatch,
  encodeCbor,
  encodeSigned,
  MAX_BATCH_BYTES,
  MAX_BATCH_TRANSACTIONS,
  networkId,
  signTransaction,
  toHex,
  transactionId,
  type Transaction
} from '@pekka/node/protocol'
import { executeCommit, genesisState, verifyTransaction, type VerifiedTransaction } from '@pekka/node/ledger'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { Admission } from '../../../../src/agents/witness/admission.js'
import { Opener } from '../../../../src/agents/witness/network/blocks/opener.js'
import { Guests } from '../../../../src/agents/witness/network/intake/guests.js'
import { Hearsay } from '../../../../src/agents/witness/network/intake/hearsay.js'
import { LaneGate } from '../../../../src/agents/witness/network/intake/lane-gate.js'
import { createTestNetwork, faucet, seed, type Sender } from '../support.js'

describe('witness: what other witnesses tell of', () => {
  const network = createTestNetwork()
  const id = networkId(network.genesis)
  const { demo } = network

  function world({ isMember = true, isSpare = false, room = true, full = false } = {}) {
    const state = genesisState(network.genesis)
    let [checks, elapsed] = [0, 0]
    const verifier = createVerifier()
    const counting: typeof verifier = {
      ...verifier,
      verify: (...of) => {
        checks += 1
        return verifier.verify(...of)
      }
    }
    const [standing, offered, unfit]: [VerifiedTransaction[], VerifiedTransaction[], string[]] = [[], [], []]
    const clock = { now: () => Date.now() }
    const opener = new Opener({ verifier: counting, epoch: () => 0, membersOf: () => [] })
    const guests = new Guests(new Admission({ state: () => state, clock, monotonic: () => elapsed }))
    const gate = new LaneGate({ state: () => state, clock, room: () => Infinity })
    const hearsay = new Hearsay(
      {
        opener,
        guests,
        gate,
        store: { locate: async () => null },
        state: () => state,
        clock,
        monotonic: () => elapsed,
        bucketOf: () => 0,
        isSpare: () => isSpare,
        standBy: async told => (room ? standing.push(...told.map(({ transaction }) => transaction)) : 0),
        offer: async transaction => (full ? 'full' : offered.push(transaction) > 0 ? 'taken' : 'full'),
        unfit: id => void unfit.push(toHex(id))
      },
      { network: id, allowance: () => (isMember ? 'member' : null) }
    )
    const execute = (...transactions: VerifiedTransaction[]): void => {
      const witness = network.witness.publicKey
      state.write(executeCommit(state, { timestamp: Date.now(), transactions, witness, isFinal: () => false }).writes)
    }
    const pass = (ms: number): void => void (elapsed += ms)
    return { hearsay, opener, guests, gate, standing, offered, unfit, execute, pass, checks: () => checks }
  }

  async function sign(change: Partial<Transaction> = {}, { account, signer }: Sender = demo): Promise<Uint8Array> {
    const content: Transaction = {
      v: 1,
      network: id,
      account,
      key: null,
      sequence: 0,
      previous: null,
      parents: [id],
      expiry: Date.now() + 60_000,
      body: faucet(),
      ...change
    }
    return encodeSigned(await signTransaction(content, [signer]))
  }

  it('goes on once it is checked and has its place, and not a second time, in whatever batch', async () => {
    const { hearsay, standing, checks } = world()
    const [one, other] = [await sign(), await sign({}, network.providers[0])]
    assert.equal(await hearsay.take(encodeBatch([one]), 'peer'), 'forward')
    assert.equal(await hearsay.take(encodeBatch([one]), 'another'), 'ignore')
    assert.equal(await hearsay.take(encodeBatch([one, other]), 'another'), 'forward')
    assert.equal(await hearsay.take(encodeBatch([other, one]), 'another'), 'ignore')
    assert.deepEqual(
      standing.map(({ bytes }) => bytes),
      [one, other]
    )
    assert.equal(checks(), 2, 'each signature is checked once')
  })

  it('goes no further with what others may find too old a moment later: they would blame who passed it on', async () => {
    const { hearsay, standing } = world()
    const old = await sign({ expiry: Date.now() - 40_000 }, network.providers[0])
    assert.equal(await hearsay.take(encodeBatch([await sign(), old]), 'peer'), 'ignore')
    assert.equal(standing.length, 1)
  })

  it('is its sender’s fault where every witness would refuse it', async () => {
    const { hearsay, standing, checks } = world()
    const good = await sign()
    const forged = good.slice()
    forged[60] = (forged[60] ?? 0) ^ 1
    const many = Array.from({ length: MAX_BATCH_TRANSACTIONS + 1 }, () => good)
    const wrong: [string, Uint8Array][] = [
      ['no CBOR', new Uint8Array([255, 1])],
      ['another shape', encodeCbor({ v: 1, transactions: 'none' })],
      ['another version', encodeCbor({ v: 2, transactions: [good] })],
      ['nothing', encodeCbor({ v: 1, transactions: [] })],
      ['not canonical', new Uint8Array([...encodeBatch([good]), 0])],
      ['too many', encodeBatch(many)],
      ['too large', encodeBatch([good, new Uint8Array(MAX_BATCH_BYTES)])],
      ['no transaction', encodeBatch([good, new Uint8Array(40)])],
      ['another network', encodeBatch([good, await sign({ network: new Uint8Array(32) })])],
      ['long expired', encodeBatch([good, await sign({ expiry: Date.now() - 61_000 })])]
    ]
    for (const [what, bytes] of wrong) assert.equal(await hearsay.take(bytes, 'peer'), 'reject', what)
    assert.equal(checks(), 0, 'all of that before a signature is checked')
    assert.equal(await hearsay.take(encodeBatch([good, forged]), 'peer'), 'reject')
    assert.deepEqual(standing, [])
  })

  it('is nobody’s fault where only this witness has no use for it, and doesn’t go on', async () => {
    const { hearsay, standing, execute } = world()
    const first = await sign()
    execute(await verifyTransaction(first, createVerifier()))
    assert.equal(await hearsay.take(encodeBatch([first]), 'peer'), 'ignore', 'ordered')
    const expired = await sign({ expiry: Date.now() - 10 }, network.providers[0])
    assert.equal(await hearsay.take(encodeBatch([expired]), 'peer'), 'ignore', 'just expired')
    assert.deepEqual(standing, [])
    const { hearsay: crowded } = world({ room: false })
    assert.equal(await crowded.take(encodeBatch([first]), 'peer'), 'ignore', 'no room')
  })

  it('costs a bounded number of checks, of what a member tells and far fewer of all who only listen', async () => {
    const stranger = (): Promise<Uint8Array> => {
      const signer = createSigner(seed())
      return sign({ account: signer.publicKey }, { ...demo, account: signer.publicKey, signer } as Sender)
    }
    const flood = await Promise.all(Array.from({ length: 1_200 }, stranger))
    const tell = async ({ hearsay }: ReturnType<typeof world>, from: (i: number) => string): Promise<void> => {
      for (let i = 0; i < flood.length; i += 50) await hearsay.take(encodeBatch(flood.slice(i, i + 50)), from(i))
    }
    const member = world()
    await tell(member, () => 'member')
    assert.equal(member.checks(), 1_000, '2,048 of two each')
    member.pass(1_000)
    await tell(member, () => 'member')
    assert.equal(member.checks(), 1_200)
    const observers = world({ isMember: false })
    await tell(observers, i => `observer ${i}`)
    assert.equal(observers.checks(), 500, '1,024, however many they are')
    // Accounts that nobody knows have little room, whoever tells of them.
    assert.ok(observers.guests.size <= 128, `${observers.guests.size}`)
    assert.equal(observers.standing.length, observers.guests.size)
  })

  it('is put up when its turn has come, as long as the ledger would take it', async () => {
    const { hearsay, gate, offered, unfit, execute } = world()
    const made = async (change: Partial<Transaction> = {}) => verifyTransaction(await sign(change), createVerifier())
    const first = await made()
    const next = await made({ sequence: 1, previous: transactionId(first.transaction) })
    const [ordered, rival] = [await made({ body: faucet(3n) }), await made({ body: faucet(2n) })]
    await hearsay.standIn([next])
    assert.deepEqual(offered, [], 'what it follows may still come')
    await hearsay.standIn([first, next])
    assert.deepEqual(offered, [first, next])
    for (const one of [first, next]) gate.leave(one)
    execute(ordered)
    await hearsay.standIn([rival])
    assert.deepEqual(unfit, [toHex(rival.id)])
    assert.deepEqual(offered, [first, next])
  })

  it('is left to others by a witness that has wasted much, and comes again where the own blocks are full', async () => {
    const transaction = await verifyTransaction(await sign(), createVerifier())
    const wasteful = world({ isSpare: true })
    await wasteful.hearsay.standIn([transaction])
    assert.deepEqual([wasteful.offered, wasteful.unfit], [[], []])
    const crowded = world({ full: true })
    await crowded.hearsay.standIn([transaction])
    assert.deepEqual(crowded.unfit, [])
    // Its place in the lane is free again.
    const rival = await verifyTransaction(await sign({ body: faucet(2n) }), createVerifier())
    assert.equal(
      crowded.gate.tryEnter(rival, () => false),
      'ready'
    )
  })
})
