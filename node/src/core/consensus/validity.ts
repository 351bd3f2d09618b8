import { compareBytes, equalBytes } from '../protocol/index.js'
import type { Link, OpenedBlock } from './block.js'
import type { Dag } from './dag.js'
import type { RevealBook } from './randomness.js'

/** Where a block must belong. */
export interface Context {
  readonly network: Uint8Array
  readonly epoch: number
  readonly dag: Dag
  readonly gcDepth: number
}

/** Whether links stand in the order of (round, author, id), each once. */
const ascending = (links: readonly Link[]): boolean =>
  links.every((link, i) => {
    const before = links[i - 1]
    if (before === undefined || before.round !== link.round) return before === undefined || before.round < link.round
    return before.author < link.author || (before.author === link.author && before.key < link.key)
  })

/**
 * What can be said of a block before its parents are here. Signature, encoding and transactions were checked on opening (V6).
 *
 * - V1 every parent is of the round before;
 * - V2 parents have distinct authors: own first, then ascending;
 * - V3 their stake is a quorum;
 * - V4 the author's own block of the round before is the first parent;
 * - V5 weak references are older than the round before but not so old that they couldn't be committed any more, in order, each
 *   once (their number is bounded by the format);
 * - V6 it is of this network and epoch, and its author is in the committee.
 */
export function brokenRule(
  { block, parents, weak }: OpenedBlock,
  { network, epoch, dag, gcDepth }: Context
): string | null {
  const { committee } = dag
  if (!equalBytes(block.network, network) || block.epoch !== epoch) return 'V6 network and epoch'
  const authors = [block.author, ...parents.map(({ author }) => author), ...weak.map(({ author }) => author)]
  if (authors.some(author => author >= committee.size)) return 'V6 committee'
  if (parents.some(({ round }) => round !== block.round - 1)) return 'V1 parents of the round before'
  if (!parents.slice(1).every(({ author }, i) => i === 0 || author > (parents[i]?.author ?? -1))) return 'V2 order'
  if (new Set(parents.map(({ author }) => author)).size !== parents.length) return 'V2 distinct authors'
  if (!committee.isQuorum(parents.map(({ author }) => author))) return 'V3 quorum of parents'
  if (parents[0]?.author !== block.author) return 'V4 own parent first'
  if (weak.some(({ round }) => round < oldestWeak(block.round, gcDepth) || round > block.round - 2) || !ascending(weak))
    return 'V5 weak references'
  if (!block.votes.every(({ index }, i) => index > (block.votes[i - 1]?.index ?? -1))) return 'V6 commit votes'
  return brokenGenesis(parents, dag)
}

/** The lowest round that a block of `round` may refer to weakly. */
export const oldestWeak = (round: number, gcDepth: number): number => Math.max(1, round - gcDepth)

const brokenGenesis = (parents: readonly Link[], dag: Dag): string | null =>
  parents.some(link => link.round === 0 && !dag.holds(link)) ? 'V1 first blocks of the epoch' : null

/**
 * What can be said once everything it refers to is here (V8): references tell the truth, its time
 * isn't before a parent's (V7), and it opens the author's hash chain for its round (R26).
 */
export function brokenByParents(
  { block, parents, weak }: OpenedBlock,
  { dag, reveals, started }: { dag: Dag; reveals: RevealBook; started: number }
): string | null {
  let earliest = started
  for (const link of [...parents, ...weak]) {
    const held = dag.find(link)
    if (held === undefined) continue
    if (held.author !== link.author || held.round !== link.round) return 'V8 reference'
    earliest = Math.max(earliest, held.timestamp)
  }
  if (block.timestamp < earliest) return 'V7 timestamp'
  return reveals.accepts(block.author, block.round, block.reveal) ? null : 'R26 reveal'
}

/** By round, author and id: the order within one commit. */
export const byPlace = (a: OpenedBlock, b: OpenedBlock): number =>
  a.block.round - b.block.round || a.block.author - b.block.author || compareBytes(a.id, b.id)
