import type { OpenedBlock, Slot } from '@pekka/node/consensus'
import type { Drawing } from './support.js'

/**
 * The decision rule once more, slow and plainly recursive, as it stands on paper (docs/ledger.md): no memory, no sharing with the
 * production rule but the DAG. What it says is compared with what production says.
 */
export class RecursiveRule {
  constructor(private readonly drawing: Drawing) {}

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
}
