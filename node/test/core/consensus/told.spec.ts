import assert from 'node:assert/strict'
import { MAX_BATCH_BYTES, toHex } from '@pekka/node/protocol'
import {
  openedBlock,
  rankOf,
  Spread,
  SPREAD_AFTER_MS,
  SPREAD_AGAIN_MS,
  SPREAD_BATCHES,
  SPREAD_GATHER_MS,
  SPREAD_PAUSE_MS,
  Standby,
  STANDBY_AGAIN_MS,
  STANDBY_MS,
  STANDBY_TURN_MS,
  type Effect,
  type PayloadTransaction
} from '@pekka/node/consensus'
import { Net, type Node } from './net.js'
import { committeeOf, Drawing, transactionOf } from './support.js'

const at = (elapsed: number) => ({ elapsed, wall: elapsed })
const sized = (seed: number, bytes: number, expiry = Infinity): PayloadTransaction => {
  const { transaction, ...rest } = transactionOf(seed)
  return { ...rest, bytes: new Uint8Array(bytes).fill(seed), transaction: { ...transaction, expiry } }
}
const ids = (transactions: readonly PayloadTransaction[]): string[] => transactions.map(({ id }) => toHex(id))

describe('what own clients sent is told to others', () => {
  it('only where it isn’t ordered in time', () => {
    const spread = new Spread()
    const [ordered, late] = [sized(1, 100), sized(2, 100)]
    spread.add(ordered, 0)
    spread.add(late, 10)
    spread.remove([ordered])
    assert.equal(spread.wake(true), SPREAD_AFTER_MS + 10)
    assert.deepEqual(spread.take(at(SPREAD_AFTER_MS + 9), true), [])
    assert.deepEqual(spread.take(at(SPREAD_AFTER_MS + 10), true), [[late]])
    spread.remove([late])
    assert.equal(spread.wake(true), null)
  })

  it('at once where this witness writes no blocks, but for what a moment gathers', () => {
    const spread = new Spread()
    const both = [sized(1, 100), sized(2, 100)]
    both.forEach((one, i) => spread.add(one, i))
    assert.deepEqual(spread.take(at(1), false), [])
    assert.deepEqual(spread.take(at(SPREAD_GATHER_MS + 1), false), [both])
  })

  it('in batches with a bound, so many at once, and a large one by itself', () => {
    const spread = new Spread()
    const many = Array.from({ length: 40 }, (_, i) => sized(i, MAX_BATCH_BYTES / 4))
    const large = sized(99, 3 * MAX_BATCH_BYTES)
    for (const one of [large, ...many]) spread.add(one, 0)
    const first = spread.take(at(SPREAD_AFTER_MS), true)
    assert.deepEqual(
      first.map(({ length }) => length),
      [1, 4, 4, 4]
    )
    assert.equal(first.length, SPREAD_BATCHES)
    assert.deepEqual(spread.take(at(SPREAD_AFTER_MS + SPREAD_PAUSE_MS - 1), true), [])
    const next = spread.take(at(SPREAD_AFTER_MS + SPREAD_PAUSE_MS), true).flat()
    assert.deepEqual(ids(next), ids(many.slice(12, 28)))
  })

  it('again after a while, but not once it has expired', () => {
    const spread = new Spread()
    const [lasting, short] = [sized(1, 100), sized(2, 100, SPREAD_AFTER_MS + 1)]
    for (const one of [lasting, short]) spread.add(one, 0)
    assert.equal(spread.take(at(SPREAD_AFTER_MS), true).flat().length, 2)
    assert.deepEqual(spread.take(at(SPREAD_AFTER_MS + SPREAD_AGAIN_MS), true), [[lasting]])
    assert.equal(spread.size, 1)
  })
})

describe('what others tell of stands by', () => {
  const first = { rank: () => 0, uncommitted: () => [] }
  const second = { rank: () => 1, uncommitted: () => [] }
  const carrying = (...transactions: PayloadTransaction[]) => {
    const { block, parents: _, ...rest } = new Drawing().make('A1')
    return openedBlock({ block, signature: new Uint8Array(64), ...rest }, transactions)
  }

  it('and gives each lane an order of witnesses that everybody computes alike', () => {
    const { members } = committeeOf([1n, 1n, 1n, 1n])
    const places = (lane: string) => members.map(({ key }) => rankOf(lane, key, members))
    assert.deepEqual([...places('a/')].sort(), [0, 1, 2, 3])
    assert.deepEqual(
      places('a/'),
      members.map(({ key }) => rankOf('a/', key, [...members].reverse()))
    )
    const lanes = Array.from({ length: 200 }, (_, i) => `${i}/`)
    for (const { key } of members) {
      const times = lanes.filter(lane => rankOf(lane, key, members) === 0).length
      assert.ok(times > 20 && times < 80, `${times} of 200`)
    }
  })

  it('until its turn, and then until it is put up, with longer and longer pauses', () => {
    const standby = new Standby()
    const one = transactionOf(1)
    standby.add(one, 0, 100, second)
    assert.equal(standby.wake, 100 + STANDBY_TURN_MS)
    assert.deepEqual(standby.look(99 + STANDBY_TURN_MS).due, [])
    const turn = 100 + STANDBY_TURN_MS
    assert.deepEqual(standby.look(turn).due, [one])
    assert.deepEqual(standby.look(turn + STANDBY_AGAIN_MS - 1).due, [])
    assert.deepEqual(standby.look(turn + STANDBY_AGAIN_MS).due, [one])
    assert.deepEqual(standby.look(turn + 3 * STANDBY_AGAIN_MS - 1).due, [])
    assert.deepEqual(standby.look(turn + 3 * STANDBY_AGAIN_MS).due, [one])
    standby.remove(ids([one]))
    assert.equal(standby.wake, null)
  })

  it('while a block carries it that came before or after, and has its turn again once that is dropped', () => {
    const standby = new Standby()
    const [before, after] = [transactionOf(1), transactionOf(2)]
    const blocks = [carrying(before)]
    standby.add(before, 0, 0, { rank: () => 0, uncommitted: () => blocks })
    standby.add(after, 0, 0, first)
    const later = carrying(after)
    standby.carry(later)
    assert.deepEqual(standby.look(STANDBY_TURN_MS).due, [])
    standby.release(later)
    standby.release(blocks[0] ?? assert.fail())
    assert.deepEqual(ids(standby.look(STANDBY_TURN_MS).due).sort(), ids([before, after]).sort())
  })

  it('and goes after a while, whoever has no turn', () => {
    const standby = new Standby()
    const one = transactionOf(1)
    standby.add(one, 0, 0, { rank: () => null, uncommitted: () => [] })
    assert.deepEqual(standby.look(STANDBY_MS - 1), { due: [], gone: [] })
    assert.deepEqual(standby.look(STANDBY_MS).gone, [one])
    assert.equal(standby.size, 0)
  })

  it('with a bound for a lane', () => {
    const standby = new Standby()
    const added = Array.from({ length: 70 }, (_, i) => standby.add(transactionOf(7 * (i + 1), null, i), 0, 0, first))
    // Of an eighth of its bucket's room, as a client's would.
    assert.equal(added.filter(Boolean).length, 64)
    assert.equal(standby.size, 64)
  })
})

describe('transactions between witnesses', () => {
  const effects = (node: Node, type: Effect['type']): Effect[] => node.effects.filter(effect => effect.type === type)
  const finalAt = (node: Node): string[] => node.commits.flatMap(({ transactions }) => ids(transactions))

  it('are told of by nobody while blocks bring them', () => {
    const net = new Net({ size: 4 })
    net.until(() => net.nodes.every(({ commits }) => commits.length > 3))
    const sent = net.nodes.map((node, i) => {
      const transaction = sized(100 + i, 100)
      net.submit(node, transaction)
      return transaction
    })
    net.until(() => net.nodes.every(node => finalAt(node).length === 4))
    const end = net.now + 3 * SPREAD_AFTER_MS
    net.until(() => net.now > end)
    for (const node of net.nodes) {
      assert.deepEqual(finalAt(node).sort(), ids(sent).sort())
      assert.deepEqual(effects(node, 'tell'), [])
    }
  })

  it('aren’t told again by who has put them up for others, however long that takes', () => {
    const net = new Net({ size: 4 })
    const [alone, ...others] = net.nodes
    assert.ok(alone)
    for (const other of others) other.up = false
    const [heard, own] = [sized(1, 100), sized(2, 100)]
    net.until(() => alone.effects.some(({ type }) => type === 'broadcast'))
    net.feed(alone, { type: 'told', transactions: [{ transaction: heard }] })
    net.until(() => effects(alone, 'stand-in').length > 0)
    net.submit(alone, own)
    net.until(() => effects(alone, 'tell').length > 1)
    for (const effect of effects(alone, 'tell')) {
      assert.deepEqual(effect.type === 'tell' && ids(effect.transactions), ids([own]))
    }
  })

  /**
   *   n0 ──✗ its blocks reach nobody, it hears everyone
   *    └─► tells n1, n2, n3 of what isn't final: one of them puts it into a block
   */
  it('become final through others, in one block, where a witness’s blocks reach nobody', () => {
    const net = new Net({ size: 4 })
    const [mute, ...others] = net.nodes
    assert.ok(mute)
    for (const other of others) {
      const { consensus } = other
      other.consensus = Object.assign(Object.create(consensus) as typeof consensus, {
        handle: (...[event, now]: Parameters<typeof consensus.handle>) => {
          const heard = event.type === 'blocks' ? event.blocks.filter(({ block }) => block.author !== 0) : []
          if (event.type === 'blocks' && heard.length === 0 && !event.answer) return []
          return consensus.handle(event.type === 'blocks' ? { ...event, blocks: heard } : event, now)
        }
      })
    }
    const author = net.first.members.findIndex(({ key }) => toHex(key) === toHex(mute.key))
    assert.equal(author, 0)
    net.until(() => others.every(({ commits }) => commits.length > 3))
    const transaction = sized(5, 100)
    net.submit(mute, transaction)
    net.until(() => others.every(node => finalAt(node).length > 0))
    const end = net.now + 5 * STANDBY_TURN_MS
    net.until(() => net.now > end)
    const carriers = new Set(
      others.flatMap(({ blocks }) => blocks.filter(({ transactions }) => transactions.length > 0).map(({ key }) => key))
    )
    assert.equal(carriers.size, 1, 'one block carries it')
    for (const node of others) assert.deepEqual(finalAt(node), ids([transaction]))
    assert.equal(effects(mute, 'tell').length, 1)
  })
})
