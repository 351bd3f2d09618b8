import {
  encodeBatch,
  equalBytes,
  PekkaError,
  toHex,
  transactionsTopic,
  trustGenesis,
  type Clock,
  type Genesis,
  type Signer,
  type Verifier
} from '@pekka/node/protocol'
import {
  Consensus,
  STANDARD_PACE,
  Upgrades,
  type Commit,
  type ConsensusParameters,
  type Elected,
  type EpochStart,
  type Member,
  type Pace
} from '@pekka/node/consensus'
import { bucketFor, isWasteful, type CommitResult, type Reader, type VerifiedTransaction } from '@pekka/node/ledger'
import { pause, type Gossip, type GossipVerdict, type NetworkHost } from '@pekka/node/host/network'
import type { BesideRow, LedgerStore } from '@pekka/node/host/storage'
import type { DecidingCommittee, Decision, Sequencer } from '../sequencer.js'
import { Admission } from '../admission.js'
import { Agreement, type AboutTransactions } from './agreement.js'
import { Answers } from './blocks/answers.js'
import { BlockKeeper } from './blocks/block-keeper.js'
import { EvidenceBook } from './blocks/evidence.js'
import type { Notes } from './checkpoints/committee-checkpoints.js'
import { catchUp } from './catch-up.js'
import { electAfter, finalBefore, refuseOldParents, signersOf, stateDigest } from './executing.js'
import { STAKED } from './intake/allowances.js'
import { FinalityTimes } from './intake/finality-times.js'
import { firstEpoch } from './founding/first-epoch.js'
import { Guests } from './intake/guests.js'
import { Hearsay } from './intake/hearsay.js'
import { LaneGate, type IsFinal } from './intake/lane-gate.js'
import type { LastProposed } from './blocks/last-proposed.js'
import { WitnessLinks, type Said } from './links.js'
import { Opener } from './blocks/opener.js'
import { recall } from './blocks/recall.js'
import { RevealChains } from './founding/reveal-chains.js'
import type { SnapshotMaker } from './snapshot/make.js'
import { resumeDigest, startAfter, type ResumePoint } from './snapshot/resume.js'
import type { AgreementStatus } from './status.js'
import { toldHeight } from './told-height.js'

export interface CommitteeSequencerComponents {
  /** The ledger's; open while this runs. */
  store: LedgerStore
  /** Started before the ledger, stopped after it. */
  host: NetworkHost
  /** The block key and its seed. */
  signer: Signer & { seed: Uint8Array }
  verifier: Verifier
  lastProposed: LastProposed
  /** Keeps what others begin with; none: this witness makes no snapshots. */
  snapshots?: Pick<SnapshotMaker, 'take'>
  clock: Clock
  monotonic: () => number
  log: {
    info(data: object, text: string): void
    warn(data: object, text: string): void
    error(data: object, text: string): void
  }
}

export interface CommitteeSequencerInit {
  genesis: Genesis
  network: Uint8Array
  /** Other witnesses to dial. */
  peers: readonly string[]
  pace?: Pace
  /** A peer's address doesn't answer, or somebody else does there; told at each try. */
  onTrouble?: (address: string, error: unknown) => void
}

/** How often a witness that writes no blocks looks for what nobody can order any more, ms. */
const DEAD_LOOK_MS = 1_000

/** Everything that runs once the store is open. */
interface Running {
  consensus: Consensus
  agreement: Agreement
  links: WitnessLinks
  hearsay: Hearsay
  gossip: Gossip
  /** Digest of the state after the last executed commit. */
  digest: Uint8Array
}

/**
 * Orders transactions together with the other witnesses of a committee (core/consensus). To the ledger above it is a `Sequencer` as
 * the lone one is; what it decides is the same on every witness.
 */
export class CommitteeSequencer implements Sequencer, Notes {
  readonly #keeper: BlockKeeper
  /** Of others' equivocations. */
  readonly evidence: EvidenceBook
  readonly #opener: Opener
  readonly #chains: RevealChains
  readonly #gate: LaneGate
  readonly #guests: Guests
  readonly #times: FinalityTimes
  readonly #members = new Map<number, readonly Member[]>()
  readonly #parameters: ConsensusParameters
  readonly #stopping = new AbortController()
  readonly #answers: Answers
  /** Who hears notes, by topic. */
  readonly #notes = new Map<string, Parameters<Notes['onNote']>[1]>()
  #links: WitnessLinks | null = null
  #epoch = 0
  #state: Reader | null = null
  #opening: Promise<Running> | null = null
  /** When it was looked for transactions that nobody can order any more, elapsed ms. */
  #deadAt = -Infinity

  constructor(
    private readonly components: CommitteeSequencerComponents,
    private readonly init: CommitteeSequencerInit
  ) {
    const { store, verifier, signer, monotonic } = components
    const { genesis } = init
    if (genesis.agreement === undefined) throw new TypeError('the genesis names no committee')
    const { leadersPerRound, gcDepth, epochCommits, epochRounds, seats } = genesis.agreement
    this.#parameters = { leadersPerRound, gcDepth, epochCommits, epochRounds, seats }
    this.#keeper = new BlockKeeper(store.beside)
    this.evidence = new EvidenceBook({
      store: store.beside,
      write: rows => this.#keeper.addRows(rows),
      log: components.log
    })
    this.#answers = new Answers({ keeper: this.#keeper, log: components.log })
    const membersOf = (epoch: number) => this.#members.get(epoch)
    this.#opener = new Opener({ verifier, epoch: () => this.#epoch, membersOf })
    this.#chains = new RevealChains({ seed: signer.seed, nonce: genesis.nonce, parameters: this.#parameters })
    const admitting = { state: () => this.#needState(), clock: components.clock }
    this.#gate = new LaneGate(admitting)
    this.#guests = new Guests(new Admission(admitting))
    this.#times = new FinalityTimes(monotonic)
  }

  // --- Sequencer

  async propose(transaction: VerifiedTransaction, isFinal: IsFinal): Promise<void> {
    const { agreement } = await this.#open(this.#needState())
    if (this.#isSpare(transaction)) throw new PekkaError('RATE_LIMITED')
    await refuseOldParents(transaction, this.components.store, this.#needState())
    await this.#gate.enter(transaction, isFinal)
    this.#opener.remember(transaction)
    this.#times.begin(transaction)
    if ((await agreement.offer(transaction, this.#bucketOf(transaction))) === 'full') {
      this.#times.end(transaction)
      this.#gate.leave(transaction)
      throw new PekkaError('RATE_LIMITED')
    }
  }

  async next(state: Reader, signal: AbortSignal): Promise<Decision> {
    this.#state = state
    const running = await this.#open(state)
    const commit = await running.agreement.commits.next(signal)
    const isFinal = await finalBefore(commit.transactions, this.components.store, state)
    const { signer } = this.components
    // The election reads the state after this commit, which isn't in `state` before it is on disk.
    let elected: Elected | null = null
    let digest = running.digest
    let point: ResumePoint | null = null
    let changed: readonly Uint8Array[] = []
    let refused: readonly VerifiedTransaction[] = []
    return {
      timestamp: commit.core.timestamp,
      transactions: commit.transactions.map(({ transaction, signatures, id, bytes }) => ({
        transaction,
        signatures,
        id,
        bytes
      })),
      due: true,
      witness: commit.witness,
      includers: commit.includers,
      sign: message => signer.sign(message),
      isFinal,
      committee: this.#committeeOf(commit, () => point),
      beside: result => {
        digest = stateDigest(running.digest, result)
        changed = result.accounts
        refused = result.refused.map(({ transaction }) => transaction)
        elected = commit.last ? this.#elect(state, result, commit.core.epoch + 2) : null
        point = this.#resumePoint(commit, elected, digest)
        return this.#rows(commit, digest, elected)
      },
      stored: () => {
        running.digest = digest
        if (point !== null) this.components.snapshots?.take(state, point)
        if (elected !== null) this.#members.set(elected.epoch, elected.members)
        running.agreement.feed({ type: 'executed', index: commit.core.index, state: digest, elected })
        for (const transaction of refused) this.#guests.wasted(transaction)
        for (const transaction of commit.transactions) {
          this.#times.end(transaction)
          this.#gate.leave(transaction)
          this.#guests.leave(transaction)
        }
        this.#gate.moved(commit.transactions, changed)
        return this.#letGoDead(running)
      }
    }
  }

  /**
   * What a witness without a seat has been sent waits for others' blocks, and they drop without a word what they can't order. A member's
   * own blocks carry it all, and the ledger's refusal is the answer.
   */
  #letGoDead({ agreement, consensus }: Running): { transaction: VerifiedTransaction; error: PekkaError }[] {
    const now = this.components.monotonic()
    if (consensus.writes || now < this.#deadAt + DEAD_LOOK_MS) return []
    this.#deadAt = now
    const dead = this.#gate.dead()
    if (dead.length === 0) return []
    agreement.feed({ type: 'unfit', ids: dead.map(({ transaction }) => transaction.id) })
    for (const { transaction } of dead) {
      this.#times.end(transaction)
      this.#gate.leave(transaction)
      // One that stood by before it was put up here, when this witness still wrote.
      this.#guests.leave(transaction)
    }
    return dead
  }

  /**
   * Resolves once this witness is as far as the others were when they introduced themselves: before that it would answer clients from
   * the past. Of members with more than f stake one is honest. Without a quorum it waits no longer than CATCH_UP_WAIT_MS: there may be none.
   * @throws PekkaError LEDGER_BEHIND: nobody gives what it lacks; the next start begins with a snapshot
   */
  async caughtUp(signal: AbortSignal): Promise<void> {
    const { store, monotonic } = this.components
    const taken = async (): Promise<string> => {
      const consensus = (await this.#opening)?.consensus
      return consensus === undefined ? '' : `${consensus.epoch}/${consensus.round}/${consensus.sizes.blocks}`
    }
    await catchUp({ told: () => this.#told(), last: () => store.last(), taken, monotonic, pause }, signal)
  }

  async #told(): Promise<number | null> {
    const running = await this.#opening
    const members = this.#members.get(this.#epoch)
    if (running === null || running === undefined || members === undefined) return null
    return toldHeight(running.links, { epoch: this.#epoch, members, own: this.components.signer.publicKey })
  }

  /** The ledger stops; its store is still open. */
  async stop(): Promise<void> {
    this.#stopping.abort(new PekkaError('LEDGER_UNREACHABLE'))
    this.#gate.stop()
    const running = await this.#opening?.catch(() => null)
    await running?.gossip.stop()
    await running?.links.stop()
    await running?.agreement.stop()
    await this.components.lastProposed.close()
  }

  // --- Notes

  get peers(): readonly string[] {
    return this.#links?.peers ?? []
  }

  tell(topic: string, bytes: Uint8Array, to?: string): void {
    this.#links?.send(to === undefined ? this.peers : [to], { type: 'note', topic, bytes })
  }

  onNote(topic: string, hear: Parameters<Notes['onNote']>[1]): void {
    this.#notes.set(topic, hear)
  }

  // --- for status and registering

  /** The epoch this witness is in; null before it is open. */
  get epoch(): number | null {
    return this.#opening === null ? null : this.#epoch
  }

  /** End of the own hash chain of an epoch, for registering it. */
  chainEnd(epoch: number): Uint8Array {
    const { signer } = this.components
    const { nonce } = this.init.genesis
    return new RevealChains({ seed: signer.seed, nonce, parameters: this.#parameters }).of(epoch).tip
  }

  /** null: the ledger isn't open yet. */
  async status(): Promise<AgreementStatus | null> {
    const running = await this.#opening
    if (running === null || running === undefined) return null
    const { consensus, agreement, links } = running
    const { waiting, transactions } = consensus.sizes
    const { p50, p95 } = this.#times.quantiles()
    const { store } = this.components
    const members = this.#members.get(consensus.epoch) ?? []
    return {
      commit: store.last(),
      certified: agreement.certified,
      first: await store.first(),
      historyBytes: await store.historyBytes(),
      epoch: consensus.epoch,
      round: consensus.round,
      committee: members.map(({ key, stake }) => ({ key: toHex(key), stake: stake.toString() })),
      writes: consensus.writes,
      peers: links.peers.map(peer => ({ peer, key: links.keyOf(peer) })),
      mempool: transactions,
      waiting,
      finalityP50: p50,
      finalityP95: p95,
      equivocations: this.evidence.seen,
      equivocated: this.evidence.kept.map(({ key, epoch: of, round, blocks: [one, other] }) => ({
        key: toHex(key),
        epoch: of,
        round,
        blocks: [toHex(one), toHex(other)]
      }))
    }
  }

  // --- opening

  #open(state: Reader): Promise<Running> {
    this.#state = state
    this.#opening ??= this.#start()
    return this.#opening
  }

  async #start(): Promise<Running> {
    const { lastProposed, signer, clock, monotonic, log } = this.components
    const { genesis, network, pace = STANDARD_PACE } = this.init
    await lastProposed.open()
    const kept = await this.#keeper.load(firstEpoch(genesis, network, this.#parameters.seats))
    await this.evidence.load()
    const { start, executed } = kept
    this.#enter(start)
    if (start.nextMembers !== null) this.#members.set(start.epoch + 1, start.nextMembers)
    const consensus = new Consensus(
      { revealChain: epoch => this.#chains.of(epoch) },
      {
        network,
        key: signer.publicKey,
        upgrades: new Upgrades([{ from: 0, value: this.#parameters }]),
        pace,
        resume: {
          start,
          commits: kept.commits,
          blocks: kept.blocks,
          lastProposed: await recall(this.components, kept),
          lost: lastProposed.proposed.status === 'lost'
        }
      }
    )
    if (lastProposed.proposed.status === 'lost') {
      log.warn({}, 'the last proposal is lost: this witness follows and writes nothing until the second epoch from now')
    }
    const running: Running = {
      consensus,
      links: this.#makeLinks(),
      hearsay: this.#makeHearsay(() => running),
      gossip: await this.components.host.gossip({
        topic: transactionsTopic(network),
        take: (message, from) => this.#hearOf(running, message, from)
      }),
      agreement: new Agreement(
        {
          consensus,
          keeper: this.#keeper,
          evidence: this.evidence,
          lastProposed,
          opener: this.#opener,
          signer,
          clock,
          monotonic,
          send: (to, message) => running.links.send(to, message),
          log
        },
        {
          network,
          onEpoch: epoch => this.#enter(epoch),
          seatOf: peer => running.links.keyOf(peer),
          onTransactions: effect => void this.#carryOut(effect).catch((error: unknown) => this.#failed(error))
        }
      ),
      digest: executed?.state ?? network
    }
    if (this.#stopping.signal.aborted) throw this.#stopping.signal.reason
    running.agreement.start([])
    // The committee of an epoch that hasn't begun is known on disk only.
    if (executed?.elected) {
      this.#members.set(executed.elected.epoch, executed.elected.members)
      running.agreement.feed({ type: 'executed', ...executed })
    }
    this.#links = running.links
    await running.links.start()
    return running
  }

  #makeLinks(): WitnessLinks {
    const { host, signer, verifier, log, monotonic } = this.components
    return new WitnessLinks(
      { host, signer, verifier, log, monotonic },
      {
        network: this.init.network,
        addresses: this.init.peers,
        onTrouble: this.init.onTrouble,
        commit: () => this.components.store.last(),
        isMember: key => [...this.#members.values()].some(members => members.some(m => toHex(m.key) === toHex(key))),
        onPeers: peers => void this.#opening?.then(running => setPeers(running, peers)).catch(() => {}),
        onMessage: async (peer, message) => await this.#heard(peer, message)
      }
    )
  }

  #makeHearsay(running: () => Running): Hearsay {
    const { store, clock, monotonic } = this.components
    return new Hearsay(
      {
        opener: this.#opener,
        guests: this.#guests,
        gate: this.#gate,
        store,
        state: () => this.#needState(),
        clock,
        monotonic,
        bucketOf: transaction => this.#bucketOf(transaction),
        isSpare: transaction => this.#isSpare(transaction),
        standBy: told => running().agreement.tell(told),
        offer: (transaction, bucket) => running().agreement.offer(transaction, bucket),
        unfit: id => running().agreement.feed({ type: 'unfit', ids: [id] })
      },
      { network: this.init.network, allowance: peer => this.#allowanceOf(running().links, peer) }
    )
  }

  #allowanceOf(links: WitnessLinks, peer: string): string | null {
    const key = links.provenKeyOf(peer)
    if (key === null) return null
    return links.keyOf(peer) ?? (this.#needState().get('witness', key) === undefined ? null : STAKED)
  }

  #enter(start: EpochStart): void {
    this.#epoch = start.epoch
    this.#members.set(start.epoch, start.members)
    // Commits of the epoch before may still be executed.
    for (const epoch of this.#members.keys()) if (epoch < start.epoch - 1) this.#members.delete(epoch)
    this.components.log.info({ epoch: start.epoch, members: start.members.length, index: start.firstIndex }, 'epoch')
  }

  // --- peers

  async #heard(peer: string, message: Said): Promise<'taken' | 'broken'> {
    const { agreement, links } = await this.#open(this.#needState())
    switch (message.type) {
      case 'blocks':
        return await agreement.receive(peer, message)
      case 'spare':
        agreement.feed({ type: 'spare', from: peer, author: message.author })
        return 'taken'
      case 'fetch':
      case 'fetch-rounds':
        this.#answers.give(peer, message, links)
        return 'taken'
      case 'note':
        return (await this.#notes.get(message.topic)?.(peer, links.keyOf(peer), message.bytes)) ?? 'taken'
    }
  }

  async #hearOf({ hearsay, links }: Running, message: Uint8Array, from: string): Promise<GossipVerdict> {
    const verdict = await hearsay.take(message, from)
    if (verdict === 'reject') links.accuse(from)
    return verdict
  }

  /** What the consensus asks for transactions that aren't ordered. */
  async #carryOut(effect: AboutTransactions): Promise<void> {
    switch (effect.type) {
      case 'tell': {
        const { gossip } = await this.#open(this.#needState())
        await gossip.publish(encodeBatch(effect.transactions.map(({ bytes }) => bytes)))
        return
      }
      case 'stand-in':
        return await (await this.#open(this.#needState())).hearsay.standIn(effect.transactions)
      case 'let-go':
        for (const id of effect.ids) this.#guests.leave({ id })
    }
  }

  // --- executing

  /** @returns null where nobody can be elected: the ledger stands still then at the end of the next epoch */
  #elect(state: Reader, result: CommitResult, epoch: number): Elected | null {
    const elected = electAfter(state, result, { epoch, seats: this.#parameters.seats })
    if (elected === null) this.components.log.error({ epoch }, 'no witness has registered for this epoch')
    return elected
  }

  /** The committee that has decided a commit. The consensus may be an epoch further. */
  #committeeOf({ core: { epoch }, last }: Commit, point: () => ResumePoint | null): DecidingCommittee | undefined {
    const members = this.#members.get(epoch)
    if (members === undefined) return undefined
    const next = this.#members.get(epoch + 1)
    const signers = epoch === 0 ? trustGenesis(this.init.genesis).members : signersOf(members)
    const resume = (): Uint8Array | null => {
      const known = point()
      return known === null ? null : resumeDigest(this.init.network, known)
    }
    return { epoch, members: signers, next: next === undefined ? null : signersOf(next), last, resume }
  }

  /** Where the next epoch begins, after the last commit of one; null: after any other, or where nobody was elected. */
  #resumePoint(commit: Commit, elected: Elected | null, state: Uint8Array): ResumePoint | null {
    const members = this.#members.get(commit.core.epoch + 1)
    return commit.last && members !== undefined ? { start: startAfter(commit, members, elected), state } : null
  }

  #rows({ record, core }: Commit, state: Uint8Array, elected: Elected | null): BesideRow[] {
    const members = elected === null ? null : { epoch: elected.epoch, members: [...elected.members] }
    return this.#keeper.rowsOf(record, { index: core.index, state, elected: members })
  }

  #bucketOf({ transaction }: VerifiedTransaction): number {
    return bucketFor(this.#needState(), transaction)
  }

  /**
   * Whether it is left to other witnesses: half of what this one may waste is gone, and accounts with nothing behind them cost nothing. Never
   * what the account sends that stakes on it: others don't have its registration, and it leaves the committee without.
   */
  #isSpare(transaction: VerifiedTransaction): boolean {
    const state = this.#needState()
    const { publicKey } = this.components.signer
    const own = state.get('witness', toHex(publicKey))
    if (own !== undefined && equalBytes(own.account, transaction.transaction.account)) return false
    return this.#bucketOf(transaction) === 0 && isWasteful(state, publicKey)
  }

  #failed(error: unknown): void {
    if (!this.#stopping.signal.aborted) this.components.log.warn({ error: String(error) }, 'transactions wait')
  }

  #needState(): Reader {
    if (this.#state === null) throw new PekkaError('LEDGER_UNREACHABLE')
    return this.#state
  }
}

function setPeers({ agreement, gossip }: Running, peers: readonly string[]): void {
  agreement.setPeers(peers)
  gossip.setPeers(peers)
}
