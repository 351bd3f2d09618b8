import assert from 'node:assert/strict'
import { join } from 'node:path'
import { Auctions } from '@pekka/node/agents/provider'
import { encodeReceipt, verifyReceipt, type PekkaClient, type TaskUpdate } from '@pekka/node/client'
import { createVerifier, random } from '@pekka/node/host/crypto'
import {
  CREDIT,
  encodeCanonical,
  equalBytes,
  isPekkaError,
  sha256,
  type AuctionView,
  type Body
} from '@pekka/node/protocol'
import type { StandInProvider } from './support/provider.js'
import { World, cell } from './support/world.js'

const RESERVE = 900_000n

/** A stand-in provider that bids as a real one does; `silent`: it never reveals. */
function bidFor(world: World, provider: StandInProvider, pricePerSecond: bigint, silent = false): Auctions {
  const lane = {
    send: async (body: Body) => {
      if (silent && body.kind === 'auction-reveal') return new Promise<never>(() => undefined)
      const outcome = await provider.send(body)
      assert.notEqual(outcome.status, 'refused')
      if (outcome.status === 'refused') throw new TypeError('refused')
      return outcome
    }
  }
  const log = { info: () => undefined, warn: () => undefined }
  return new Auctions(
    { ledger: world.ledger, lane, random, asks: () => [provider.ask], free: () => true, log },
    {
      network: world.network,
      provider: provider.account,
      file: join(world.folder, `${provider.name}.bids`),
      pricePerSecond
    }
  )
}

describe('a task by auction (R31)', function () {
  this.timeout(60_000)
  let world: World
  let client: PekkaClient
  let following: AbortController
  let bidders: Auctions[] = []

  before(async () => {
    world = await World.start({ providers: 2 })
    client = world.client(await world.person())
    following = new AbortController()
    void (async () => {
      for await (const { auctions = [] } of world.ledger.follow(-1, following.signal))
        for (const view of auctions) for (const bidder of bidders) bidder.take(view)
    })().catch(() => undefined)
  })
  after(async () => {
    following.abort()
    await world.stop()
  })

  const provider = (place: number): StandInProvider => {
    const found = world.providers[place]
    assert.ok(found)
    return found
  }

  async function buy(): Promise<{ task: Uint8Array; ended: TaskUpdate; seen: AuctionView[] }> {
    const request = {
      ...cell('print("hello")'),
      image: 'base',
      cap: CREDIT,
      reserve: RESERVE,
      bidMs: 3_000,
      // It ends with the last reveal; a loaded machine needs the time.
      revealMs: 6_000
    }
    const seen: AuctionView[] = []
    const quote = await client.quote(request)
    const task = await client.auction(request, quote, { update: view => void seen.push(view) })
    const follower = await client.follow(task, {})
    return { task, ended: await follower.ended, seen }
  }

  it('goes to the lowest of two bids at the second price, and its receipt shows why', async () => {
    bidders = [bidFor(world, provider(0), 500_000n), bidFor(world, provider(1), 700_000n)]
    const { task, ended, seen } = await buy()
    assert.equal(ended.phase.phase, 'settled')
    // Nobody saw a price before all bids were bound.
    for (const { state, bids } of seen)
      if (state === 'bidding') for (const { revealed } of bids) assert.equal(revealed, null)
    const view = await world.ledger.task(task)
    assert.ok(view)
    const [named] = view.offer.candidates
    assert.ok(named && equalBytes(named.provider, provider(0).account))
    assert.equal(named.pricePerSecond, 700_000n)
    // The stand-in claims one millisecond.
    assert.equal(view.paid, 700n)
    assert.equal(view.offer.cap, CREDIT)
    const receipt = await client.receipt(task, ended.finished)
    const { checks } = await verifyReceipt(encodeReceipt(receipt), createVerifier())
    // The stand-in names no environment that the offer could know.
    const wrong = checks.filter(({ part, ok }) => !ok && part !== 'Result')
    assert.deepEqual(wrong, [])
    assert.match(checks.find(({ part }) => part === 'Offer')?.note ?? '', /2 sealed bids/)
    // A bid left out would have made it cheaper for somebody.
    const { digest: _, ...fields } = receipt
    const short = { ...fields, transactions: receipt.transactions.filter((__, i) => i !== 2) }
    const forged = encodeCanonical({ ...short, digest: sha256(encodeCanonical(short)) })
    const found = await verifyReceipt(forged, createVerifier())
    assert.equal(found.checks.find(({ part }) => part === 'Offer')?.ok, false)
  })

  it('whoever does not reveal loses its deposit, and the other one gets the task at the reserve', async () => {
    bidders = [bidFor(world, provider(0), 100n, true), bidFor(world, provider(1), 700_000n)]
    const locked = async (): Promise<bigint> => (await world.ledger.account(provider(0).account))?.locked ?? -1n
    const before = await world.ledger.account(provider(0).account)
    const { task, ended } = await buy()
    assert.equal(ended.phase.phase, 'settled')
    const view = await world.ledger.task(task)
    assert.ok(view && equalBytes(view.offer.candidates[0]?.provider ?? new Uint8Array(), provider(1).account))
    assert.equal(view.offer.candidates[0]?.pricePerSecond, RESERVE)
    const after = await world.ledger.account(provider(0).account)
    assert.equal((before?.balance ?? 0n) - (after?.balance ?? 0n), CREDIT / 10n)
    assert.equal(await locked(), 0n)
  })

  it('nobody bids low enough: it says so, and everything comes back', async () => {
    bidders = [bidFor(world, provider(0), RESERVE + 1n)]
    const before = await client.account()
    await assert.rejects(buy(), error => isPekkaError(error) && error.code === 'AUCTION_NO_BID')
    const { balance, locked } = await client.account()
    assert.deepEqual({ balance, locked }, { balance: before.balance, locked: 0n })
  })
})
