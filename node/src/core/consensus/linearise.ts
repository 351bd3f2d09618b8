import { toHex } from '../protocol/index.js'
import type { BlockKey, OpenedBlock, PayloadTransaction } from './block.js'
import type { Dag } from './dag.js'
import { byPlace } from './validity.js'

/** What the commits before leave to commit. Derived from the sequence of commits alone, so it is the same everywhere. */
export interface Horizon {
  /** Blocks committed before, above the garbage line. */
  readonly committed: ReadonlySet<BlockKey>
  /** The garbage line after the commit before: blocks of this round and below are out. */
  readonly gcRound: number
}

/** The leader's history that isn't committed yet, above the garbage line, by (round, author, id). */
export const linearise = (dag: Dag, leader: OpenedBlock, { committed, gcRound }: Horizon): OpenedBlock[] =>
  dag.history(leader, gcRound + 1, ({ key }) => committed.has(key)).sort(byPlace)

/** The garbage line after a leader of `round` was committed. It never goes back. */
export const gcRoundAfter = (round: number, depth: number, before: number): number => Math.max(before, round - depth)

/**
 * Transactions of a commit in order: block by block, each once, and before each the transactions that it names (its lane's
 * previous, its parents) as far as they are in the same commit. So a lane whose transactions went into blocks of different
 * witnesses comes in sequence.
 */
export function orderTransactions(blocks: readonly OpenedBlock[]): PayloadTransaction[] {
  const here = new Map<string, PayloadTransaction>()
  for (const { transactions } of blocks) for (const t of transactions) here.set(toHex(t.id), here.get(toHex(t.id)) ?? t)
  const ordered: PayloadTransaction[] = []
  const entered = new Set<string>()
  for (const root of here.keys()) {
    // A stack instead of recursion: a lane may be a thousand long. Ids are hashes of what they name, so there is no circle.
    const stack = [{ id: root, ready: false }]
    for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
      const transaction = here.get(top.id)
      if (transaction === undefined) continue
      if (top.ready) ordered.push(transaction)
      else if (!entered.has(top.id)) {
        entered.add(top.id)
        stack.push({ id: top.id, ready: true })
        for (const id of namedBy(transaction).reverse()) if (here.has(id)) stack.push({ id, ready: false })
      }
    }
  }
  return ordered
}

/** What a transaction names, ascending by id. */
function namedBy({ transaction: { previous, parents } }: PayloadTransaction): string[] {
  const ids = parents.map(toHex)
  if (previous !== null) ids.push(toHex(previous))
  return ids.sort()
}

/**
 * A commit's time: the stake-weighted median of the times of the leader's parents, never before the commit before. Less than a
 * third of the stake can't push it beyond what honest clocks say.
 * @param started time of the epoch's first references
 */
export function commitTimestamp(
  dag: Dag,
  leader: OpenedBlock,
  { before, started }: { before: number; started: number }
): number {
  const times = leader.parents
    .map(({ key, author }) => ({ at: dag.get(key)?.block.timestamp ?? started, weight: dag.committee.weight(author) }))
    .sort((a, b) => a.at - b.at)
  const half = times.reduce((sum, { weight }) => sum + weight, 0) / 2
  let passed = 0
  const median = times.find(({ weight }) => (passed += weight) > half)
  return Math.max(before, median?.at ?? started)
}
