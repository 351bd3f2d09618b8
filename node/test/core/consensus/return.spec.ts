import assert from 'node:assert/strict'
import type { Effect } from '@pekka/node/consensus'
import { Net, type Node } from './net.js'

/** Beyond what a witness takes in ahead of its own round. */
const LATE = 100

describe('consensus: a witness without its database', () => {
  it('goes on from a last proposal that nobody else has, however many rounds there were', () => {
    const net = new Net({ size: 4 })
    const lost = net.nodes[3] ?? assert.fail()
    const proposed = (): Extract<Effect, { type: 'propose' }> | undefined =>
      lost.effects.findLast(effect => effect.type === 'propose')
    // Written apart, and killed before a byte of it has left.
    for (const round of [LATE / 2, LATE]) net.until(() => (proposed()?.block.round ?? 0) >= round)
    lost.up = false
    const last = net.open(proposed()?.block ?? assert.fail())
    net.until(() => (net.nodes[0]?.consensus.round ?? 0) > LATE + 20)

    net.nodes.splice(3, 1)
    const start = lost.epochs[0] ?? net.first
    const back: Node = net.join('n3', lost.key, { start, commits: [], blocks: [], lastProposed: last, lost: false })
    net.until(() => back.consensus.writes && back.consensus.round > LATE + 20)
    const own = back.blocks.filter(({ block }) => block.author === 3 && block.round === last.block.round)
    assert.deepEqual(
      own.map(({ key }) => key),
      [last.key]
    )
  })
})
