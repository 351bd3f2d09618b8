import assert from 'node:assert/strict'
import { Relay } from '@pekka/node/consensus'
import { Net } from './net.js'

describe('relay', () => {
  const peers = ['b', 'c', 'd']

  /**
   *   A ──► us ──► c, d        A's block came over b: everyone but b may lack it
   */
  it('passes a block on to everyone but its sender', () => {
    const relay = new Relay()
    assert.deepEqual(relay.onward('A', 'b', peers, 0), ['c', 'd'])
    assert.deepEqual(relay.onward('A', null, peers, 0), peers)
  })

  it('asks a peer to save an author’s blocks after four late copies in a row, and once', () => {
    const relay = new Relay()
    const answers = [1, 2, 3].map(() => relay.again('A', 'b', 0))
    relay.first('A', 'b')
    answers.push(...[1, 2, 3, 4, 5, 6, 7, 8].map(() => relay.again('A', 'b', 0)))
    assert.deepEqual(
      answers.map((asks, i) => (asks ? i : -1)).filter(i => i >= 0),
      [6]
    )
  })

  it('spares a peer the author it named, no other, and tries again after ten seconds', () => {
    const relay = new Relay()
    relay.spare('A', 'c', 0)
    assert.deepEqual(relay.onward('A', 'b', peers, 9_999), ['d'])
    assert.deepEqual(relay.onward('B', 'b', peers, 0), ['c', 'd'])
    assert.deepEqual(relay.onward('A', 'b', peers, 10_000), ['c', 'd'])
  })

  it('forgets ways of authors and peers that are gone', () => {
    const relay = new Relay()
    relay.spare('A', 'c', 0)
    relay.spare('B', 'c', 0)
    relay.keep(['B'], peers)
    assert.deepEqual(relay.onward('A', 'b', peers, 0), ['c', 'd'])
    assert.deepEqual(relay.onward('B', 'b', peers, 0), ['d'])
  })

  /**
   *   n0 ══╳══ n1         a link that never delivers what n1 sends
   *     \     /
   *      n2 n3            pass n1's blocks on
   */
  it('brings blocks around a link that is cut, without anyone having to ask for them', () => {
    const net = new Net({ size: 4 })
    const [first, second] = net.nodes
    assert.ok(first && second)
    const { consensus } = first
    first.consensus = Object.assign(Object.create(consensus) as typeof consensus, {
      handle: (...[event, now]: Parameters<typeof consensus.handle>) =>
        event.type === 'blocks' && event.from === second.name ? [] : consensus.handle(event, now)
    })
    net.until(() => first.commits.length >= 8)
    assert.equal(first.effects.filter(({ type }) => type === 'fetch').length, 0)
    assert.ok(first.commits.some(({ blocks }) => blocks.some(({ block }) => block.author === 1)))
  })

  it('falls silent where direct ways are the fastest: after some rounds nearly every block is sent once a link', () => {
    const net = new Net({ size: 4 })
    const relayed = (): number =>
      net.nodes
        .flatMap(({ effects }) => effects.map(effect => (effect.type === 'relay' ? effect.to.length : 0)))
        .reduce((a, b) => a + b, 0)
    net.until(() => net.now > 5_000)
    const [before, blocks] = [relayed(), net.nodes[0]?.blocks.length ?? 0]
    net.until(() => net.now > 9_000)
    const more = (net.nodes[0]?.blocks.length ?? 0) - blocks
    assert.ok(before > 0 && more > 8)
    assert.ok(relayed() - before < more, `${relayed() - before} copies of ${more} blocks`)
  })
})
