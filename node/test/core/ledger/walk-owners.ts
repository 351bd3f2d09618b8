import assert from 'node:assert/strict'
import fc from 'fast-check'
import { toHex, type Body, type ImageContent, type Policy } from '@pekka/node/protocol'
import { scan } from '@pekka/node/ledger'
import { bytes, IMAGE, policyOf, type Actor } from './support.js'
import type { Move, Walk } from './walk.js'

/** Moves of those who hold an account's own keys, in the random walks: stakes, keys and guardians, accounts for others, images. */

/** The first kind of move that is an owner's. */
export const OWNER_MOVES = 34

/** Mostly those, and now and then anything else; waits are long enough for stakes to arrive and for recoveries. */
export const ownerMoveArbitrary: fc.Arbitrary<Move> = fc.record({
  who: fc.nat(7),
  what: fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 34, max: 37 }) },
    { weight: 10, arbitrary: fc.integer({ min: 34, max: 45 }) },
    { weight: 3, arbitrary: fc.nat(33) }
  ),
  task: fc.nat(9),
  wait: fc.oneof({ weight: 12, arbitrary: fc.nat(2_000) }, { weight: 2, arbitrary: fc.constantFrom(34_000, 70_000) }),
  travel: fc.nat(9),
  value: fc.nat(100_000),
  sense: fc.nat(4)
})

/** Every other one about keys and guardians, by somebody who may. */
export const keyMoveArbitrary: fc.Arbitrary<Move> = ownerMoveArbitrary.map(move => ({
  ...move,
  what: move.what % 2 === 0 ? 37 + (move.value % 4) : move.what,
  sense: Math.max(1, move.sense)
}))

/** Any two of the client and the first two providers. */
export const REGISTRARS: Policy = { threshold: 2, keys: [bytes(1), bytes(10), bytes(11)] }

const CONTENTS: ImageContent[] = [201, 99].map(seed => ({ name: 'base', contentDigest: bytes(seed), locks: [] }))
const DELAY = 60_000

const at = <T>(list: readonly T[], n: number): T | undefined => list[n % Math.max(1, list.length)]

export const ownersOf = ({ market }: Walk): Actor[] => [market.owner, ...market.providers.map(({ owner }) => owner)]

/** Their keys may be others by now, and any k of n sign. */
export function useKeys(walk: Walk): void {
  for (const owner of ownersOf(walk)) {
    const { keys, threshold } = walk.market.chain.account(owner).policy
    owner.signers = keys.slice(-threshold)
  }
}

/** k of n, for n up to 3; now and then a key twice. */
function policyFrom(value: number): Policy {
  const keys = [
    bytes(100 + (value % 50)),
    bytes(151 + (value % 40)),
    bytes(value % 13 < 2 ? 100 + (value % 50) : 192 + (value % 40))
  ]
  const size = 1 + (value % 3)
  return { threshold: 1 + (Math.floor(value / 3) % size), keys: keys.slice(-size) }
}

export function ownerMove(walk: Walk, move: Move): { actor: Actor; body: Body } | null {
  const { chain } = walk.market
  const { value, sense } = move
  const owners = ownersOf(walk)
  const owner = at(owners, move.who)
  const other = at(owners, move.who + 1 + (value % 3))
  if (owner === undefined || other === undefined) return null
  const { keys, threshold } = chain.account(owner).policy
  // Not always the same k of the n, and where it makes no sense somebody else.
  const turn = value % keys.length
  const signers = sense === 0 ? [bytes(240)] : [...keys.slice(turn), ...keys.slice(0, turn)].slice(0, threshold)
  const body = bodyOf(walk, move, owner, other)
  return { actor: { ...owner, signers: value % 9 === 0 ? keys : signers }, body }
}

function bodyOf(walk: Walk, { what, value, task, sense }: Move, owner: Actor, other: Actor): Body {
  const { chain } = walk.market
  const owners = ownersOf(walk)
  const isOf = (one: Uint8Array, { account }: Actor): boolean => toHex(one) === toHex(account)
  const staked = [...scan(chain.state, 'witness')].map(([, row]) => row)
  const own = staked.filter(row => isOf(row.account, owner))
  const witness = bytes(90 + (task % 4))
  const images = [...scan(chain.state, 'image')]
    .map(([, row]) => row)
    .filter(row => row.retired === null || value % 4 === 0)
  const known = sense > 1 && what !== 41 ? at(images, task) : undefined
  const digest = known?.digest ?? (value % 11 === 0 ? IMAGE.digest : bytes(97 + (task % 3)))
  const content = known?.proposals[0]?.content ?? CONTENTS[value % 2] ?? assert.fail()
  switch (what) {
    case 34:
    case 35: {
      const chains = Array.from({ length: value % 4 }, (_, i) => ({ epoch: (value % 5) + i, tip: bytes(value % 200) }))
      const known = sense > 1 ? at(own, task) : undefined
      const amount = value % 7 === 0 ? 0n : BigInt(value) * 150n
      return { kind: 'stake', amount, witness: known?.witness ?? witness, witnessSignature: bytes(52, 64), chains }
    }
    case 36: {
      const known = sense === 0 ? undefined : at(own, task)
      const parts = [known?.stake ?? 1n, (known?.stake ?? 0n) / 2n, BigInt(value) * 150n]
      return { kind: 'unstake', amount: at(parts, value) ?? 0n, witness: known?.witness ?? witness }
    }
    case 37:
      return { kind: 'set-policy', policy: policyFrom(value) }
    case 38: {
      const recovery = value % 5 === 0 ? null : { guardians: other.account, delayMs: DELAY }
      return { kind: 'set-recovery', recovery }
    }
    case 39:
    case 40: {
      const guarded = owners.filter(one => {
        const { recovery, recovering } = chain.account(one)
        return recovery !== undefined && isOf(recovery.guardians, owner) && (recovering === undefined) === (what === 39)
      })
      const { account } = (sense > 0 ? at(guarded, task) : undefined) ?? other
      return what === 39
        ? { kind: 'recover', account, policy: policyFrom(value) }
        : { kind: 'cancel-recovery', account }
    }
    case 41:
      return { kind: 'image-propose', digest, content }
    case 42:
      return { kind: 'image-approve', digest, content }
    case 43:
      return { kind: 'image-retire', digest, reason: 'a wheel in it was withdrawn' }
    case 44: {
      const { openDeposit } = chain.genesis.parameters
      return { kind: 'open-account', policy: policyOf(210 + (value % 30)), deposit: sense === 0 ? 1n : openDeposit }
    }
    default:
      return { kind: 'transfer', to: other.account, amount: BigInt(value) }
  }
}

/** What of an account's credits is locked for accounts that it opened. */
export function depositsOf({ market: { chain } }: Walk, { account }: Actor): bigint {
  const opened = [...scan(chain.state, 'account')].flatMap(([, row]) => row.opened ?? [])
  return opened.filter(({ by }) => toHex(by) === toHex(account)).reduce((sum, { deposit }) => sum + deposit, 0n)
}

/** What everybody has staked is what went in less what was taken back; and all of it comes back to whoever staked it. */
export function takeBack(walk: Walk): void {
  const { chain } = walk.market
  const { unbondMs } = chain.genesis.parameters
  const moved = new Map<string, bigint>()
  for (const { ordered } of chain.results) {
    for (const { transaction, outcome } of ordered) {
      const { account, body } = transaction.transaction
      if (outcome.status !== 'applied' || (body.kind !== 'stake' && body.kind !== 'unstake')) continue
      const change = body.kind === 'stake' ? body.amount : -body.amount
      moved.set(toHex(account), (moved.get(toHex(account)) ?? 0n) + change)
    }
  }
  // The same few timers: one look at the end finds what is broken.
  chain.checking = false
  chain.pass(unbondMs + 1_000)
  useKeys(walk)
  const expected = ownersOf(walk).map(owner => {
    const rows = [...scan(chain.state, 'witness')].flatMap(([, row]) =>
      toHex(row.account) === toHex(owner.account) ? row : []
    )
    const stake = rows.reduce((sum, row) => sum + row.stake, 0n)
    assert.equal(stake, moved.get(toHex(owner.account)) ?? 0n, 'what is staked is what went in and not out')
    const before = chain.balance(owner)
    for (const { witness, stake: amount } of rows) chain.done(owner, { kind: 'unstake', amount, witness })
    assert.equal(chain.balance(owner), before)
    return before + stake
  })
  assert.deepEqual([...chain.state.keys('witness')], [])
  chain.pass(unbondMs)
  chain.checking = true
  chain.commit(1_000)
  assert.deepEqual(
    ownersOf(walk).map(owner => chain.balance(owner)),
    expected,
    'and all of it arrives'
  )
}
