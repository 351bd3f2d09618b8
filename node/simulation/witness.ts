import { toHex, type TransactionOutcome } from '@pekka/node/protocol'
import { bucketOf, laneHead } from '@pekka/node/ledger'
import {
  Consensus,
  MAX_ANSWER_BLOCKS,
  type ConsensusEvent,
  type Commit,
  type Effect,
  type EpochStart,
  type Instant,
  type OpenedBlock,
  type PayloadTransaction,
  type Resume
} from '@pekka/node/consensus'
import { Disk, type Entry } from './disk.js'
import { SimulatedLedger } from './ledger.js'
import type { World } from './world.js'

/** What one witness says to another. Blocks travel as bytes and are opened on arrival. */
export type Message =
  | { type: 'blocks'; blocks: readonly Uint8Array[]; answer: boolean }
  | { type: 'spare'; author: Uint8Array }
  | { type: 'fetch'; keys: readonly string[] }
  | { type: 'fetch-rounds'; epoch: number; from: number; count: number }
  | { type: 'transactions'; transactions: readonly Uint8Array[] }

type Answer = (outcome: TransactionOutcome) => void

/** How a machine comes up again. `database`: the database is gone, the last proposal is not; `everything`: both are. */
export type Loss = 'nothing' | 'database' | 'everything'

/**
 * A host of the production consensus in a simulated world: carries out effects on a simulated disk and network and executes
 * commits on the production ledger. The witness process does the same with real ones.
 */
export class Witness {
  readonly name: string
  readonly disk: Disk
  consensus: Consensus
  ledger: SimulatedLedger
  up = true
  /** What the clock shows is wrong by this, and by this many ms in a second. */
  clock = { offset: 0, rate: 0 }
  /** Added to each sync, ms. */
  diskDelay = 0
  #inbox: ConsensusEvent[] = []
  #working = false
  #wake = 0
  #life = 0
  /** It forgot its last proposal. This mark is durable, until it proposes again. */
  #lost = false
  readonly #waiting = new Map<string, Answer[]>()

  constructor(
    protected readonly world: World,
    readonly index: number,
    readonly key: Uint8Array
  ) {
    this.name = `w${index}`
    this.disk = new Disk(world.agenda, world.random, () => world.random.real() * 2 + this.diskDelay)
    this.disk.replace([{ type: 'epoch', start: world.genesisEpoch }])
    this.ledger = world.newLedger()
    this.consensus = this.#start({ ...this.#resume(), lost: false })
  }

  /** Whether it keeps to the rules. */
  get honest(): boolean {
    return true
  }

  get now(): Instant {
    const { now } = this.world.agenda
    return {
      elapsed: now,
      wall: this.world.wallAt(now) + Math.round(this.clock.offset + (now / 1000) * this.clock.rate)
    }
  }

  begin(): void {
    this.feed({ type: 'start', peers: this.world.peersOf(this.index) })
  }

  feed(event: ConsensusEvent): void {
    if (!this.up) return
    this.#inbox.push(event)
    if (this.#working) return
    this.#working = true
    for (let next = this.#inbox.shift(); next !== undefined; next = this.#inbox.shift()) {
      for (const effect of this.consensus.handle(next, this.now)) this.carryOut(effect)
      this.world.checks.bounded(this)
    }
    this.#working = false
  }

  receive(from: number, message: Message): void {
    if (!this.up) return
    if (message.type === 'blocks') {
      const blocks = message.blocks.flatMap(bytes => this.world.identities.openBlock(bytes) ?? [])
      this.feed({ type: 'blocks', from: `w${from}`, blocks, answer: message.answer, seat: `w${from}` })
    } else if (message.type === 'spare') {
      this.feed({ type: 'spare', from: `w${from}`, author: message.author })
    } else if (message.type === 'transactions') {
      this.#hear(message.transactions)
    } else {
      const found =
        message.type === 'fetch'
          ? message.keys.flatMap(key => this.disk.block(key) ?? [])
          : this.disk.rounds(message.epoch, message.from, message.count)
      this.answer(from, found.slice(0, MAX_ANSWER_BLOCKS), message.type === 'fetch-rounds')
    }
  }

  /** A client's transaction; answered when it is final and on disk, or refused. */
  submit(transaction: PayloadTransaction, answer: Answer): void {
    if (!this.up) return
    const id = toHex(transaction.id)
    const index = this.ledger.final.get(id)
    if (index !== undefined) return answer({ status: 'applied', id: transaction.id, index, timestamp: 0 })
    this.#waiting.set(id, [...(this.#waiting.get(id) ?? []), answer])
    this.feed({ type: 'transaction', transaction, bucket: this.#bucketOf(transaction) })
  }

  /** Others tell of transactions; what their lanes have passed is of no use. */
  #hear(batch: readonly Uint8Array[]): void {
    const opened = batch.flatMap(bytes => this.world.identities.openTransaction(bytes) ?? [])
    const transactions = opened
      .filter(transaction => !this.#passed(transaction))
      .map(transaction => ({ transaction, bucket: this.#bucketOf(transaction) }))
    this.feed({ type: 'told', transactions })
  }

  #standIn(transactions: readonly PayloadTransaction[]): void {
    for (const transaction of transactions) {
      if (this.#passed(transaction)) this.feed({ type: 'unfit', ids: [transaction.id] })
      else this.feed({ type: 'transaction', transaction, bucket: this.#bucketOf(transaction) })
    }
  }

  #passed({ transaction: { account, key, sequence } }: PayloadTransaction): boolean {
    return sequence < (laneHead(this.ledger.state, account, key)?.sequence ?? 0)
  }

  #bucketOf({ transaction: { account } }: PayloadTransaction): number {
    return bucketOf(this.ledger.state, account)
  }

  crash(): void {
    this.up = false
    this.#life += 1
    this.world.network.restarted(this.index)
    this.#inbox = []
    this.#waiting.clear()
    this.disk.crash()
  }

  restart(loss: Loss): void {
    if (loss !== 'nothing') this.disk.replace(this.world.checkpointFor(this))
    if (loss === 'everything') this.disk.lastProposed = null
    this.#lost = loss === 'everything' || (this.#lost && this.disk.lastProposed === null)
    this.up = true
    this.ledger = this.world.newLedger()
    this.consensus = this.#start({ ...this.#resume(), lost: this.#lost })
    this.#wake = 0
    this.begin()
    this.#repeatElection()
  }

  protected send(to: number, message: Message): void {
    this.world.network.send(this.index, to, () => this.world.witnesses[to]?.receive(this.index, message))
  }

  protected answer(to: number, blocks: readonly OpenedBlock[], rounds: boolean): void {
    if (blocks.length === 0 && !rounds) return
    this.send(to, { type: 'blocks', blocks: blocks.map(({ bytes }) => bytes), answer: rounds })
  }

  protected broadcast(block: OpenedBlock): void {
    this.world.checks.sent(this, block)
    for (const { index } of this.world.witnesses) {
      if (index !== this.index) this.send(index, { type: 'blocks', blocks: [block.bytes], answer: false })
    }
  }

  protected tell(transactions: readonly PayloadTransaction[]): void {
    const batch = transactions.map(({ bytes }) => bytes)
    for (const { index } of this.world.witnesses) {
      if (index !== this.index) this.send(index, { type: 'transactions', transactions: batch })
    }
  }

  protected relay(block: OpenedBlock, to: readonly string[]): void {
    for (const peer of to) this.send(indexOf(peer), { type: 'blocks', blocks: [block.bytes], answer: false })
  }

  /** Signs what the consensus proposes. */
  protected propose(effect: Extract<Effect, { type: 'propose' }>): void {
    this.signed(this.world.identities.seal(this.key, effect.block))
  }

  /** Puts an own block on disk and tells the consensus. */
  protected signed(block: OpenedBlock): void {
    this.disk.sync(() => {
      this.disk.lastProposed = block
      this.feed({ type: 'signed', block })
    })
  }

  protected carryOut(effect: Effect): void {
    switch (effect.type) {
      case 'store':
        return this.disk.write({ type: 'block', block: effect.block })
      case 'propose':
        return this.propose(effect)
      case 'broadcast':
        return this.broadcast(effect.block)
      case 'relay':
        return this.relay(effect.block, effect.to)
      case 'spare':
        return this.send(indexOf(effect.to), { type: 'spare', author: effect.author })
      case 'fetch':
        return this.send(indexOf(effect.to), { type: 'fetch', keys: effect.keys })
      case 'fetch-rounds': {
        const { epoch, from, count } = effect
        return this.send(indexOf(effect.to), { type: 'fetch-rounds', epoch, from, count })
      }
      case 'tell':
        return this.tell(effect.transactions)
      case 'stand-in':
        return this.#standIn(effect.transactions)
      case 'commit':
        return this.#execute(effect.commit)
      case 'epoch':
        this.world.trace(
          this,
          () => `epoch ${effect.start.epoch} of ${effect.start.members.length} from commit ${effect.start.firstIndex}`
        )
        return this.disk.write({ type: 'epoch', start: effect.start })
      case 'certified':
        return this.world.checks.certified(this, effect.vote)
      case 'misbehaviour':
        return this.world.checks.accused(this, effect)
      case 'wake':
        return this.#sleep(effect.at)
      case 'halt':
        this.up = false
        return this.world.checks.halted(this, effect.issue)
    }
  }

  #execute(commit: Commit): void {
    const { state, writes, outcomes } = this.ledger.execute(commit)
    const { index } = commit.core
    this.world.trace(this, () => describe(commit))
    const elected = commit.last ? this.world.electFor(this.ledger, commit.core.epoch + 2) : null
    const ids = outcomes.filter(({ status }) => status !== 'refused').map(({ id }) => toHex(id))
    this.disk.write({ type: 'commit', record: commit.record, writes, state, ids, elected })
    this.world.checks.committed(this, commit, state)
    this.disk.sync(() => this.#acknowledge(outcomes))
    this.feed({ type: 'executed', index, state, elected })
  }

  #acknowledge(outcomes: readonly TransactionOutcome[]): void {
    for (const outcome of outcomes) {
      const id = toHex(outcome.id)
      const waiting = this.#waiting.get(id)
      if (waiting === undefined) continue
      this.#waiting.delete(id)
      const index = this.ledger.final.get(id)
      const final = outcome.status === 'refused' && index !== undefined
      const told = final ? { status: 'applied' as const, id: outcome.id, index, timestamp: 0 } : outcome
      if (told.status !== 'refused') this.world.checks.acknowledged(this, id, told.index)
      for (const answer of waiting) answer(told)
    }
  }

  #sleep(at: number | null): void {
    const wake = ++this.#wake
    const life = this.#life
    if (at === null) return
    this.world.agenda.plan(at, () => {
      if (wake === this.#wake && life === this.#life) this.feed({ type: 'tick' })
    })
  }

  #start(resume: Resume): Consensus {
    const { networkId: network, rules, upgrades, pace } = this.world
    return new Consensus(
      { revealChain: epoch => this.world.chainOf(this.key, epoch), rules },
      { network, key: this.key, upgrades, pace, resume }
    )
  }

  /** What is on disk, as the consensus takes it; the ledger's state is rebuilt beside. */
  #resume(): Omit<Resume, 'lost'> {
    const { entries, lastProposed } = this.disk
    for (const entry of entries) {
      if (entry.type === 'commit') this.ledger.replay(entry.writes, entry.state, entry.ids, entry.record.index)
    }
    const start = entries.reduce<EpochStart | null>(
      (last, entry) => (entry.type === 'epoch' ? entry.start : last),
      null
    )
    if (start === null) throw new TypeError('a disk begins with an epoch')
    const elected = electedIn(entries).find(({ epoch }) => epoch === start.epoch + 1)
    const commits = entries.flatMap(entry => (entry.type === 'commit' ? [entry.record] : []))
    const own = commits.filter(({ epoch }) => epoch === start.epoch)
    const blocks = entries.flatMap(entry => (entry.type === 'block' ? [entry.block] : []))
    return {
      start: { ...start, nextMembers: start.nextMembers ?? elected?.members ?? null },
      commits: own,
      blocks: blocks.filter(({ block }) => block.epoch === start.epoch),
      lastProposed
    }
  }

  /** The election after the last commit is known on disk, but the consensus may not have come to its epoch yet. */
  #repeatElection(): void {
    const last = this.disk.entries.findLast(entry => entry.type === 'commit')
    if (last?.type !== 'commit' || last.elected === null) return
    this.feed({ type: 'executed', index: last.record.index, state: last.state, elected: last.elected })
  }
}

const electedIn = (entries: readonly Entry[]) =>
  entries.flatMap(entry => (entry.type === 'commit' && entry.elected !== null ? [entry.elected] : []))

export const indexOf = (peer: string): number => Number(peer.slice(1))

const describe = ({ core, blocks, transactions }: Commit): string =>
  `commit ${core.index}: round ${core.leader.round} of ${core.leader.author}, ` +
  `${blocks.length} blocks, ${transactions.length} transactions, epoch ${core.epoch}`
