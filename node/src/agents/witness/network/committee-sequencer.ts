import {
  encodeBatch,
  PekkaError,
  toHex,
  transactionsTopic,
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
  type Pace
} from '@pekka/node/consensus'
import type { CommitResult, Reader, VerifiedTransaction } from '@pekka/node/ledger'
import { pause, type Gossip, type NetworkHost } from '@pekka/node/host/network'
import type { BesideRow, LedgerStore } from '@pekka/node/host/storage'
import type { Decision, Sequencer } from '../sequencer.js'
import { Agreement, type AboutTransactions } from './agreement.js'
import { Answers } from './blocks/answers.js'
import { BlockKeeper } from './blocks/block-keeper.js'
import { EvidenceBook } from './blocks/evidence.js'
import type { Notes } from './checkpoints/committee-checkpoints.js'
import { catchUp, stayCaughtUp } from './catch-up.js'
import { Committees } from './committees.js'
import { finalBefore, stateDigest } from './executing.js'
import { firstEpoch } from './founding/first-epoch.js'
import type { Hearsay } from './intake/hearsay.js'
import { Intake } from './intake/intake.js'
import type { IsFinal } from './intake/lane-gate.js'
import type { LastProposed } from './blocks/last-proposed.js'
import { WitnessLinks, type Said } from './links.js'
import { Opener } from './blocks/opener.js'
import { recall } from './blocks/recall.js'
import { RevealChains } from './founding/reveal-chains.js'
import type { SnapshotMaker } from './snapshot/make.js'
import type { ResumePoint } from './snapshot/resume.js'
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
  readonly #intake: Intake
  readonly #committees: Committees
  readonly #parameters: ConsensusParameters
  readonly #stopping = new AbortController()
  readonly #answers: Answers
  /** Who hears notes, by topic. */
  readonly #notes = new Map<string, Parameters<Notes['onNote']>[1]>()
  #links: WitnessLinks | null = null
  #state: Reader | null = null
  #opening: Promise<Running> | null = null

  constructor(
    private readonly components: CommitteeSequencerComponents,
    private readonly init: CommitteeSequencerInit
  ) {
    const { store, verifier, signer, clock, monotonic } = components
    const { genesis, network } = init
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
    const committees = new Committees({ genesis, network, seats })
    this.#committees = committees
    this.#opener = new Opener({
      verifier,
      epoch: () => committees.epoch,
      membersOf: epoch => committees.of(epoch)
    })
    this.#chains = new RevealChains({ seed: signer.seed, nonce: genesis.nonce, parameters: this.#parameters })
    this.#intake = new Intake(
      {
        ...{ store, opener: this.#opener, clock, monotonic },
        state: () => this.#needState(),
        seats: () => committees.of(committees.epoch)?.length ?? 1
      },
      { network, key: signer.publicKey }
    )
  }

  // --- Sequencer

  async propose(transaction: VerifiedTransaction, isFinal: IsFinal): Promise<void> {
    await this.#intake.take(transaction, isFinal, await this.#open(this.#needState()))
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
      committee: this.#committees.decidingOf(commit, () => point),
      beside: result => {
        digest = stateDigest(running.digest, result)
        changed = result.accounts
        refused = result.refused.map(({ transaction }) => transaction)
        elected = commit.last ? this.#elect(state, result, commit) : null
        point = this.#committees.resumePoint(commit, elected, digest)
        return this.#rows(commit, digest, elected)
      },
      stored: () => {
        running.digest = digest
        if (point !== null) this.components.snapshots?.take(state, point)
        if (elected !== null) this.#committees.learn(elected)
        running.agreement.feed({ type: 'executed', index: commit.core.index, state: digest, elected })
        this.#intake.ordered(commit.transactions, refused, changed)
        return running.consensus.writes ? [] : this.#intake.letGoDead(running)
      }
    }
  }

  /** Ends with the signal. @throws PekkaError as {@link caughtUp}, whenever it has fallen so far behind */
  async staysCaughtUp(signal: AbortSignal): Promise<void> {
    await stayCaughtUp({ caughtUp: aborted => this.caughtUp(aborted), pause }, signal)
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
    const { epoch } = this.#committees
    const members = this.#committees.of(epoch)
    if (running === null || running === undefined || members === undefined) return null
    return toldHeight(running.links, { epoch, members, own: this.components.signer.publicKey })
  }

  /** The ledger stops; its store is still open. */
  async stop(): Promise<void> {
    this.#stopping.abort(new PekkaError('LEDGER_UNREACHABLE'))
    this.#intake.stop()
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
    return this.#opening === null ? null : this.#committees.epoch
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
    const { p50, p95 } = this.#intake.quantiles()
    const { store } = this.components
    const members = this.#committees.of(consensus.epoch) ?? []
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
    if (start.nextMembers !== null) this.#committees.learn({ epoch: start.epoch + 1, members: start.nextMembers })
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
      hearsay: this.#intake.hearsay(() => running),
      gossip: await this.components.host.gossip({
        topic: transactionsTopic(network),
        take: (message, from) => this.#intake.hear(running.hearsay, message, from, running.links)
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
          onBroken: key => running.links.accuseMember(key),
          memberOf: (epoch, author) => toHexOrNull(this.#committees.of(epoch)?.[author]?.key),
          onTransactions: effect => void this.#carryOut(effect).catch((error: unknown) => this.#failed(error))
        }
      ),
      digest: executed?.state ?? network
    }
    if (this.#stopping.signal.aborted) throw this.#stopping.signal.reason
    running.agreement.start([])
    // The committee of an epoch that hasn't begun is known on disk only.
    if (executed?.elected) {
      this.#committees.learn(executed.elected)
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
        isMember: key => this.#committees.has(key),
        onPeers: peers => void this.#opening?.then(running => setPeers(running, peers)).catch(() => {}),
        onMessage: async (peer, message) => await this.#heard(peer, message)
      }
    )
  }

  #enter(start: EpochStart): void {
    this.#committees.enter(start)
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
        this.#intake.letGo(effect.ids)
    }
  }

  // --- executing

  #elect(state: Reader, result: CommitResult, commit: Commit): Elected | null {
    const elected = this.#committees.elect(state, result, commit)
    if (elected === null)
      this.components.log.error({ epoch: commit.core.epoch + 2 }, 'no witness has registered for this epoch')
    return elected
  }

  #rows({ record, core }: Commit, state: Uint8Array, elected: Elected | null): BesideRow[] {
    const members = elected === null ? null : { epoch: elected.epoch, members: [...elected.members] }
    return this.#keeper.rowsOf(record, { index: core.index, state, elected: members })
  }

  #failed(error: unknown): void {
    if (!this.#stopping.signal.aborted) this.components.log.warn({ error: String(error) }, 'transactions wait')
  }

  #needState(): Reader {
    if (this.#state === null) throw new PekkaError('LEDGER_UNREACHABLE')
    return this.#state
  }
}

const toHexOrNull = (key: Uint8Array | undefined): string | null => (key === undefined ? null : toHex(key))

function setPeers({ agreement, gossip }: Running, peers: readonly string[]): void {
  agreement.setPeers(peers)
  gossip.setPeers(peers)
}
