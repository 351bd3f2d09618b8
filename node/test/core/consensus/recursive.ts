import type { OpenedBlock, PayloadTransaction, Slot } from '@pekka/node/consensus'
import { toHex } from '@pekka/node/protocol'
import type { Drawing } from './support.js'

/** What one commit brings into the order. */
export interface Ordered {
  /** Keys of blocks; the leader's is the last. */
  readonly blocks: readonly string[]
  /** Ids, hex. */
  readonly transactions: readonly string[]
  /** For each of them the author in whose block it came first. */
  readonly includers: readonly number[]
  readonly timestamp: number
}

/**
 * Decision and order once more, slow and plainly recursive, as they stand on paper (docs/ledger.md): no memory, no sharing with the
 * production rules but the DAG, and that one never drops anything. What it says is compared with what production says.
 */
export class RecursiveRule {
  constructor(private readonly drawing: Pick<Drawing, 'dag' | 'schedule'>) {}

  /** The longest run of decided slots from round 1 on: block keys, or null for a skip. */
  sequence(): (string | null)[] {
    const out: (string | null)[] = []
    for (let round = 1; ; round++) {
      for (const slot of this.drawing.schedule.slots(round)) {
        const decision = this.decide(slot)
        if (decision === undefined) return out
        out.push(decision)
      }
    }
  }

  /** Key of the committed block, null: skipped, undefined: undecided. */
  decide(slot: Slot): string | null | undefined {
    const { dag } = this.drawing
    if (slot.round > dag.highestRound - 2) return undefined
    const quorum = (authors: number[]): boolean => dag.committee.stakeOf(authors) >= dag.committee.quorum
    const next = dag.inRound(slot.round + 1)
    if (quorum(next.filter(b => b.parents.every(p => p.author !== slot.author)).map(b => b.block.author))) return null
    const leaders = dag.at(slot.round, slot.author)
    for (const leader of leaders) {
      const certifiers = dag.inRound(slot.round + 2).filter(block => this.certifies(block, leader))
      if (quorum(certifiers.map(b => b.block.author))) return leader.key
    }
    for (let round = slot.round + 3; round <= dag.highestRound; round++) {
      for (const later of this.drawing.schedule.slots(round)) {
        const anchor = this.decide(later)
        if (anchor === undefined) return undefined
        if (anchor === null) continue
        const history = this.history(anchor)
        const found = leaders.find(leader =>
          dag.inRound(slot.round + 2).some(block => history.has(block.key) && this.certifies(block, leader))
        )
        return found?.key ?? null
      }
    }
    return undefined
  }

  certifies(block: OpenedBlock, leader: OpenedBlock): boolean {
    const { dag } = this.drawing
    const voters = block.parents
      .map(({ key }) => dag.get(key))
      .filter(parent => parent?.parents.some(({ key }) => key === leader.key))
    return dag.committee.stakeOf(voters.map(parent => parent?.block.author ?? 0)) >= dag.committee.quorum
  }

  history(key: string, found = new Set<string>()): Set<string> {
    const block = this.drawing.dag.get(key)
    if (block === undefined || found.has(key)) return found
    found.add(key)
    for (const link of [...block.parents, ...block.weak]) this.history(link.key, found)
    return found
  }

  /**
   * The commits of these leaders: each brings its history without what the commits before it brought, and without rounds at or below the
   * garbage line, which lies `depth` rounds below the latest leader before it.
   * @param started time of the epoch's first references
   */
  commits(leaders: readonly string[], depth: number, started: number): Ordered[] {
    const key = leaders.at(-1)
    if (key === undefined) return []
    const earlier = leaders.slice(0, -1)
    const before = this.commits(earlier, depth, started)
    const line = Math.max(0, ...earlier.map(leader => this.#block(leader).block.round - depth))
    const committed = before.flatMap(commit => commit.blocks)
    const blocks = [...this.history(key)]
      .filter(block => !committed.includes(block))
      .map(block => this.#block(block))
      .filter(({ block }) => block.round > line)
      .sort((a, b) => a.block.round - b.block.round || a.block.author - b.block.author || (a.key < b.key ? -1 : 1))
    const transactions = inOrder(blocks.flatMap(block => block.transactions))
    const first = (id: string): OpenedBlock | undefined =>
      blocks.find(block => block.transactions.some(one => toHex(one.id) === id))
    return [
      ...before,
      {
        blocks: blocks.map(block => block.key),
        transactions,
        includers: transactions.map(id => first(id)?.block.author ?? -1),
        timestamp: Math.max(started, before.at(-1)?.timestamp ?? 0, this.#median(this.#block(key), started))
      }
    ]
  }

  /** Of the parents' times, each as often as its author has stake. */
  #median({ parents }: OpenedBlock, started: number): number {
    const { dag } = this.drawing
    const times = parents.flatMap(({ key, author }) =>
      Array.from({ length: dag.committee.weight(author) }, () => dag.get(key)?.block.timestamp ?? started)
    )
    return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? started
  }

  #block(key: string): OpenedBlock {
    const block = this.drawing.dag.get(key)
    if (block === undefined) throw new TypeError(`no block ${key}`)
    return block
  }
}

/** Each once, and after those that it names, the lowest id first, as far as they are among these. */
function inOrder(carried: readonly PayloadTransaction[]): string[] {
  const out: string[] = []
  const put = (id: string): void => {
    const found = carried.find(one => toHex(one.id) === id)
    if (found === undefined || out.includes(id)) return
    const { previous, parents } = found.transaction
    const named = [...parents, ...(previous === null ? [] : [previous])].map(toHex)
    for (const one of named.sort()) put(one)
    out.push(id)
  }
  for (const { id } of carried) put(toHex(id))
  return out
}
