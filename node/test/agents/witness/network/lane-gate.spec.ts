import assert from 'node:assert/strict'
import {
  accountId,
  compareBytes,
  encodeSigned,
  equalBytes,
  networkId,
  signTransaction,
  transactionId,
  type Transaction
} from '@pekka/node/protocol'
import { executeCommit, genesisState, verifyTransaction, type VerifiedTransaction } from '@pekka/node/ledger'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { VIEW_BYTES } from '../../../../src/agents/witness/constants.js'
import { weightOf } from '../../../../src/agents/witness/network/intake/weight.js'
import { LaneGate } from '../../../../src/agents/witness/network/intake/lane-gate.js'
import { createTestNetwork, faucet, seed, type Sender } from '../support.js'

describe('witness: lanes of a committee', () => {
  const network = createTestNetwork()
  const id = networkId(network.genesis)
  const isFinal = (): boolean => false

  function world(wait?: number, room = Infinity) {
    const state = genesisState(network.genesis)
    const time = { ahead: 0 }
    const now = (): number => Date.now() + time.ahead
    const gate = new LaneGate({ state: () => state, clock: { now }, room: () => room }, wait)
    /** As the ledger does with a commit. */
    const execute = (...transactions: VerifiedTransaction[]) => {
      const input = { timestamp: now(), transactions, witness: network.witness.publicKey, isFinal }
      const result = executeCommit(state, input)
      state.write(result.writes)
      for (const one of transactions) gate.leave(one)
      gate.moved(transactions, result.accounts)
      return result.ordered.length
    }
    return { gate, execute, state, time }
  }

  async function verified(content: Transaction, { signer }: Pick<Sender, 'signer'>): Promise<VerifiedTransaction> {
    return verifyTransaction(encodeSigned(await signTransaction(content, [signer])), createVerifier())
  }

  const contentOf = (sender: Pick<Sender, 'account'>, change: Partial<Transaction> = {}): Transaction => ({
    v: 1,
    network: id,
    account: sender.account,
    key: null,
    sequence: 0,
    previous: null,
    parents: [id],
    expiry: Date.now() + 60_000,
    body: faucet(),
    ...change
  })

  /** Transactions of one lane, each naming the one before. */
  async function chain(sender: Sender, count: number): Promise<VerifiedTransaction[]> {
    const made: VerifiedTransaction[] = []
    for (let sequence = 0; sequence < count; sequence++) {
      const previous = made.at(-1)?.id ?? null
      made.push(await verified(contentOf(sender, { sequence, previous }), sender))
    }
    return made
  }

  const at = <T>(many: readonly T[], index: number): T => many[index] ?? assert.fail()

  it('holds back what came before its predecessors, and lets it go with them', async () => {
    const { gate } = world()
    const lane = await chain(network.demo, 3)
    const passed: number[] = []
    const enter = async (one: VerifiedTransaction) => {
      await gate.enter(one, isFinal)
      passed.push(one.transaction.sequence)
    }
    const early = [enter(at(lane, 2)), enter(at(lane, 1))]
    // The other lane isn't held up.
    await gate.enter(await verified(contentOf(network.providers[0]), network.providers[0]), isFinal)
    assert.deepEqual(passed, [])
    await enter(at(lane, 0))
    await Promise.all(early)
    assert.deepEqual(passed.sort(), [0, 1, 2])
    assert.equal(gate.waiting, 0)
  })

  it('refuses what comes after nothing, once its predecessors have had their time', async () => {
    const { gate } = world(10)
    await assert.rejects(gate.enter(at(await chain(network.demo, 2), 1), isFinal), { code: 'LANE_SEQUENCE' })
    assert.equal(gate.waiting, 0)
  })

  it('refuses at once what no commit can make right', async () => {
    const { gate, execute } = world()
    const { demo } = network
    const refused = async (change: Partial<Transaction>, code: string) =>
      await assert.rejects(gate.enter(await verified(contentOf(demo, change), demo), isFinal), { code })
    await refused({ network: new Uint8Array(32) }, 'NETWORK_MISMATCH')
    await refused({ expiry: 1 }, 'TRANSACTION_EXPIRED')
    await refused({ previous: new Uint8Array(32) }, 'LANE_SEQUENCE')
    const [first] = await chain(demo, 1)
    assert.equal(execute(first ?? assert.fail()), 1)
    await refused({ expiry: Date.now() + 50_000 }, 'LANE_SEQUENCE')
  })

  it('refuses after a while whose account, key or parent nobody knows', async () => {
    const { gate } = world(10)
    const stranger = createSigner(seed())
    const account = accountId({ threshold: 1, keys: [stranger.publicKey] })
    const { demo } = network
    const enter = async (content: Transaction, signer = demo.signer) =>
      gate.enter(await verified(content, { signer }), isFinal)
    await Promise.all([
      assert.rejects(enter(contentOf({ account }), stranger), { code: 'ACCOUNT_UNKNOWN' }),
      assert.rejects(enter(contentOf(demo, { key: stranger.publicKey }), stranger), { code: 'DELEGATE_UNKNOWN' }),
      assert.rejects(enter(contentOf(demo), stranger), { code: 'SIGNATURE_INVALID' }),
      assert.rejects(enter(contentOf(demo, { parents: [new Uint8Array(32)] })), { code: 'PARENT_UNKNOWN' })
    ])
  })

  it('lets in what other witnesses have executed already as soon as it is executed here', async () => {
    const { gate, execute } = world()
    const lane = await chain(network.demo, 2)
    const parent = await verified(contentOf(network.providers[0]), network.providers[0])
    const final = new Set<string>()
    const knows = (vertex: Uint8Array): boolean => final.has(Buffer.from(vertex).toString('hex'))
    const [other] = network.providers.slice(1)
    const child = await verified(contentOf(other ?? assert.fail(), { parents: [parent.id] }), other ?? assert.fail())
    const waiting = [gate.enter(at(lane, 1), isFinal), gate.enter(child, knows)]
    assert.equal(gate.waiting, 2)
    final.add(Buffer.from(parent.id).toString('hex'))
    execute(at(lane, 0), parent)
    await Promise.all(waiting)
  })

  it('lets one of two for the same place in, and the other one only if that was refused', async () => {
    const { gate, execute } = world()
    const { demo } = network
    const [first, second, third] = await Promise.all(
      [1n, 2n, 3n].map(credits => verified(contentOf(demo, { body: faucet(credits) }), demo))
    )
    if (first === undefined || second === undefined || third === undefined) throw new TypeError('three were made')
    await gate.enter(first, isFinal)
    const rival = gate.enter(second, isFinal)
    assert.equal(gate.tryEnter(third, isFinal), 'early')
    assert.equal(gate.waiting, 1)
    // Turned away: its place is free.
    gate.leave(first)
    await rival
    const late = assert.rejects(gate.enter(third, isFinal), { code: 'LANE_SEQUENCE' })
    execute(second)
    await late
  })

  it('lets nothing in that names another predecessor than the one under way', async () => {
    const { gate } = world()
    const { demo } = network
    const [first] = await chain(demo, 1)
    const one = first ?? assert.fail()
    await gate.enter(one, isFinal)
    const wrong = await verified(contentOf(demo, { sequence: 1, previous: new Uint8Array(32) }), demo)
    assert.equal(gate.tryEnter(wrong, isFinal), 'early')
    const right = contentOf(demo, { sequence: 1, previous: transactionId(one.transaction) })
    assert.equal(gate.tryEnter(await verified(right, demo), isFinal), 'ready')
  })

  it('counts no longer with what has expired on its way, which nobody will order', async () => {
    const { gate, execute, time } = world()
    const { demo } = network
    const soon = Date.now() + 10_000
    const [dead, next] = await Promise.all([
      verified(contentOf(demo, { expiry: soon }), demo),
      verified(contentOf(demo, { body: faucet(2n) }), demo)
    ])
    await gate.enter(dead, isFinal)
    assert.equal(gate.tryEnter(next, isFinal), 'early')
    time.ahead = 10_001
    execute()
    assert.equal(gate.tryEnter(next, isFinal), 'ready')
  })

  it('says what is under way that nobody can order any more', async () => {
    const { gate, execute, time } = world()
    const { demo } = network
    const [other] = network.providers
    const soon = Date.now() + 10_000
    const [beaten, winner, late] = await Promise.all([
      verified(contentOf(demo), demo),
      verified(contentOf(demo, { body: faucet(2n) }), demo),
      verified(contentOf(other ?? assert.fail(), { expiry: soon }), other ?? assert.fail())
    ])
    await gate.enter(beaten, isFinal)
    await gate.enter(late, isFinal)
    assert.deepEqual(gate.dead(), [])
    time.ahead = 10_001
    // Another witness's block brought it.
    execute(winner)
    const next = await verified(contentOf(demo, { sequence: 1, previous: winner.id }), demo)
    assert.equal(gate.tryEnter(next, isFinal), 'ready')
    const dead = gate.dead().map(({ transaction, error }) => [transaction, error.code])
    assert.deepEqual(dead, [
      [beaten, 'LANE_SEQUENCE'],
      [late, 'TRANSACTION_EXPIRED']
    ])
    gate.leave(beaten)
    gate.leave(late)
    assert.deepEqual(gate.dead(), [])
  })

  it('gives up with one that was beaten to its place all that build on it', async () => {
    const { gate, execute } = world()
    const { demo } = network
    const lane = await chain(demo, 3)
    for (const one of lane) await gate.enter(one, isFinal)
    const rival = await verified(contentOf(demo, { body: faucet(2n) }), demo)
    execute(rival)
    const dead = gate.dead().map(({ transaction }) => transaction)
    assert.deepEqual(dead, lane)
    for (const one of dead) gate.leave(one)
    const next = await verified(contentOf(demo, { sequence: 1, previous: rival.id }), demo)
    assert.equal(gate.tryEnter(next, isFinal), 'ready')
  })

  it('lets nobody take the places of another account’s lane by signing in its name', async () => {
    const { gate } = world()
    const { demo } = network
    const stranger = createSigner(seed())
    const waiting: Promise<void>[] = []
    const foreign = (n: number) => verified(contentOf(demo, { expiry: Date.now() + 50_000 + n }), { signer: stranger })
    for (let n = 0; n < 64; n++) waiting.push(gate.enter(await foreign(n), isFinal))
    await assert.rejects(gate.enter(await foreign(64), isFinal), { code: 'RATE_LIMITED' })
    const [first, second] = await chain(demo, 2)
    const early = gate.enter(second ?? assert.fail(), isFinal)
    await gate.enter(first ?? assert.fail(), isFinal)
    await early
    gate.stop()
    await Promise.all(waiting)
  })

  it('lets no more go on at once than a commit can hold, and again as much once that is ordered', async () => {
    const [first, second] = await chain(network.demo, 2)
    assert.ok(first && second)
    const [other] = network.providers
    const rest = await verified(contentOf(other), other)
    const { gate, execute } = world(undefined, weightOf(first) + weightOf(rest) - 1)
    // What comes first waits for its turn outside: it is turned away when that comes.
    const early = gate.enter(second, isFinal)
    early.catch(() => {})
    await gate.enter(first, isFinal)
    await assert.rejects(early, { code: 'RATE_LIMITED' })
    assert.equal(gate.waiting, 0)
    await assert.rejects(gate.enter(rest, isFinal), { code: 'RATE_LIMITED' })
    // What others have told of comes again.
    assert.equal(gate.tryEnter(rest, isFinal), 'early')
    // The same once more is no more.
    await gate.enter(first, isFinal)
    execute(first)
    assert.equal(gate.tryEnter(rest, isFinal), 'ready')
  })

  it('counts a transaction as the copy of it that entered, whichever copy of it leaves: ids don’t cover signatures', async () => {
    const signers = [createSigner(seed()), createSigner(seed())]
    const keys = signers.map(({ publicKey }) => publicKey).sort(compareBytes)
    const policy = { threshold: 1, keys }
    const content = contentOf({ account: accountId(policy) }, { body: { kind: 'open-account', policy, deposit: 0n } })
    const copyBy = async (count: number): Promise<VerifiedTransaction> =>
      verifyTransaction(encodeSigned(await signTransaction(content, signers.slice(0, count))), createVerifier())
    const [small, large] = [await copyBy(1), await copyBy(2)]
    assert.ok(equalBytes(small.id, large.id) && weightOf(small) < weightOf(large))
    const [first, second] = await chain(network.demo, 2)
    assert.ok(first && second)
    for (const [entered, left] of [
      [large, small],
      [small, large]
    ] as const) {
      const { gate } = world(undefined, weightOf(first) + weightOf(second) - 1)
      await gate.enter(entered, isFinal)
      // The other copy neither counts nor takes its place.
      await gate.enter(left, isFinal)
      gate.leave(left)
      // Nothing is under way: one may go on, two are too many.
      await gate.enter(first, isFinal)
      await assert.rejects(gate.enter(second, isFinal), { code: 'RATE_LIMITED' })
      const tight = world(undefined, 1).gate
      await tight.enter(entered, isFinal)
      tight.leave(left)
      await tight.enter(first, isFinal)
    }
  })

  it('lets one go on by itself, however large, and counts the views of the tasks that it opens', async () => {
    const { gate } = world(undefined, 1)
    const [first] = await chain(network.demo, 1)
    assert.ok(first)
    await gate.enter(first, isFinal)
    const offer = (tasks: number) => ({ ...first.transaction, body: { kind: 'offer', tasks: new Array(tasks) } })
    const weigh = (tasks: number) =>
      // What an offer's weight is read from.
      weightOf({ bytes: new Uint8Array(100), transaction: offer(tasks) as unknown as Transaction })
    assert.equal(weigh(64) - weigh(0), 64 * VIEW_BYTES)
  })

  it('holds a bounded number that waits, of a lane and of accounts that nobody knows', async () => {
    const { gate } = world()
    const lane = await chain(network.demo, 66)
    const waiting = lane.slice(1, 65).map(one => gate.enter(one, isFinal))
    await assert.rejects(gate.enter(at(lane, 65), isFinal), { code: 'RATE_LIMITED' })
    // Signatures don't matter here: they were checked before.
    const template = at(lane, 0)
    const unknown = (n: number): VerifiedTransaction => {
      const account = new Uint8Array(32)
      new DataView(account.buffer).setUint32(0, n + 1)
      return { ...template, id: account, transaction: { ...template.transaction, account } }
    }
    for (let n = 0; n < 512; n++) waiting.push(gate.enter(unknown(n), isFinal))
    await assert.rejects(gate.enter(unknown(512), isFinal), { code: 'RATE_LIMITED' })
    gate.stop()
    await Promise.all(waiting)
    assert.equal(gate.waiting, 0)
  })
})
