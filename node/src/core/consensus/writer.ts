import type { CommitVote, WitnessBlock } from '../protocol/index.js'
import type { OpenedBlock } from './block.js'
import type { Epoch } from './epoch.js'
import type { Instant } from './events.js'
import type { Mempool } from './mempool.js'
import { Pacemaker } from './pacemaker.js'
import type { Pace } from './parameters.js'
import { buildBlock } from './proposal.js'
import type { RevealChain } from './randomness.js'
import type { ConsensusRules } from './rules.js'

export interface WriterInit {
  network: Uint8Array
  /** Own block key; null: an observer. */
  key: Uint8Array | null
  pace: Pace
  rules: ConsensusRules
  revealChain: (epoch: number) => RevealChain
  lastProposed: OpenedBlock | null
  lost: boolean
}

/** A witness as an author: its place in the epoch, its own chain of blocks, whether it may write the next one, and when. */
export class Writer {
  #epoch: Epoch
  #pacemaker: Pacemaker
  /** Own index in the committee; null: not in it. */
  #author: number | null = null
  #chain: RevealChain | null = null
  /** The latest own block of this epoch, accepted. */
  #own: OpenedBlock | null = null
  /** A block is being signed. */
  #signing = false
  #sentAt = 0
  /** When the own next block is due though nothing else happens. */
  #wake: number | null = null
  /** The epoch in which a quorum was heard first since the start; see {@link ConsensusRules.returnsIn}. */
  #heard: number | null = null
  #heardFrom = new Set<number>()

  constructor(
    private readonly init: WriterInit,
    epoch: Epoch
  ) {
    this.#epoch = epoch
    this.#pacemaker = new Pacemaker(init.pace, 0)
    this.enter(epoch, 0)
  }

  /** Finds the own place in an epoch that begins. */
  enter(epoch: Epoch, now: number): void {
    const { key, pace, revealChain } = this.init
    this.#epoch = epoch
    this.#author = key === null ? null : epoch.committee.indexOf(key)
    this.#chain = this.#author === null ? null : revealChain(epoch.epoch)
    this.#own = null
    this.#signing = false
    this.#wake = null
    this.#heardFrom = new Set()
    this.#pacemaker = new Pacemaker(pace, now)
  }

  get author(): number | null {
    return this.#author
  }

  /** Of the latest own block. */
  get round(): number {
    return this.#own?.block.round ?? 0
  }

  get own(): OpenedBlock | null {
    return this.#own
  }

  /** Whether it writes blocks now. */
  get writes(): boolean {
    return this.#author !== null && this.#mayWrite()
  }

  get wake(): number | null {
    return this.#wake
  }

  /** The highest round that may be dropped: own blocks stand on the round before them, however late they are built. */
  get keep(): number {
    return this.writes ? this.round - 1 : Infinity
  }

  /** Somebody's block came unasked: what a witness that lost everything waits for. */
  hear(author: number): void {
    if (this.#heard !== null) return
    this.#heardFrom.add(author)
    if (this.#epoch.committee.isQuorum(this.#heardFrom)) this.#heard = this.#epoch.epoch
  }

  /** A block is accepted. */
  accepted(block: OpenedBlock): void {
    const { author, round } = block.block
    if (author !== this.#author || round <= this.round) return
    this.#own = block
    this.#epoch.cite(block)
  }

  /** The block that was to be signed is. */
  signed(): void {
    this.#signing = false
  }

  sent(now: number): void {
    this.#sentAt = now
  }

  /** When the latest own block is to be sent again, since nobody has gone on from its round; null: it needn't. */
  resendAt(peers: number): number | null {
    const stuck = this.#own !== null && this.#epoch.dag.highestRound <= this.round && peers > 0
    return stuck ? this.#sentAt + this.init.pace.resendAfter : null
  }

  /** The next own block, unsigned, if it is time. */
  build(now: Instant, { mempool, votes }: { mempool: Mempool; votes: () => CommitVote[] }): WitnessBlock | null {
    const epoch = this.#epoch
    const author = this.#author
    const own = this.#own
    if (author === null || this.#signing || !this.#mayWrite()) return null
    const { network, rules } = this.init
    const { dag, schedule, rule } = epoch
    const round = rules.nextRound(this.round, dag)
    const busy = mempool.waiting > 0 || epoch.hasPayload
    const pace = this.#pacemaker.next(now.elapsed, { dag, schedule, rule, round, own, busy })
    this.#wake = pace.build ? null : pace.wake
    const reveal = pace.build ? this.#chain?.at(round) : null
    if (!reveal) return null
    const block = buildBlock({ network, epoch, rules, mempool, author, round, own, wall: now.wall, reveal, votes })
    if (block === null) return null
    this.#signing = true
    this.#pacemaker.built(now.elapsed)
    return block
  }

  /** Never a second block for a round: not before the last proposal is back, and not at all while it may be lost. */
  #mayWrite(): boolean {
    const { lastProposed, lost, rules } = this.init
    if (lost && this.#epoch.epoch < rules.returnsIn(this.#heard)) return false
    if (lastProposed === null || lastProposed.block.epoch < this.#epoch.epoch) return true
    return lastProposed.block.epoch === this.#epoch.epoch && this.round >= lastProposed.block.round
  }
}
