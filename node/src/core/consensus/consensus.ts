import { commitVoteDigest, isPekkaError, toHex, type CommitVote } from '../protocol/index.js'
import type { OpenedBlock } from './block.js'
import { CatchUp } from './catch-up.js'
import type { Member } from './committee.js'
import type { Decision } from './commit-rule.js'
import { CATCH_UP_ROUNDS, EQUIVOCATION, MAX_NEXT_EPOCH_BLOCKS, MAX_ROUNDS_AHEAD, RELAYED_ROUNDS } from './constants.js'
import { Epoch } from './epoch.js'
import type { CommitRecord, ConsensusEvent, Effect, EpochStart, Instant, PeerId } from './events.js'
import { History } from './history.js'
import type { ConsensusParameters, Pace, Upgrades } from './parameters.js'
import { Pending } from './pending.js'
import type { RevealChain } from './randomness.js'
import { Relay } from './relay.js'
import { STANDARD_RULES, type ConsensusRules } from './rules.js'
import { CommitVotes } from './votes.js'
import type { Received } from './sync.js'
import { Writer } from './writer.js'

export interface ConsensusComponents {
  /** The own hash chain of an epoch; its tip was registered before that epoch. */
  revealChain: (epoch: number) => RevealChain
  /** Replaced only where the simulator looks for mistakes. */
  rules?: ConsensusRules
}

export interface ConsensusInit {
  network: Uint8Array
  /** Own block key; null: an observer, which follows and never writes. */
  key: Uint8Array | null
  upgrades: Upgrades<ConsensusParameters>
  pace: Pace
  resume: Resume
}

/** What a witness goes on from: genesis, its own disk, or a certified checkpoint. */
export interface Resume {
  start: EpochStart
  /** Commits of that epoch, ascending: at least those that hold blocks above the last one's garbage line, and the last. */
  commits: readonly CommitRecord[]
  /** Stored blocks of that epoch, in the order in which they were stored; KNOWN_ROUNDS below the garbage line are enough. */
  blocks: readonly OpenedBlock[]
  /** From the file that is kept apart; null: never proposed, or lost. */
  lastProposed: OpenedBlock | null
  /** The last proposal may be lost: be silent until no former block can matter. */
  lost: boolean
}

/**
 * A witness, pure: events in, effects out, the same for the same events. It has no clock, no network, no disk and no
 * randomness of its own. README.md shows how a host drives it.
 */
export class Consensus {
  readonly #rules: ConsensusRules
  readonly #pending: Pending
  readonly #catchUp: CatchUp
  readonly #relay = new Relay()
  readonly #history: History
  #epoch: Epoch
  readonly #writer: Writer
  #votes: CommitVotes
  #peers: readonly PeerId[] = []
  /** Committees of epochs to come, as far as they are elected. */
  readonly #elected = new Map<number, readonly Member[]>()
  /** The epoch has ended, and the next one's committee isn't known yet. */
  #ended = false
  /** Blocks of the next epoch that came early. */
  #early: { from: PeerId; block: OpenedBlock }[] = []
  /** Digests of the history up to commits under execution, by index. */
  readonly #executing = new Map<number, Uint8Array>()
  #wakeAt: number | null = null
  #halted = false
  #effects: Effect[] = []

  constructor(
    private readonly components: ConsensusComponents,
    private readonly init: ConsensusInit
  ) {
    this.#rules = components.rules ?? STANDARD_RULES
    const { start, commits, blocks } = init.resume
    this.#pending = new Pending(init.key)
    this.#catchUp = new CatchUp(2 * init.pace.requestAfter)
    if (start.nextMembers !== null) this.#elected.set(start.epoch + 1, start.nextMembers)
    this.#history = new History(start, commits.at(-1))
    this.#epoch = this.#newEpoch(start)
    this.#votes = new CommitVotes(this.#epoch.committee, this.#history.index - 1)
    const { network, key, pace } = init
    const { lastProposed, lost } = init.resume
    const { revealChain } = components
    this.#writer = new Writer({ network, key, pace, rules: this.#rules, revealChain, lastProposed, lost }, this.#epoch)
    for (const record of commits) this.#epoch.restore(record)
    const last = commits.at(-1)
    this.#ended = last !== undefined && this.#epoch.endsWith(last.index, last.leaderRound)
    const written = blocks.filter(({ block }) => block.author === this.#writer.author).map(({ block }) => block.round)
    this.#epoch.prune(this.#writer.author === null ? Infinity : Math.max(0, ...written) - 1)
    for (const block of blocks) this.#accepted(this.#epoch.sync.receive(block, null, FROM_DISK), false)
    this.#effects = []
  }

  // --- for status and tests

  get epoch(): number {
    return this.#epoch.epoch
  }

  /** Of the latest own block. */
  get round(): number {
    return this.#writer.round
  }

  /** Index of the last commit, −1 before the first. */
  get lastCommit(): number {
    return this.#history.index - 1
  }

  /** Whether it writes blocks now; one that doesn't tells others of its transactions at once. */
  get writes(): boolean {
    return this.#writer.writes
  }

  /** What is held in memory: each has a bound. */
  get sizes(): { blocks: number; known: number; waiting: number; transactions: number; told: number } {
    const { dag, sync } = this.#epoch
    return {
      blocks: dag.size,
      known: dag.knownSize,
      waiting: sync.size + this.#early.length,
      ...this.#pending.sizes
    }
  }

  // --- events

  /** One event, at one moment. The effects are to be carried out in order. After `halt` nothing happens any more. */
  handle(event: ConsensusEvent, now: Instant): Effect[] {
    if (this.#halted) return []
    this.#effects = []
    try {
      this.#take(event, now)
      if (this.#writer.round + 1 === this.init.resume.lastProposed?.block.round) this.#recallProposal()
      this.#advance(now)
      this.#effects.push(...this.#pending.look(now, this.writes))
      this.#ask(now)
    } catch (error) {
      if (!isPekkaError(error) || error.code !== 'CONSENSUS_CONFLICT') throw error
      this.#halt(String(error.data['issue']))
    }
    return this.#effects
  }

  #take(event: ConsensusEvent, now: Instant): void {
    switch (event.type) {
      case 'start':
        this.#peers = event.peers
        this.#recallProposal()
        // Whoever was up before should hear of us, and we of them.
        if (this.#writer.own !== null) this.#broadcast(this.#writer.own, now)
        return
      case 'peers':
        this.#peers = event.peers
        this.#keepWays()
        return
      case 'spare':
        this.#relay.spare(toHex(event.author), event.from, now.elapsed)
        return
      case 'transaction':
      case 'told':
      case 'unfit':
        this.#effects.push(...this.#pending.take(event, this.#epoch, now))
        return
      case 'heard':
        // Blocks of this epoch and the next speak for themselves.
        if (event.epoch > this.#epoch.epoch) this.#catchUp.hear(event.from, event.epoch, event.round)
        return
      case 'blocks':
        for (const block of event.blocks) this.#receive(block, event, now)
        if (event.answer) this.#catchUp.answered(this.#epoch.epoch, this.#epoch.dag.quorumRound)
        return
      case 'signed':
        // One of the epoch before may come after this epoch's first was proposed.
        if (event.block.block.epoch !== this.#epoch.epoch) return
        this.#writer.signed()
        this.#accepted(this.#epoch.sync.receive(event.block, null, FROM_DISK), true)
        this.#broadcast(event.block, now)
        return
      case 'executed':
        return this.#executed(event)
      case 'tick':
        this.#accepted(this.#epoch.sync.review(now), true)
    }
  }

  /**
   * The last proposal may not have come into the database before a crash; it is stored with the next ones. Without a database it is too far
   * ahead to be taken in at first, and maybe nobody else has it: it is looked at again when the own chain is back up to it.
   */
  #recallProposal(): void {
    const { lastProposed } = this.init.resume
    if (lastProposed?.block.epoch !== this.#epoch.epoch) return
    this.#accepted(this.#epoch.sync.receive(lastProposed, null, FROM_DISK), true)
  }

  #receive(block: OpenedBlock, { from, answer, seat = null }: Sent, now: Instant): void {
    const { epoch, round, author } = block.block
    if (epoch < this.#epoch.epoch) return
    this.#catchUp.hear(from, epoch, round)
    if (epoch > this.#epoch.epoch) {
      const soon = epoch === this.#epoch.epoch + 1 && round <= MAX_ROUNDS_AHEAD
      if (soon && this.#early.length < MAX_NEXT_EPOCH_BLOCKS) this.#early.push({ from, block })
      return
    }
    if (this.#ended) return
    // Only what is sent unasked is news: answers may be of any age.
    if (!answer) this.#writer.hear(author)
    const known = this.#epoch.sync.has(block)
    if (!answer) this.#compareWays(author, from, known, now)
    if (known) return this.#epoch.sync.alsoFrom(block, from)
    const received = this.#epoch.sync.receive(
      block,
      from,
      now,
      answer && this.#catchUp.hasAsked(from, epoch) ? seat : null
    )
    this.#accepted(received, true)
    if (!answer) this.#passOn(received.accepted, block, from, now)
  }

  #executed({ index, state, elected }: Extract<ConsensusEvent, { type: 'executed' }>): void {
    const history = this.#executing.get(index)
    this.#executing.delete(index)
    if (history !== undefined) {
      const vote = { index, digest: commitVoteDigest(history, state) }
      if (this.#votes.executed(vote).conflict) this.#halt(`commit ${index} was executed differently by a quorum`)
    }
    if (elected !== null && elected.epoch > this.#epoch.epoch) this.#elected.set(elected.epoch, elected.members)
  }

  // --- blocks

  #accepted({ accepted, late, broken }: Received, store: boolean): void {
    if (store) for (const block of late) this.#effects.push({ type: 'store', block })
    for (const block of accepted) {
      if (store) this.#effects.push({ type: 'store', block })
      this.#epoch.accepted(block)
      this.#pending.carry(block)
      this.#writer.accepted(block)
      const { author, votes } = block.block
      const { certified, conflict } = this.#votes.count(author, votes)
      if (certified !== null) this.#effects.push({ type: 'certified', vote: certified })
      if (conflict) this.#halt('a quorum has certified another history or state')
      this.#reportEquivocation(block)
    }
    for (const { block, rule } of broken) {
      this.#accuse(block, rule, [block])
    }
  }

  /** With a slot's second block; its third says nothing new. Who accepts one names it in a block of its own, so all others come to hold both. */
  #reportEquivocation(block: OpenedBlock): void {
    const blocks = this.#epoch.dag.at(block.block.round, block.block.author)
    if (blocks.length === 2) this.#accuse(block, EQUIVOCATION, blocks)
  }

  #accuse({ block: { author } }: OpenedBlock, rule: string, blocks: readonly OpenedBlock[]): void {
    const key = this.#epoch.committee.members[author]?.key
    if (key !== undefined) this.#effects.push({ type: 'misbehaviour', author, key, rule, blocks: [...blocks] })
  }

  /** Notes which way an author's block came first; a peer whose copies are always late is asked to save them. */
  #compareWays(author: number, from: PeerId, known: boolean, now: Instant): void {
    const key = this.#epoch.committee.members[author]?.key
    if (key === undefined) return
    if (!known) this.#relay.first(toHex(key), from)
    else if (this.#relay.again(toHex(key), from, now.elapsed)) {
      this.#effects.push({ type: 'spare', to: from, author: key })
    }
  }

  /** Passes on others' blocks of the last rounds. What is older has come late to everyone, or is fetched. */
  #passOn(accepted: readonly OpenedBlock[], received: OpenedBlock, from: PeerId, now: Instant): void {
    const { dag, committee } = this.#epoch
    for (const block of accepted) {
      const { author, round } = block.block
      const key = committee.members[author]?.key
      if (key === undefined || author === this.#writer.author || round < dag.quorumRound - RELAYED_ROUNDS) continue
      const to = this.#relay.onward(toHex(key), block === received ? from : null, this.#peers, now.elapsed)
      if (to.length > 0) this.#effects.push({ type: 'relay', block, to })
    }
  }

  #keepWays(): void {
    const authors = this.#epoch.committee.members.map(({ key }) => toHex(key))
    this.#relay.keep(authors, this.#peers)
  }

  #broadcast(block: OpenedBlock, now: Instant): void {
    this.#writer.sent(now.elapsed)
    this.#effects.push({ type: 'broadcast', block })
  }

  // --- going on: commits, epochs, own blocks

  #advance(now: Instant): void {
    for (let epoch = -1; epoch !== this.#epoch.epoch && !this.#halted;) {
      epoch = this.#epoch.epoch
      if (!this.#ended) this.#commit(now)
      const members = this.#elected.get(epoch + 1)
      if (this.#ended && members !== undefined) this.#nextEpoch(members, now)
    }
    this.#build(now)
    const resendAt = this.#writer.resendAt(this.#peers.length)
    const { own } = this.#writer
    if (own !== null && resendAt !== null && now.elapsed >= resendAt) this.#broadcast(own, now)
  }

  #commit(now: Instant): void {
    const epoch = this.#epoch
    const decided = epoch.rule.decide(epoch.next)
    let committed = false
    for (const decision of this.#rules.truncate(decided, epoch.lastIndex + 1 - this.#history.index)) {
      const next = this.#after(decision)
      if (decision.status === 'commit') {
        committed = true
        const { version } = this.init.upgrades.at(this.#history.index)
        const commit = this.#history.append(epoch, decision.leader, next, version)
        this.#executing.set(commit.core.index, commit.digest)
        this.#pending.remove(commit.transactions)
        this.#effects.push({ type: 'commit', commit })
        if (commit.last) this.#ended = true
        if (epoch.roundsEndWith(decision.leader.block.round)) break
      } else epoch.skip(next)
    }
    if (!committed || this.#ended) return
    for (const block of epoch.prune(this.#writer.keep)) this.#pending.release(block)
    this.#accepted(epoch.sync.review(now), true)
  }

  #after({ slot }: Decision): CommitRecord['next'] {
    const leaders = this.#epoch.schedule.leaders(slot.round).length
    const inRound = slot.offset + 1 < leaders
    return inRound ? { round: slot.round, offset: slot.offset + 1 } : { round: slot.round + 1, offset: 0 }
  }

  #nextEpoch(members: readonly Member[], now: Instant): void {
    const start = this.#history.nextEpoch(this.#epoch, members)
    this.#elected.delete(start.epoch)
    this.#ended = false
    this.#epoch = this.#newEpoch(start)
    this.#votes = this.#votes.under(this.#epoch.committee)
    this.#writer.enter(this.#epoch, now.elapsed)
    this.#pending.enter(this.#epoch)
    this.#keepWays()
    this.#effects.push({ type: 'epoch', start })
    // A crash may have come after it and before the last commit of the epoch before was on disk.
    this.#recallProposal()
    const early = this.#early
    this.#early = []
    for (const { from, block } of early) this.#receive(block, { from, answer: false }, now)
  }

  /** Under the parameters in force at its first commit. */
  #newEpoch(start: EpochStart): Epoch {
    const { network, pace, upgrades } = this.init
    const parameters = upgrades.at(start.firstIndex).value
    return new Epoch(start, { network, rules: this.#rules, pace, parameters })
  }

  #build(now: Instant): void {
    if (this.#ended || this.#halted) return
    const votes = (): CommitVote[] => this.#votes.takeUnsent()
    const block = this.#writer.build(now, { mempool: this.#pending.mempool, votes })
    if (block !== null) this.#effects.push({ type: 'propose', block })
  }

  // --- what to ask for, and when to look again

  #ask(now: Instant): void {
    const { sync, dag, epoch } = this.#epoch
    if (!this.#ended) {
      for (const { to, keys } of sync.requests(now.elapsed, this.#peers))
        this.#effects.push({ type: 'fetch', to, keys })
      // Own blocks have to be built for rounds that were missed; more rounds can wait until they are.
      const building = this.#writer.writes && this.round < dag.quorumRound - CATCH_UP_ROUNDS
      const at = { quorumRound: dag.quorumRound, gcRound: dag.gcRound, undecided: this.#epoch.next.round }
      const asked = building ? null : this.#catchUp.next(now.elapsed, epoch, at, this.#peers)
      if (asked !== null) this.#effects.push({ type: 'fetch-rounds', epoch, count: CATCH_UP_ROUNDS, ...asked })
    }
    const resend = this.#writer.resendAt(this.#peers.length)
    const own = [this.#writer.wake, ...this.#pending.wakes(this.writes)]
    const times = [...own, sync.wake(now), this.#catchUp.wake(), resend].filter(at => at !== null)
    const at = times.length === 0 ? null : Math.max(Math.min(...times), now.elapsed + 1)
    if (at === this.#wakeAt && at !== null && at > now.elapsed) return
    this.#wakeAt = at
    this.#effects.push({ type: 'wake', at })
  }

  #halt(issue: string): void {
    this.#halted = true
    this.#effects.push({ type: 'halt', issue })
  }
}

/** How blocks came. */
type Sent = Pick<Extract<ConsensusEvent, { type: 'blocks' }>, 'from' | 'answer' | 'seat'>

/** What our own disk gives was checked against the clock before; nobody is asked for what it lacks until the first event. */
const FROM_DISK: Instant = { elapsed: 0, wall: Number.POSITIVE_INFINITY }
