import assert from 'node:assert/strict'
import fc from 'fast-check'
import { sha256, toHex, u32 } from '@pekka/node/protocol'
import {
  byPlace,
  Consensus,
  Dag,
  firstBeacon,
  RevealChain,
  STANDARD_PACE,
  STANDARD_PARAMETERS,
  Upgrades,
  type Effect,
  type OpenedBlock,
  type PayloadTransaction
} from '@pekka/node/consensus'
import { RecursiveRule, type Ordered } from './recursive.js'
import { committeeOf, Drawing, NETWORK, transactionOf } from './support.js'

/** So low that blocks are often too late to be committed. */
const GC_DEPTH = 3
const STARTED = 500
const MOST_ROUNDS = 16
const CHAINS = Array.from({ length: 7 }, (_, author) => new RevealChain(sha256(u32(100 + author)), MOST_ROUNDS))

/** A number from 0 up to and with `most`. */
type Choose = (most: number) => number

/**
 * Draws rounds in which some witnesses fall silent or aren't heard for a while, each names a quorum of what there is and now and then an older
 * block weakly, one writes twice now and then, and blocks carry transactions that name others.
 * @returns all blocks, parents first
 */
function draw(drawing: Drawing, rounds: number, choose: Choose): OpenedBlock[] {
  const { committee } = drawing.dag
  const names = committee.members.map((_, author) => String.fromCharCode(65 + author))
  const authorOf = (name: string): number => name.charCodeAt(0) - 65
  const isQuorum = (blocks: readonly string[]): boolean => committee.isQuorum(blocks.map(authorOf))
  // The first whom the others can do without.
  const liar = names.find(name => committee.weight(authorOf(name)) <= committee.faulty)
  const blocks: OpenedBlock[] = []
  const pool: PayloadTransaction[] = []
  const rows: string[][] = [[]]
  let unheard = ''
  for (let round = 1; round <= rounds; round++) {
    const before = rows.at(-1) ?? []
    const older = rows.slice(Math.max(1, round - GC_DEPTH), -1).flat()
    const row: string[] = []
    if (choose(5) === 0) unheard = names[choose(2 * names.length)] ?? ''
    for (const author of names) {
      const own = before.filter(name => name.startsWith(author))
      if (round > 1 && own.length === 0) continue
      const to = names.filter(name => name > author && (round === 1 || before.some(block => block.startsWith(name))))
      if (choose(20) === 0 && isQuorum([...row, ...to])) continue
      for (const version of author === liar && choose(3) === 0 ? ['', 'b'] : ['']) {
        const parents = round === 1 ? [] : [own[choose(own.length - 1)] ?? '', ...chooseOthers(before, author, choose)]
        for (const name of parents.slice(1)) {
          const rest = parents.filter(other => other !== name)
          if ((name.startsWith(unheard || '–') || choose(4) === 0) && isQuorum(rest))
            parents.splice(parents.indexOf(name), 1)
        }
        const weak = older.filter(() => choose(7) === 0).sort((a, b) => byPlace(drawing.get(a), drawing.get(b)))
        const times = [...parents, ...weak].map(name => drawing.get(name).block.timestamp)
        const timestamp = Math.max(STARTED, ...times) + choose(2) * choose(20)
        const reveal = CHAINS[authorOf(author)]?.at(round) ?? assert.fail()
        const carried = carry(pool, choose)
        const name = `${author}${round}${version}`
        // It may have drawn the same twice.
        if (drawing.dag.get(drawing.make(name, parents, { timestamp, reveal }, weak, carried).key) !== undefined)
          continue
        blocks.push(drawing.add(name, parents, { timestamp, reveal }, weak, carried))
        row.push(name)
      }
    }
    rows.push(row)
  }
  return blocks

  function chooseOthers(before: readonly string[], author: string, choose: Choose): string[] {
    return names.flatMap(name => {
      const theirs = name === author ? [] : before.filter(block => block.startsWith(name))
      return theirs.length === 0 ? [] : [theirs[choose(theirs.length - 1)] ?? '']
    })
  }
}

/** A few of the last transactions that there are, and new ones that name some of them. */
function carry(pool: PayloadTransaction[], choose: Choose): PayloadTransaction[] {
  const recent = (): PayloadTransaction | undefined => pool.at(-1 - choose(9))
  const carried = Array.from({ length: choose(3) }, () => {
    if (choose(1) === 0) return recent() ?? []
    const made = transactionOf(pool.length, recent() ?? null, pool.length)
    const parents = Array.from({ length: choose(2) }, () => recent()?.id ?? NETWORK)
    pool.push({ ...made, transaction: { ...made.transaction, parents: [NETWORK, ...parents] } })
    return pool.at(-1 - choose(1)) ?? []
  })
  return [...new Set(carried.flat())]
}

/** What production makes of blocks that come one by one, in any order: its commits, as they come. */
function played(stakes: readonly bigint[], leaders: number, blocks: readonly OpenedBlock[]): Ordered[] {
  const members = committeeOf(stakes).members.map((member, author) => ({ ...member, tip: tipOf(author) }))
  const history = { firstIndex: 0, history: NETWORK, timestamp: STARTED, beacon: firstBeacon(NETWORK) }
  const start = { epoch: 0, members, nextMembers: null, ...history }
  const parameters = { ...STANDARD_PARAMETERS, gcDepth: GC_DEPTH, leadersPerRound: leaders }
  const observer = new Consensus(
    { revealChain: () => assert.fail('an observer writes nothing') },
    {
      network: NETWORK,
      key: null,
      upgrades: new Upgrades([{ from: 0, value: parameters }]),
      pace: STANDARD_PACE,
      resume: { start, commits: [], blocks: [], lastProposed: null, lost: false }
    }
  )
  const effects = blocks.flatMap((block, i): Effect[] =>
    observer.handle({ type: 'blocks', from: 'a', blocks: [block], answer: false }, { elapsed: i, wall: Infinity })
  )
  assert.deepEqual(
    effects.filter(({ type }) => type === 'halt'),
    []
  )
  return effects.flatMap(effect => {
    if (effect.type !== 'commit') return []
    const { core, transactions, includers } = effect.commit
    const authorOf = (key: Uint8Array): number => members.findIndex(member => toHex(member.key) === toHex(key))
    return [
      {
        blocks: core.blocks.map(toHex),
        transactions: transactions.map(({ id }) => toHex(id)),
        includers: includers.map(authorOf),
        timestamp: core.timestamp
      }
    ]
  })
}

const tipOf = (author: number): Uint8Array => CHAINS[author]?.tip ?? assert.fail()

/** Those of which the whole history is among them. */
function closed(drawing: Drawing, blocks: readonly OpenedBlock[]): Pick<Drawing, 'dag' | 'schedule'> {
  const dag = new Dag(drawing.dag.committee, drawing.dag.genesis)
  for (const block of blocks) {
    if ([...block.parents, ...block.weak].every(link => dag.holds(link))) dag.add(block)
  }
  return { dag, schedule: drawing.schedule }
}

function shuffled<T>(list: readonly T[], choose: Choose): T[] {
  const left = [...list]
  // Mostly nearly in order, so that commits are made on the way.
  return list.flatMap(() => left.splice(choose(Math.min(left.length - 1, 7)), 1))
}

/** What every set of random DAGs must come to. */
const WANTED = [
  'too late',
  'named weakly',
  'both versions',
  'carried twice',
  'brought forward',
  'time held',
  'blocks missing'
]

/** What a DAG and its commits hold of what the order has rules for. */
function* traits(drawing: Drawing, blocks: readonly OpenedBlock[], commits: readonly Ordered[]): Generator<string> {
  const { dag } = drawing
  const committed = new Set(commits.flatMap(commit => commit.blocks))
  const last = commits.at(-1)?.blocks.at(-1)
  const history = last === undefined ? [] : [...new RecursiveRule(drawing).history(last)]
  if (history.some(key => !committed.has(key))) yield 'too late'
  if (blocks.some(({ key, weak }) => committed.has(key) && weak.length > 0)) yield 'named weakly'
  for (const block of blocks) {
    const versions = dag.at(block.block.round, block.block.author)
    if (versions.length > 1 && versions.every(({ key }) => committed.has(key))) yield 'both versions'
  }
  for (const [i, { blocks: keys, transactions, timestamp }] of commits.entries()) {
    const carried = keys.flatMap(key => dag.get(key)?.transactions.map(({ id }) => toHex(id)) ?? [])
    if (carried.length > transactions.length) yield 'carried twice'
    if ([...new Set(carried)].join() !== transactions.join()) yield 'brought forward'
    if (timestamp === commits[i - 1]?.timestamp) yield 'time held'
  }
}

describe('decisions and order against the recursive executor', function () {
  this.timeout(60_000)

  for (const [stakes, leaders] of [
    [[1n, 1n, 1n, 1n], 1],
    [[1n, 1n, 1n, 1n], 2],
    [[1n, 1n, 1n, 1n, 1n, 1n, 1n], 1],
    [[3n, 2n, 1n, 1n], 1],
    [[3n, 2n, 1n, 1n], 2]
  ] as const) {
    const what = `stakes ${stakes.join(', ')} and ${leaders} leaders a round`
    it(`decides and orders every random DAG with ${what} as the recursive executor does, whatever comes late or never`, () => {
      const met = new Set<string>()
      let decided = 0
      fc.assert(
        fc.property(fc.infiniteStream(fc.nat()), fc.integer({ min: 4, max: MOST_ROUNDS }), (stream, rounds) => {
          const choose: Choose = most => (stream.next().value ?? 0) % (most + 1)
          const drawing = new Drawing(stakes, undefined, leaders)
          const blocks = draw(drawing, rounds, choose)
          const paper = new RecursiveRule(drawing)
          const sequence = paper.sequence()
          const actual = drawing.rule
            .decide({ round: 1, offset: 0 })
            .map(decision => (decision.status === 'commit' ? decision.leader.key : null))
          assert.deepEqual(actual, sequence)
          const expected = paper.commits(sequence.filter(isLeader), GC_DEPTH, STARTED)
          assert.deepEqual(played(stakes, leaders, shuffled(blocks, choose)), expected)

          const some = blocks.filter(({ block }) => block.round < 3 || choose(15) !== 0)
          const part = new RecursiveRule(closed(drawing, some))
          const fewer = part.commits(part.sequence().filter(isLeader), GC_DEPTH, STARTED)
          assert.deepEqual(played(stakes, leaders, shuffled(some, choose)), fewer)
          assert.deepEqual(fewer, expected.slice(0, fewer.length))

          decided += actual.length
          if (fewer.length < expected.length) met.add('blocks missing')
          for (const trait of traits(drawing, blocks, expected)) met.add(trait)
        }),
        { numRuns: 80, seed: 5 }
      )
      assert.ok(decided > 100, 'the DAGs decide something')
      assert.deepEqual(
        WANTED.filter(trait => !met.has(trait)),
        []
      )
    })
  }
})

const isLeader = (key: string | null): key is string => key !== null
