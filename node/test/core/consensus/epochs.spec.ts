import assert from 'node:assert/strict'
import { equalBytes, toHex } from '@pekka/node/protocol'
import { STANDARD_PARAMETERS, type ConsensusParameters } from '@pekka/node/consensus'
import { checkpointOf, Net, type Node } from './net.js'

/** Several witnesses with the production consensus, over epochs, elections, upgrades and joins. */

const small: ConsensusParameters = { ...STANDARD_PARAMETERS, seats: 4, epochCommits: 6, epochRounds: 300, gcDepth: 8 }

const height = ({ commits }: Node): number => commits.at(-1)?.core.index ?? -1
const at = (net: Net, i: number): Node => net.nodes[i] ?? assert.fail()

/** Every commit that two nodes have is the same. */
function agree(net: Net): void {
  const known = new Map<number, string>()
  for (const { commits, name } of net.nodes) {
    for (const { core, digest } of commits) {
      const first = known.get(core.index) ?? toHex(digest)
      known.set(core.index, first)
      assert.equal(toHex(digest), first, `commit ${core.index} of ${name}`)
    }
  }
}

describe('epochs', () => {
  /**
   *   epoch 0            epoch 1            epoch 2
   *   c0 … c5            c6 … c11           c12 …
   *        └ state after c5 elects epoch 2's committee ┘
   */
  it('seat the committee that the state after the last commit of the epoch two before has elected', () => {
    const asked: number[] = []
    const net = new Net({
      size: 4,
      spare: 1,
      parameters: small,
      elect: (epoch, all) => {
        asked.push(epoch)
        // The fifth takes the first one's seat from epoch 2 on.
        return epoch < 2 ? all.slice(0, 4) : all.slice(1, 5)
      }
    })
    net.until(() => net.nodes.every(node => height(node) >= 14))
    agree(net)
    const second = at(net, 0).epochs.find(({ epoch }) => epoch === 2) ?? assert.fail()
    assert.equal(second.firstIndex, 12)
    assert.ok(asked.includes(2))
    const [first, fifth] = [at(net, 0), at(net, 4)]
    assert.ok(!first.consensus.writes, 'who lost its seat only follows')
    assert.ok(fifth.consensus.writes, 'who won one writes')
    const written = (node: Node, epoch: number): boolean =>
      at(net, 1).blocks.some(({ block }) => {
        const member = epoch === block.epoch ? net.candidates(epoch).slice(epoch < 2 ? 0 : 1)[block.author] : undefined
        return member !== undefined && equalBytes(member.key, node.key)
      })
    assert.deepEqual([written(fifth, 1), written(fifth, 2), written(first, 1)], [false, true, true])
    assert.ok(!second.members.some(({ key }) => equalBytes(key, first.key)))
  })

  /**
   *   round     …  L4*  L5*  L6*          all three decided by one block
   *   epoch 0   … last   –    –           L4 is commit 5, the last; L5 and L6 are dropped with the epoch
   *   epoch 1          round 1 …          its first references hold the digest of commit 5
   */
  it('end with their last commit, whatever else is decided by then; the next begins at round 1 on its digest', () => {
    const net = new Net({ size: 4, parameters: small })
    net.until(() => net.nodes.every(node => height(node) >= 20))
    agree(net)
    for (const { commits, epochs } of net.nodes) {
      for (const { core, last } of commits) assert.equal(last, core.index % small.epochCommits === 5, `${core.index}`)
      for (const start of epochs) {
        const before = commits.find(({ core }) => core.index === start.firstIndex - 1) ?? assert.fail()
        assert.ok(before.last)
        assert.deepEqual(start.history, before.digest)
        const first = commits.find(({ core }) => core.index === start.firstIndex)
        assert.ok(first === undefined || first.core.leader.round <= 2, 'rounds begin anew')
      }
    }
  })

  it('begin under the rules in force at their first commit; every commit names its version', () => {
    const upgrades = [
      { from: 0, value: small },
      // In the middle of epoch 1 (commits 6 to 11): its commits are of version 1 from 8 on, its leaders change with epoch 2.
      { from: 8, value: { ...small, leadersPerRound: 2, gcDepth: 10, epochCommits: 9 } }
    ]
    const net = new Net({ size: 4, upgrades })
    net.until(() => net.nodes.every(node => height(node) >= 24))
    agree(net)
    const { commits, epochs } = at(net, 2)
    assert.deepEqual(
      commits.slice(6, 14).map(({ version }) => version),
      [0, 0, 1, 1, 1, 1, 1, 1]
    )
    assert.deepEqual(
      epochs.map(({ firstIndex }) => firstIndex),
      [6, 12, 21]
    )
    const leadersOf = (epoch: number): number[] => {
      const rounds = commits.filter(({ core }) => core.epoch === epoch).map(({ core }) => core.leader.round)
      return rounds.filter((round, i) => rounds.indexOf(round) !== i)
    }
    assert.deepEqual(leadersOf(1), [], 'one leader a round until the epoch is over')
    assert.ok(leadersOf(2).length > 0, 'two leaders a round from then on')
  })

  /**
   *   A, B, C   c0 … c5 │ c6 … c11 │ c12 …     D is away; three of four certify
   *   D                     … ci               commits of ci's epoch up to ci, which is certified; no blocks
   *                             ci+1 …         asks for rounds, commits what the others have, writes again
   */
  it('let a witness join from a certified checkpoint: it follows, comes to the same commits and writes', () => {
    const net = new Net({ size: 4, parameters: small })
    const gone = at(net, 3)
    gone.up = false
    net.until(() => height(at(net, 0)) >= 15)
    const certified = at(net, 0).effects.flatMap(effect => (effect.type === 'certified' ? [effect.vote.index] : []))
    const index = Math.max(...certified)
    assert.ok(index >= 8, 'a quorum of three certifies')
    const donor = at(net, 0)
    const first = { ...checkpointOf(donor, donor.epochs[0] ?? assert.fail(), index) }
    const nextMembers = net.candidates(first.start.epoch + 1)
    net.nodes.splice(3, 1)
    const joined = net.join('n3', gone.key, { ...first, start: { ...first.start, nextMembers } })
    const target = height(donor) + 12
    net.until(() => height(joined) >= target && height(donor) >= target)
    agree(net)
    assert.equal(joined.commits[0]?.core.index, index + 1, 'nothing before the checkpoint is executed again')
    assert.ok(joined.consensus.writes)
  })

  /**
   *   round    r    r+1   r+2   r+3   …
   *   leader   A    B     C     D       the commit of round r is drawn with D's: two distinct leaders (f+1) of rounds from r+2 on
   */
  it('draw each commit by a later one, after two distinct leaders of four, and say so when there is one witness', () => {
    const net = new Net({ size: 4, parameters: { ...small, epochCommits: 40 } })
    net.until(() => height(at(net, 0)) >= 20)
    const { commits } = at(net, 0)
    const drawnBy = new Map(commits.flatMap(({ core, draws }) => draws.map(index => [index, core.index] as const)))
    for (let index = 0; index < 10; index++) {
      const by = drawnBy.get(index) ?? assert.fail(`commit ${index} isn't drawn`)
      const round = commits[index]?.core.leader.round ?? assert.fail()
      const leaders = commits
        .slice(index + 1, by + 1)
        .filter(({ core }) => core.leader.round >= round + 2)
        .map(({ core }) => core.leader.author)
      assert.equal(new Set(leaders).size, 2, 'f+1 distinct leaders, the last with this commit')
    }
    assert.ok(commits.every(({ drawKind }) => drawKind === 'committee'))
    const alone = new Net({ size: 1, parameters: small })
    alone.until(() => height(at(alone, 0)) >= 8)
    assert.ok(at(alone, 0).commits.every(({ drawKind }) => drawKind === 'single witness'))
  })
})
