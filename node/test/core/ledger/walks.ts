import assert from 'node:assert/strict'
import fc from 'fast-check'
import { accountId, SPINE_PARAMETERS, toHex, type Policy } from '@pekka/node/protocol'
import { registeredImages, scan } from '@pekka/node/ledger'
import { FULL_PARAMETERS } from './support.js'
import {
  auctionMoveArbitrary,
  finish,
  moveArbitrary,
  replay,
  sessionMoveArbitrary,
  startWalk,
  step,
  type Move,
  type Walk
} from './walk.js'
import { ownerMoveArbitrary, REGISTRARS, takeBack } from './walk-owners.js'

/** Short windows, so that tasks close and bonds arrive within a walk. */
const SHORT = { contestWindowMs: 20_000, unbondMs: 30_000, trancheMs: 15_000 }

const SETTINGS = {
  'checking switched off': { ...SPINE_PARAMETERS, ...SHORT, faucetLimit: 1_000_000n },
  'slice, hold-back, levy and deposits switched on': { ...FULL_PARAMETERS, ...SHORT }
}

const OWNERS = 'mostly stakes, keys and images'

const MOVES: Record<string, fc.Arbitrary<Move>> = {
  anything: moveArbitrary,
  'mostly sessions': sessionMoveArbitrary,
  'mostly auctions': auctionMoveArbitrary,
  [OWNERS]: ownerMoveArbitrary
}

/** Random walks, each with up to `moves` moves, `runs` of them for each setting. */
export function walks({ runs, moves, timeout }: { runs: number; moves: number; timeout: number }): void {
  describe('ledger: random walks of valid, invalid, late, repeated and reordered transactions', function () {
    this.timeout(timeout)
    for (const [what, move] of Object.entries(MOVES)) {
      for (const [name, parameters] of Object.entries(SETTINGS)) {
        it(`${what}, ${name}: invariants hold after each commit, silence ends every task, a replay gives equal bytes`, () => {
          fc.assert(
            fc.property(fc.array(move, { minLength: 5, maxLength: moves }), sequence => {
              const walk = startWalk(parameters, REGISTRARS)
              for (const move of sequence) step(walk, move)
              finish(walk)
              if (what === OWNERS) takeBack(walk)
              replay(walk)
            }),
            // Walks of sessions go on for longer, since they seldom fail.
            { numRuns: what === 'anything' ? runs : Math.ceil(runs / (what === OWNERS ? 4 : 2)) }
          )
        })
      }
    }

    it('walks of auctions come to every end there is', () => {
      const ends = new Set<string>()
      const sequences = fc.sample(fc.array(auctionMoveArbitrary, { minLength: 40, maxLength: 80 }), {
        numRuns: 60,
        seed: 31
      })
      for (const sequence of sequences) {
        const walk = startWalk(SETTINGS['checking switched off'])
        for (const move of sequence) step(walk, move)
        finish(walk)
        for (const end of salesOf(walk)) ends.add(end)
      }
      const wanted = ['sold', 'no-bid', 'no-key', 'cancelled', 'forfeit', 'reserve hidden', 'tie', 'paid']
      assert.deepEqual(
        wanted.filter(end => !ends.has(end)),
        []
      )
    })

    it('walks of stakes, keys and images come to every end there is', () => {
      const ends = new Set<string>()
      const sequences = fc.sample(fc.array(ownerMoveArbitrary, { minLength: 40, maxLength: 80 }), {
        numRuns: 30,
        seed: 35
      })
      for (const sequence of sequences) {
        const walk = startWalk(SETTINGS['slice, hold-back, levy and deposits switched on'], REGISTRARS)
        for (const move of sequence) step(walk, move)
        finish(walk)
        for (const end of outcomesOf(walk)) ends.add(end)
      }
      const wanted = [
        ...['stake', 'unstake', 'set-policy', 'set-recovery', 'recover', 'cancel-recovery', 'open-account'],
        ...['image-propose', 'image-approve', 'image-retire']
      ].map(kind => `${kind} applied`)
      const refused = [
        ...['stake OBJECT_EXISTS', 'stake TRANSACTION_INVALID', 'unstake ACCOUNT_UNKNOWN', 'unstake FUNDS_MISSING'],
        ...['set-policy SIGNATURE_INVALID', 'set-policy TRANSACTION_INVALID', 'recover BODY_NOT_ALLOWED'],
        ...['image-propose BODY_NOT_ALLOWED', 'image-approve NOT_ON_LEDGER', 'image-retire IMAGE_RETIRED'],
        ...['staked by two', 'two of three keys', 'keys recovered', 'image approved', 'image retired']
      ]
      assert.deepEqual(
        [...wanted, ...refused].filter(end => !ends.has(end)),
        []
      )
    })

    it('walks of sessions come to every end there is', () => {
      const ends = new Set<string>()
      const sequences = fc.sample(fc.array(sessionMoveArbitrary, { minLength: 40, maxLength: 80 }), {
        numRuns: 100,
        seed: 33
      })
      for (const sequence of sequences) {
        const walk = startWalk(SETTINGS['checking switched off'])
        for (const move of sequence) step(walk, move)
        finish(walk)
        for (const end of endsOf(walk)) ends.add(end)
      }
      const wanted = ['not-rerun', 'stopped', 'provider-lost'].flatMap(reason => [
        `${reason}`,
        `${reason}, after tranches`
      ])
      assert.deepEqual(
        [...wanted, 'ended by the client', 'ended by the ledger', 'went on elsewhere'].filter(end => !ends.has(end)),
        []
      )
    })
  })
}

function* endsOf({ seen, market }: Walk): Generator<string> {
  const closed = new Set<string>()
  for (const { ordered } of market.chain.results) {
    for (const { transaction, outcome } of ordered) {
      const { body } = transaction.transaction
      if (outcome.status === 'applied' && body.kind === 'close') closed.add(toHex(body.task))
    }
  }
  for (const view of seen.values()) {
    if (view.offer.session === null) continue
    const last = view.attempts.at(-1)
    yield `${view.reason}${last?.session?.tranche ? ', after tranches' : ''}`
    if (view.sessionEndedAt !== null) yield `ended by the ${closed.has(toHex(view.task)) ? 'client' : 'ledger'}`
    if (view.attempts.length > 1) yield 'went on elsewhere'
  }
}

function* outcomesOf({ market: { chain, owner, providers } }: Walk): Generator<string> {
  for (const { ordered, refused } of chain.results) {
    for (const { transaction, outcome } of [...ordered, ...refused]) {
      const { kind } = transaction.transaction.body
      yield `${kind} ${'code' in outcome ? outcome.code : outcome.status}`
    }
  }
  const rotated = new Set<string>()
  for (const { ordered } of chain.results) {
    for (const { transaction, outcome } of ordered) {
      const { account, body } = transaction.transaction
      if (outcome.status === 'applied' && body.kind === 'set-policy')
        rotated.add(`${toHex(account)} ${textOf(body.policy)}`)
    }
  }
  const staked = [...scan(chain.state, 'witness')].map(([, row]) => toHex(row.account))
  if (new Set(staked).size > 1) yield 'staked by two'
  for (const one of [owner, ...providers.map(provider => provider.owner)]) {
    const { policy } = chain.account(one)
    if (policy.threshold === 2 && policy.keys.length === 3) yield 'two of three keys'
    const first = toHex(accountId(policy)) === toHex(one.account)
    if (!first && !rotated.has(`${toHex(one.account)} ${textOf(policy)}`)) yield 'keys recovered'
  }
  for (const { state } of registeredImages(chain.state)) yield `image ${state}`
}

const textOf = (policy: Policy): string => toHex(accountId(policy))

function* salesOf({ sales, seen }: Walk): Generator<string> {
  for (const view of sales.values()) {
    yield String(view.ended)
    if (view.award === null) continue
    const prices = view.bids.flatMap(({ revealed }) => (revealed === null ? [] : [revealed.pricePerSecond]))
    if (prices.length < view.bids.length) yield 'forfeit'
    if (view.reserve === null) yield 'reserve hidden'
    if (prices.filter(price => price === view.award?.pricePerSecond).length > 1) yield 'tie'
    if ((seen.get(toHex(view.auction))?.paid ?? 0n) > 0n) yield 'paid'
  }
}
