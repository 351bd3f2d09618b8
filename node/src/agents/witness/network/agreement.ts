import { PekkaError, toHex, witnessBlockId, witnessBlockMessage, type Clock, type Signer } from '@pekka/node/protocol'
import {
  EQUIVOCATION,
  openedBlock,
  type Consensus,
  type ConsensusEvent,
  type Effect,
  type EpochStart,
  type Instant,
  type OpenedBlock
} from '@pekka/node/consensus'
import type { VerifiedTransaction } from '@pekka/node/ledger'
import type { BlockKeeper } from './blocks/block-keeper.js'
import { CommitQueue } from './commit-queue.js'
import type { EvidenceBook } from './blocks/evidence.js'
import { FurtherBlocks } from './blocks/further-blocks.js'
import { FLUSH_MS, MAX_INBOX, MAX_UNEXECUTED } from './constants.js'
import type { LastProposed } from './blocks/last-proposed.js'
import type { WitnessMessage } from './messages.js'
import type { Opener } from './blocks/opener.js'

type Blocks = Extract<WitnessMessage, { type: 'blocks' }>
type Outgoing = Extract<WitnessMessage, { type: 'blocks' | 'spare' | 'fetch' | 'fetch-rounds' }>

export interface AgreementComponents {
  consensus: Consensus
  keeper: BlockKeeper
  /** Hears who broke a rule. */
  evidence: Pick<EvidenceBook, 'note'>
  lastProposed: LastProposed
  opener: Opener
  /** The block key. */
  signer: Signer
  clock: Clock
  /** Milliseconds that only go forward. */
  monotonic: () => number
  /** Sends to peers that are connected; what can't be sent is lost. */
  send: (to: readonly string[], message: Outgoing) => void
  log: { error(data: object, text: string): void }
}

/** What it asks for transactions that aren't ordered. */
export type AboutTransactions = Extract<Effect, { type: 'tell' | 'stand-in' | 'let-go' }>

export interface AgreementInit {
  network: Uint8Array
  /** An epoch has begun. */
  onEpoch: (start: EpochStart) => void
  onTransactions: (effect: AboutTransactions) => void
  /** Block key of a connected peer that has a seat, hex; null: an observer. */
  seatOf: (peer: string) => string | null
  /** The member with this block key, hex, signed a block that breaks a rule. Not told of two blocks for a round: others may need either. */
  onBroken: (key: string) => void
  /** Block key of a member of an epoch's committee, hex; null: not known. */
  memberOf: (epoch: number, author: number) => string | null
}

/** An event that waits, and who wants to know what came of it. */
interface Waiting {
  event: ConsensusEvent
  done?: (effects: readonly Effect[]) => void
}

/**
 * Drives core/consensus on a real machine: feeds it one event after another and carries out what it asks for, in order. An own block
 * is signed, written beside the database and into it, and only then sent. Commits wait in {@link commits} for the ledger.
 */
export class Agreement {
  readonly commits = new CommitQueue(MAX_UNEXECUTED)
  readonly #inbox: Waiting[] = []
  readonly #further = new FurtherBlocks()
  #news: () => void = () => {}
  #room: (() => void)[] = []
  #peers: readonly string[] = []
  #wake: NodeJS.Timeout | null = null
  #flush: NodeJS.Timeout | null = null
  #stopped = false
  #running: Promise<void> = Promise.resolve()
  /** Signing and writing of own blocks, so that a stop waits for it. */
  #proposing: Promise<void> = Promise.resolve()
  #certified = -1

  constructor(
    private readonly components: AgreementComponents,
    private readonly init: AgreementInit
  ) {}

  /** Index of the last commit that a quorum has vouched for, −1 before the first. */
  get certified(): number {
    return this.#certified
  }

  start(peers: readonly string[]): void {
    this.#peers = peers
    this.feed({ type: 'start', peers })
    this.#running = this.#run()
  }

  /** Nothing is fed any more; what is being written is on disk when this resolves. */
  async stop(): Promise<void> {
    this.#end(new PekkaError('LEDGER_UNREACHABLE'))
    await this.#running
    await this.#proposing
    await this.components.keeper.stop()
  }

  setPeers(peers: readonly string[]): void {
    this.#peers = peers
    this.feed({ type: 'peers', peers })
  }

  feed(event: ConsensusEvent, done?: Waiting['done']): void {
    if (this.#stopped) return
    this.#inbox.push({ event, done })
    this.#news()
  }

  /** Puts a transaction up; says whether there was room. Resolves also when this stops: its sender is told then by others. */
  offer(transaction: VerifiedTransaction, bucket: number): Promise<'taken' | 'full'> {
    return new Promise(resolve => {
      if (this.#stopped) return resolve('taken')
      this.feed({ type: 'transaction', transaction, bucket }, effects =>
        resolve(effects.some(({ type }) => type === 'turned-away') ? 'full' : 'taken')
      )
    })
  }

  /** Lets transactions stand by that others have told of; says how many do. */
  tell(transactions: { transaction: VerifiedTransaction; bucket: number }[]): Promise<number> {
    return new Promise(resolve => {
      if (this.#stopped) return resolve(0)
      this.feed({ type: 'told', transactions }, effects => {
        const gone = new Set(effects.flatMap(effect => (effect.type === 'let-go' ? effect.ids.map(toHex) : [])))
        resolve(transactions.filter(({ transaction: { id } }) => !gone.has(toHex(id))).length)
      })
    })
  }

  /** Takes blocks in that a peer sent; resolves when it may send more. */
  async receive(from: string, { blocks, answer }: Blocks): Promise<'taken' | 'broken'> {
    const opened: OpenedBlock[] = []
    const seat = this.init.seatOf(from)
    let broken = false
    for (const bytes of blocks) {
      const opening = await this.components.opener.block(bytes)
      if (opening.status === 'opened') {
        const heard = this.#hears(opening.block, seat)
        if (heard) opened.push(opening.block)
        else if (seat !== null) broken = true
      } else if (opening.status === 'broken') broken = true
      else if (opening.status === 'unknown') {
        this.feed({ type: 'heard', from, epoch: opening.epoch, round: opening.round })
      }
    }
    // An empty answer is one too: whoever gave it has nothing more.
    if (opened.length > 0 || answer) this.feed({ type: 'blocks', from, blocks: opened, answer, seat })
    while (this.#inbox.length >= MAX_INBOX && !this.#stopped) {
      await new Promise<void>(resolve => this.#room.push(resolve))
    }
    return broken ? 'broken' : 'taken'
  }

  /** What an equivocator of the worst kind wrote is taken from other members only, who may have built on it. */
  #hears({ block: { epoch, author } }: OpenedBlock, seat: string | null): boolean {
    if (!this.#further.isOver(epoch, author)) return true
    return seat !== null && seat !== this.init.memberOf(epoch, author)
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stopped) {
        const waiting = this.#inbox.shift()
        if (waiting === undefined) {
          await new Promise<void>(resolve => (this.#news = resolve))
          continue
        }
        const effects = this.components.consensus.handle(waiting.event, this.#now())
        for (const effect of effects) this.#carryOut(effect)
        waiting.done?.(effects)
        if (this.#inbox.length < MAX_INBOX / 2) for (const resolve of this.#room.splice(0)) resolve()
        await this.commits.room()
      }
    } catch (error) {
      this.#end(error)
    }
  }

  #now(): Instant {
    const { clock, monotonic } = this.components
    return { elapsed: monotonic(), wall: clock.now() }
  }

  #carryOut(effect: Effect): void {
    const { keeper, evidence, send } = this.components
    switch (effect.type) {
      case 'store':
        keeper.add(effect.block)
        this.#further.add(effect.block)
        this.#flushSoon()
        return
      case 'propose':
        this.#proposing = this.#propose(effect).catch((error: unknown) => this.#end(error))
        return
      case 'broadcast':
        return send(this.#peers, { type: 'blocks', blocks: [effect.block.bytes], answer: false })
      case 'relay':
        return send(effect.to, { type: 'blocks', blocks: [effect.block.bytes], answer: false })
      case 'spare':
        return send([effect.to], { type: 'spare', author: effect.author })
      case 'fetch':
        return send([effect.to], { type: 'fetch', keys: effect.keys.map(key => fromKey(key)) })
      case 'fetch-rounds': {
        const { epoch, from, count } = effect
        return send([effect.to], { type: 'fetch-rounds', epoch, from, count })
      }
      case 'tell':
      case 'stand-in':
      case 'let-go':
        return this.init.onTransactions(effect)
      case 'commit':
        return this.commits.add(effect.commit)
      case 'epoch':
        keeper.begin(effect.start)
        this.init.onEpoch(effect.start)
        return
      case 'certified':
        this.#certified = effect.vote.index
        return
      case 'misbehaviour':
        evidence.note(effect)
        if (effect.rule !== EQUIVOCATION) this.init.onBroken(toHex(effect.key))
        this.#flushSoon()
        return
      case 'wake':
        return this.#sleep(effect.at)
      case 'halt':
        void this.#halt(effect.issue)
        return
      case 'turned-away':
        // Who fed it reads the effects.
        return
    }
  }

  /** Signs and writes an own block; nothing of it leaves before `signed`. */
  async #propose({ block }: Extract<Effect, { type: 'propose' }>): Promise<void> {
    const { signer, keeper, lastProposed, opener } = this.components
    const signature = await signer.sign(witnessBlockMessage(this.init.network, witnessBlockId(block)))
    const transactions: VerifiedTransaction[] = []
    for (const bytes of block.transactions) transactions.push(await opener.transaction(bytes))
    const own = openedBlock({ block, signature }, transactions)
    if (this.#stopped) return
    keeper.add(own)
    await Promise.all([lastProposed.write(own.bytes), keeper.flush()])
    this.feed({ type: 'signed', block: own })
  }

  /** For whom nothing else writes what was accepted. */
  #flushSoon(): void {
    if (this.#flush !== null || this.#stopped) return
    this.#flush = setTimeout(() => {
      this.#flush = null
      this.components.keeper.flush().catch((error: unknown) => this.#end(error))
    }, FLUSH_MS)
  }

  #sleep(at: number | null): void {
    if (this.#wake !== null) clearTimeout(this.#wake)
    this.#wake = null
    if (at === null || this.#stopped) return
    const left = at - this.components.monotonic()
    this.#wake = setTimeout(
      () => {
        // Timers may be a little early, and a tick before its time would not be asked for again.
        if (this.components.monotonic() < at) this.#sleep(at)
        else this.feed({ type: 'tick' })
      },
      Math.max(0, Math.ceil(left))
    )
  }

  async #halt(issue: string): Promise<void> {
    this.components.log.error({ issue }, 'the consensus has stopped itself')
    await this.components.keeper.halt(issue).catch(() => {})
    this.#end(new PekkaError('CONSENSUS_CONFLICT', { issue }))
  }

  #end(error: unknown): void {
    if (this.#stopped) return
    this.#stopped = true
    if (this.#wake !== null) clearTimeout(this.#wake)
    if (this.#flush !== null) clearTimeout(this.#flush)
    this.commits.fail(error)
    for (const { done } of this.#inbox.splice(0)) done?.([])
    for (const resolve of this.#room.splice(0)) resolve()
    this.#news()
  }
}

const fromKey = (key: string): Uint8Array => new Uint8Array(Buffer.from(key, 'hex'))

/** A block's id as the consensus names it. */
export const keyOf = (id: Uint8Array): string => toHex(id)
