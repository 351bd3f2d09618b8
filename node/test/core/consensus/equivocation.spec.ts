import assert from 'node:assert/strict'
import { EQUIVOCATION, type Effect, type OpenedBlock } from '@pekka/node/consensus'
import { Net, type Node } from './net.js'

type Misbehaviour = Extract<Effect, { type: 'misbehaviour' }>

const accusations = ({ effects }: Node): Misbehaviour[] =>
  effects.filter((effect): effect is Misbehaviour => effect.type === 'misbehaviour')

/**
 * ```
 * D5   ── to everyone
 * D5'  ── to A alone, which names it in a block of its own (or passes it on): B, C and D come to hold both
 * ```
 */
describe('equivocation', () => {
  it('is told by everyone who comes to hold both blocks: once for each round, with both', () => {
    const net = new Net({ size: 4 })
    const [first = assert.fail(), ...others] = net.nodes
    const liar = net.nodes.at(-1) ?? assert.fail()
    const honest = net.nodes.filter(node => node !== liar)
    const twins: [OpenedBlock, OpenedBlock][] = []
    for (const height of [5, 9]) {
      const author = net.first.members.findIndex(({ key }) => String(key) === String(liar.key))
      const mine = (): OpenedBlock | undefined =>
        first.blocks.findLast(({ block }) => block.author === author && block.round >= height)
      net.until(() => mine() !== undefined)
      const block = mine() ?? assert.fail()
      for (const later of [1, 2]) {
        const twin = net.open({ ...block.block, timestamp: block.block.timestamp + later })
        if (later === 1) twins.push([block, twin])
        net.feed(first, { type: 'blocks', from: liar.name, blocks: [twin], answer: false })
      }
      net.until(() => honest.every(node => accusations(node).length >= twins.length))
    }
    const round = Math.max(...twins.map(([{ block }]) => block.round)) + 10
    net.until(() => others.every(({ consensus }) => consensus.round > round))
    for (const node of honest) {
      const told = accusations(node)
      assert.deepEqual(
        told.map(({ rule, key }) => [rule, String(key)]),
        twins.map(() => [EQUIVOCATION, String(liar.key)])
      )
      for (const [i, { blocks }] of told.entries()) {
        const rounds = blocks.map(({ block }) => block.round)
        assert.deepEqual(
          rounds,
          twins[i]?.map(({ block }) => block.round)
        )
        assert.equal(new Set(blocks.map(({ key }) => key)).size, 2)
      }
      assert.equal(node.up, true)
    }
  })
})
