import assert from 'node:assert/strict'
import fc from 'fast-check'
import {
  chargeOf,
  CLIENT_BODIES,
  CREDIT,
  decodeCanonical,
  toHex,
  type AuctionView,
  type Body,
  type CommitClaim,
  type Parameters,
  type Policy,
  type SessionReport,
  type TaskView
} from '@pekka/node/protocol'
import {
  brokenInvariants,
  decodeRow,
  encodeRow,
  executeCommit,
  genesisState,
  MemoryState,
  scan,
  TABLE_NAMES,
  type VerifiedTransaction
} from '@pekka/node/ledger'
import type { MadeAuction } from './auction-support.js'
import { auctionMove } from './walk-auctions.js'
import { depositsOf, OWNER_MOVES, ownerMove, useKeys } from './walk-owners.js'
import {
  askOf,
  bytes,
  claimOf,
  delegateOf,
  dump,
  grantOf,
  offerOf,
  openMarket,
  type Actor,
  type Market
} from './support.js'

/** Random walks over the ledger: parties that do anything at any time, in any order, again, late, wrong, or not at all. */

/** One move: who, what, on which task, and how long before it. Numbers are taken modulo what there is. */
export interface Move {
  who: number
  what: number
  task: number
  wait: number
  /** How the transaction travels: at once, held back for later, sent twice, or two in one commit. */
  travel: number
  value: number
  /** 0: whoever, whatever; else the party and attempt that fit the task, so that walks get far. */
  sense: number
}

export const moveArbitrary: fc.Arbitrary<Move> = fc.record({
  who: fc.nat(7),
  what: fc.nat(33),
  task: fc.nat(9),
  wait: fc.oneof(
    { weight: 20, arbitrary: fc.nat(1500) },
    { weight: 4, arbitrary: fc.nat(6000) },
    { weight: 1, arbitrary: fc.constantFrom(34_000, 70_000) }
  ),
  travel: fc.nat(9),
  value: fc.nat(100_000),
  sense: fc.nat(4)
})

/** Moves that mostly keep a session going: reports, tranches, and now and then anything else. */
export const sessionMoveArbitrary: fc.Arbitrary<Move> = fc.record({
  who: fc.nat(7),
  what: fc.oneof(
    { weight: 12, arbitrary: fc.constant(11) },
    { weight: 5, arbitrary: fc.constant(18) },
    { weight: 3, arbitrary: fc.constantFrom(0, 4) },
    { weight: 2, arbitrary: fc.nat(33) }
  ),
  task: fc.nat(9),
  wait: fc.oneof({ weight: 12, arbitrary: fc.nat(2000) }, { weight: 1, arbitrary: fc.constant(34_000) }),
  travel: fc.nat(9),
  value: fc.nat(100_000),
  sense: fc.oneof({ weight: 12, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(0) })
})

/** Moves that mostly bid, reveal and award. */
export const auctionMoveArbitrary: fc.Arbitrary<Move> = fc.record({
  who: fc.nat(7),
  what: fc.oneof(
    { weight: 10, arbitrary: fc.integer({ min: 28, max: 33 }) },
    { weight: 4, arbitrary: fc.constantFrom(4, 4, 4, 14, 14, 9) },
    { weight: 1, arbitrary: fc.nat(33) }
  ),
  task: fc.nat(9),
  wait: fc.oneof({ weight: 12, arbitrary: fc.nat(1_200) }, { weight: 1, arbitrary: fc.constant(34_000) }),
  travel: fc.nat(9),
  value: fc.nat(100_000),
  sense: fc.oneof({ weight: 12, arbitrary: fc.constant(1) }, { weight: 1, arbitrary: fc.constant(0) })
})

export interface Walk {
  market: Market
  clients: Actor[]
  tasks: Uint8Array[]
  auctions: MadeAuction[]
  held: VerifiedTransaction[]
  sent: VerifiedTransaction[]
  /** The last view of each task. */
  seen: Map<string, TaskView>
  /** The last view of each auction. */
  sales: Map<string, AuctionView>
}

/** @param images registrars, if there are any */
export function startWalk(parameters: Parameters, images?: Policy): Walk {
  const market = openMarket(3, parameters, false, images)
  const { chain, owner } = market
  // A second delegate of the same account, with little to spend.
  const second = delegateOf(owner.account, bytes(3))
  chain.done(owner, grantOf(bytes(3), [...CLIENT_BODIES], { cap: 3n * CREDIT, perTask: 2n * CREDIT }))
  chain.checking = true
  const clients = [market.client, second]
  return { market, clients, tasks: [], auctions: [], held: [], sent: [], seen: new Map(), sales: new Map() }
}

const pick = <T>(list: readonly T[], n: number): T => {
  const found = list[n % list.length]
  assert.ok(found !== undefined)
  return found
}

/** Where a session's chains stand, or a little further, or (mostly when it makes no sense) wherever. */
function chainOf(view: TaskView, { value, sense }: Move): { count: number; head: Uint8Array } {
  const count = sense === 0 ? value % 5 : (view.attempts.at(-1)?.count ?? 0) + (value % 3)
  return { count, head: bytes(count) }
}

function reportOf(view: TaskView, { value, sense }: Move): SessionReport {
  const known = view.attempts.at(-1)?.session
  const came = sense === 0 ? value % 4 : (known?.in.count ?? 0) + (value % 5 === 0 ? 1 : 0)
  const ended = sense === 0 ? value % 3 : Math.max(known?.cells ?? 0, came + (value % 3 === 0 ? 0 : 1))
  return { in: { count: came, head: came === 0 ? null : bytes(came) }, cells: Math.min(ended, came + 1) }
}

/** What the known time allows, some of it, or more. */
function sessionClaimOf(view: TaskView, move: Move, outcome: CommitClaim['outcome']): CommitClaim {
  const attempt = view.attempts.at(-1)
  const known = attempt?.session
  const covered = (known?.aliveT ?? 0) - (attempt?.acceptedT ?? 0)
  const part = move.value % 4
  const heldMs = part % 3 === 0 ? Math.floor(covered / 3) : (known?.idleMs ?? 0)
  const wallMs = part === 3 ? covered + 1 - heldMs : covered - heldMs - (part === 1 ? move.value % 100 : 0)
  const usage = { wallMs: Math.max(0, wallMs), cpuMs: 0 }
  return claimOf({ ...chainOf(view, move), usage, outcome, session: { heldMs, ...reportOf(view, move) } })
}

/** Makes the move's transaction, right or wrong; null: this one only waits. */
function bodyOf(walk: Walk, move: Move): { actor: Actor; body: Body } | null {
  const { market, clients, tasks } = walk
  const open = tasks.filter(id => market.chain.state.get('task', toHex(id)) !== undefined)
  const started = open.filter(id => market.chain.views.get(toHex(id))?.attempts.length)
  const forRunning = move.what >= 11 && move.what <= 21
  const among = move.sense === 0 ? tasks.slice(-10) : forRunning && started.length > 0 ? started : open
  const task = among.length === 0 ? bytes(1) : pick(among, move.task)
  const view = market.chain.views.get(toHex(task))
  const current = view?.attempts.at(-1)
  const sensible = move.sense > 0 && view !== undefined
  const client =
    (sensible && clients.find(({ key }) => key && toHex(key) === toHex(view.lane))) || pick(clients, move.who)
  const named = view?.offer.candidates.map(({ provider }) => toHex(provider)) ?? []
  const fitting = market.providers.filter(({ provider }) => named.includes(toHex(provider)))
  const provider = sensible ? pick(fitting, move.who) : pick(market.providers, move.who)
  const running =
    sensible && current && market.providers.find(({ provider }) => toHex(provider) === toHex(current.provider))
  const runner = running || provider
  const attempt = sensible ? view.attempts.length || 1 : 1 + (move.value % 3)
  // With nothing open most moves would find nothing to do.
  const idle = move.sense > 0 && open.length === 0 && move.what < 22
  const early = move.sense > 0 && forRunning && started.length === 0
  const session = view !== undefined && view.offer.session !== null && (sensible || move.value % 2 === 0)
  switch (idle ? 0 : early ? 4 : move.what) {
    case 0:
    case 1:
    case 2:
    case 3: {
      const count = 1 + (move.value % 3)
      const client = pick(clients, move.who)
      const candidates = [...market.providers, ...market.providers].slice(move.who % 3, (move.who % 3) + count)
      const cap = BigInt(1 + (move.value % 2_500_000))
      const finishBy = move.value % 7 === 0 ? market.chain.contractTime + move.value : null
      const limits = { wallMs: 1000 + (move.value % 50_000), cpuMs: 1000, outputBytes: 1 }
      // Every other offer keeps its machine.
      const session = move.value % 2 === 0 ? null : { idleMs: 1000 + (move.value % 9000), lifeMs: 20_000 + move.value }
      const offered = offerOf(client.account, candidates, { cap, finishBy, limits, session })
      tasks.push(offered.task)
      return { actor: client, body: { kind: 'offer', tasks: [offered] } }
    }
    case 4:
    case 5:
    case 6:
    case 7:
      return { actor: provider.agent, body: { kind: 'accept', task } }
    case 8:
      return { actor: provider.agent, body: { kind: 'decline', task } }
    case 9:
    case 10:
      return { actor: client, body: { kind: 'cancel', task } }
    case 11:
    case 12:
      return {
        actor: runner.agent,
        body: session
          ? { kind: 'alive', task, attempt, ...chainOf(view, move), session: reportOf(view, move) }
          : { kind: 'alive', task, attempt, count: move.value, head: bytes(move.value), session: null }
      }
    case 13:
      return { actor: runner.agent, body: { kind: 'fail', task, attempt, reason: 'internal' } }
    case 14:
    case 15:
    case 16:
    case 17: {
      const outcome = pick(
        ['ok', 'user', 'limit', view?.state === 'stopping' ? 'stopped' : 'ok', 'stopped'] as const,
        move.value
      )
      const claim = session
        ? sessionClaimOf(view, move, outcome)
        : claimOf({ usage: { wallMs: move.value % 4000, cpuMs: 0 }, outcome })
      return { actor: runner.agent, body: { kind: 'commit', task, attempt, claim } }
    }
    case 18:
    case 19:
    case 20: {
      const claim = session ? sessionClaimOf(view, move, 'ok') : claimOf()
      // A session that is over wants its commit.
      if (sensible && view.state === 'stopping') {
        return { actor: runner.agent, body: { kind: 'commit', task, attempt, claim } }
      }
      return { actor: runner.agent, body: { kind: 'tranche', task, attempt, claim } }
    }
    case 21:
      return { actor: client, body: { kind: 'close', task } }
    case 22:
      return {
        actor: provider.owner,
        body: { kind: pick(['bond', 'unbond'] as const, move.value), amount: BigInt(move.value) * 1000n }
      }
    case 23:
      return {
        actor: provider.agent,
        body: {
          kind: 'ask',
          ask: askOf(provider.provider, move.value, { expiry: market.chain.timestamp + 1 + move.value })
        }
      }
    case 24:
      return { actor: market.owner, body: { kind: 'transfer', to: provider.provider, amount: BigInt(move.value) } }
    case 25:
      return { actor: market.owner, body: { kind: 'faucet', amount: BigInt(move.value) * 10n } }
    case 26: {
      const key = client.key ?? bytes(2)
      const grant = grantOf(key, [...CLIENT_BODIES], { cap: BigInt(move.value) * 100n, perTask: CREDIT })
      return { actor: market.owner, body: move.value % 5 === 0 ? { kind: 'revoke', key } : grant }
    }
    case 27:
      return null
    default:
      return move.what < OWNER_MOVES ? auctionMove(walk, move) : ownerMove(walk, move)
  }
}

export function step(walk: Walk, move: Move): void {
  const { market, held, sent } = walk
  const { chain } = market
  // A long wait with commits in between lapses leases; without them contract time hardly moves (R12).
  for (let passed = 0; move.sense > 0 && passed + 2000 < move.wait && move.wait > 6000; passed += 2000) {
    chain.timestamp += 2000
    commit(walk, [])
  }
  chain.timestamp += Math.min(move.wait, 6000)
  const made = bodyOf(walk, move)
  const now: VerifiedTransaction[] = []
  if (made !== null) {
    const wrong = move.travel === 9 ? { sequence: move.value % 4 } : {}
    const transaction = chain.make(made.actor, made.body, wrong)
    sent.push(transaction)
    if (move.travel === 0) held.push(transaction)
    else now.push(transaction)
    if (move.travel === 1) now.push(transaction)
  }
  if (move.travel === 2 && sent.length > 0) now.push(pick(sent, move.value))
  if (move.travel === 3) now.unshift(...held.splice(0).reverse())
  commit(walk, now)
}

function commit(walk: Walk, transactions: VerifiedTransaction[]): void {
  const { chain } = walk.market
  const known = chain.results.length
  chain.commit(0, transactions)
  useKeys(walk)
  for (const result of chain.results.slice(known)) {
    for (const view of result.tasks) checkView(walk, view)
    for (const view of result.auctions) checkSale(walk, view)
  }
}

/** What holds of every view of an auction: nothing that was bound changes, and nobody is awarded more than its reserve. */
function checkSale({ sales }: Walk, view: AuctionView): void {
  const before = sales.get(toHex(view.auction))
  sales.set(toHex(view.auction), view)
  if (before === undefined) return
  assert.notEqual(before.ended, view.ended ?? 'open', 'what has ended stays as it is')
  for (const bid of before.bids) {
    const now = view.bids.find(({ provider }) => toHex(provider) === toHex(bid.provider))
    assert.deepEqual(now?.commitment, bid.commitment, 'a bid is bound')
    if (bid.revealed !== null) assert.deepEqual(now?.revealed, bid.revealed)
  }
  if (before.award !== null) assert.deepEqual(view.award, before.award, 'an award is final')
}

/** What holds of every view that followers get, of closed tasks too. */
function checkView(walk: Walk, view: TaskView): void {
  const committed = view.attempts.filter(({ ended }) => ended === 'committed')
  assert.ok(committed.length <= 1, 'at most one attempt is paid')
  assert.ok(view.paid <= view.offer.cap, 'pay is at most the cap')
  const last = view.attempts.at(-1)
  const fixed = committed[0]?.claim ?? last?.session?.tranche?.claim
  if (view.paid > 0n) {
    assert.ok(fixed, 'no commit or tranche, no pay')
    const candidate = view.offer.candidates[last?.candidate ?? -1]
    assert.ok(candidate)
    const time = { wallMs: fixed.usage.wallMs, heldMs: fixed.session?.heldMs ?? 0 }
    assert.ok(view.paid <= chargeOf(candidate, time, view.offer.cap), 'pay is at most price times time')
  }
  const before = walk.seen.get(toHex(view.task))
  if (before !== undefined) {
    assert.ok(view.paid >= before.paid, 'what was paid is never taken back')
    const begun = before.paid > 0n || (before.attempts.at(-1)?.session?.in.count ?? 0) > 0
    if (begun)
      assert.equal(view.attempts.length, before.attempts.length, 'nobody goes on with a session that has begun')
  }
  walk.seen.set(toHex(view.task), view)
  if (view.state === 'settled' || view.state === 'closed') {
    assert.equal(
      view.lock,
      view.paid + view.refunded + view.levy + view.deposit,
      'lock = pay + refund + levy + deposit'
    )
    assert.notEqual(view.reason, null)
  }
}

/** All fall silent: time alone must end every task, and nothing stays locked. */
export function finish(walk: Walk): void {
  const { chain } = walk.market
  const bidding = () => [...scan(chain.state, 'auction')].filter(([, row]) => row.ended === null).length
  const open = () => [...chain.state.keys('task')].length + bidding()
  for (let i = 0; i < 400 && open() > 0; i++) {
    chain.timestamp += 2000
    // The same few timers run again and again: looking at each fifth commit finds what is broken, too.
    chain.checking = i % 5 === 0
    commit(walk, [])
  }
  chain.checking = true
  assert.equal(open(), 0, 'every walk ends CLOSED')
  for (const view of chain.views.values()) assert.equal(view.state, 'closed')
  assert.equal(chain.account(walk.market.owner).locked, depositsOf(walk, walk.market.owner))
  for (const { owner } of walk.market.providers) {
    assert.equal(chain.account(owner).bondReserved, 0n)
    assert.equal(chain.account(owner).locked, depositsOf(walk, owner))
  }
  assert.deepEqual([...chain.state.keys('load')], [])
}

/** The same commits on the same first state give the same bytes, also over a restart from stored bytes in between. */
export function replay(walk: Walk): void {
  const { chain } = walk.market
  let state = genesisState(chain.genesis)
  const final = new Set<string>()
  const restartAt = Math.floor(chain.results.length / 2)
  for (const [i, result] of chain.results.entries()) {
    if (i === restartAt) state = restored(state)
    const input = chain.inputs[i] ?? assert.fail()
    const again = executeCommit(state, {
      timestamp: result.header.timestamp,
      ...input,
      witness: result.header.witness,
      isFinal: vertex => final.has(toHex(vertex))
    })
    assert.deepEqual(again.message, result.message)
    state.write(again.writes)
    for (const { outcome } of again.ordered) final.add(toHex(outcome.id))
  }
  assert.deepEqual(dump(state), dump(chain.state))
  assert.deepEqual(brokenInvariants(state), [])
}

/** The state as it is after a restart: read back from its stored rows. */
function restored(state: MemoryState): MemoryState {
  const copy = new MemoryState()
  for (const table of TABLE_NAMES) {
    for (const [key, row] of scan(state, table)) copy.put(table, key, decodeRow(table, decodeCanonical(encodeRow(row))))
  }
  return copy
}
