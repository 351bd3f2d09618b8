import {
  accountId,
  CREDIT,
  DEVNET_PARAMETERS,
  equalBytes,
  networkId,
  sha256,
  toHex,
  type Genesis
} from '@pekka/node/protocol'
import { candidatesFor, genesisState } from '@pekka/node/ledger'
import {
  elect,
  firstBeacon,
  RevealChain,
  STANDARD_RULES,
  Upgrades,
  type ConsensusParameters,
  type ConsensusRules,
  type Elected,
  type EpochStart,
  type Member,
  type Pace
} from '@pekka/node/consensus'
import { ByzantineWitness } from './byzantine.js'
import { Checks, type Violation } from './checks.js'
import { Clients, makeTransaction, policyOf, type Account } from './clients.js'
import type { Entry } from './disk.js'
import { chooseFaults, DISHONEST, FAULTS_END, planFaults, type Fault } from './faults.js'
import { Identities } from './identities.js'
import { SimulatedLedger } from './ledger.js'
import { Network, spreadLinks } from './network.js'
import { Agenda } from './queue.js'
import { Random } from './random.js'
import { Witness } from './witness.js'

/** Wall-clock time at which worlds begin, ms. */
const BEGINNING = 1_700_000_000_000
/** After the last fault everyone gets this long to come back, ms; then the world must go on. */
const SETTLING = 2_000
/**
 * Dishonest witnesses go on to the end, and may make it slow but not stop it: where transactions wait for long at the end of a world, it goes on
 * for this, virtual ms.
 */
const GRACE = 12_000
/** How far an honest clock may be off, ms: the drift of faults.ts, and what the rules let a dishonest one add. */
const MAX_CLOCK_ERROR = 900

/** Small on purpose, so that garbage lines, epochs and chain ends are met in 12 s. */
const PARAMETERS: ConsensusParameters = {
  leadersPerRound: 1,
  gcDepth: 8,
  epochCommits: 15,
  epochRounds: 150,
  seats: 100
}

const PACE: Pace = {
  leaderTimeout: 250,
  minRoundDelay: 10,
  idleDelay: 100,
  maxDrift: 500,
  resendAfter: 300,
  requestAfter: 250
}

export interface WorldInit {
  seed: number
  witnesses: number
  faults: readonly Fault[] | 'all'
  rules?: ConsensusRules
  /** Virtual ms. */
  length?: number
  /** Instead of the small ones that make edges frequent. */
  parameters?: Partial<ConsensusParameters>
  pace?: Pace
  /** All links have the same delay. */
  equalLinks?: boolean
  /** Keeps the last lines of what happened. */
  traced?: boolean
}

export interface Outcome {
  seed: number
  faults: readonly string[]
  violations: readonly Violation[]
  commits: number
  transactions: number
  epochs: number
  /** Submit to final on disk at the witness that was asked, ms, of those answered at the first attempt. */
  finality: readonly number[]
  /** Mean one-way delay of the links, ms. */
  delay: number
  /** Hash of every commit: equal seeds give equal ones. */
  fingerprint: string
  trace: readonly string[]
}

/** Virtual ms of a world: 8 s of faults, 2 s to settle, 2 s to show that it goes on. */
export const WORLD_LENGTH = 12_000
/** Accounts there are, and how many of them send. */
const ACCOUNTS = 8
const CLIENTS = 6
/** Every witness's stake, to which what is staked on it is added in elections. */
const BASE_STAKE = 20n * CREDIT
/** Links of hash chains: more rounds than an epoch can have. */
const CHAIN_LENGTH = 256

/** Trace lines kept. */
const TRACE_LINES = 400

/** One simulated network: the production consensus and ledger on simulated machines, links, disks, clocks and signatures. */
export class World {
  readonly agenda = new Agenda()
  readonly random: Random
  readonly identities: Identities
  readonly networkId: Uint8Array
  readonly network: Network
  readonly checks: Checks
  readonly clients: Clients
  readonly witnesses: Witness[] = []
  readonly faults: ReadonlySet<Fault>
  readonly rules: ConsensusRules
  readonly pace: Pace
  readonly upgrades: Upgrades<ConsensusParameters>
  readonly genesisEpoch: EpochStart
  readonly end: number
  /** How many witnesses are dishonest: at most f. */
  readonly dishonest: number
  /** Witnesses that forgot everything. */
  readonly wiped = new Set<number>()
  readonly maxClockError = MAX_CLOCK_ERROR
  readonly finality: number[] = []
  readonly #members = new Map<number, readonly Member[]>()
  readonly #chains = new Map<string, RevealChain>()
  readonly #genesis: Genesis
  readonly #keys: readonly Uint8Array[]
  readonly #lines: string[] = []
  readonly #delay: number

  constructor(private readonly init: WorldInit) {
    const { seed, witnesses: size } = init
    this.pace = init.pace ?? PACE
    this.random = new Random(seed)
    this.end = init.length ?? WORLD_LENGTH
    this.rules = init.rules ?? STANDARD_RULES
    this.identities = new Identities(
      () => this.networkId,
      epoch => this.#members.get(epoch)
    )
    this.faults = chooseFaults(this.random, init.faults)
    const elections = this.faults.has('committee')
    // One more than there are seats, so that elections have something to decide.
    this.#keys = Array.from({ length: elections ? size + 1 : size }, (_, i) => this.identities.create(`witness ${i}`))
    const parameters = { ...PARAMETERS, seats: size, ...init.parameters }
    const second = { from: 40, value: { ...parameters, leadersPerRound: 2, gcDepth: 10 } }
    this.upgrades = new Upgrades([{ from: 0, value: parameters }, ...(elections ? [second] : [])])

    const accounts = Array.from({ length: Math.max(ACCOUNTS, this.#keys.length) }, (_, i): Account => {
      const key = this.identities.create(`account ${i}`)
      return { key, id: accountId(policyOf(key)) }
    })
    this.#genesis = {
      v: 1,
      name: 'simulation',
      createdAt: BEGINNING,
      nonce: sha256(new Uint8Array([seed & 255, (seed >> 8) & 255, (seed >> 16) & 255])).slice(0, 16),
      parameters: { ...DEVNET_PARAMETERS, unbondMs: 2_000 },
      witnesses: this.#keys.slice(0, size).map(key => ({ key, stake: BASE_STAKE })),
      accounts: accounts.map(({ key }) => ({ policy: policyOf(key), balance: 1_000n * CREDIT })),
      faucet: 0n
    }
    this.networkId = networkId(this.#genesis)
    const first = this.#keys.slice(0, size).map(key => this.#member(key, BASE_STAKE, 0))
    const second_ = this.#keys.slice(0, size).map(key => this.#member(key, BASE_STAKE, 1))
    this.#members.set(0, first).set(1, second_)
    this.genesisEpoch = {
      epoch: 0,
      members: first,
      nextMembers: second_,
      firstIndex: 0,
      history: this.networkId,
      timestamp: BEGINNING,
      beacon: firstBeacon(this.networkId)
    }

    const lossRate = this.faults.has('drop') ? this.random.between(1, 10) / 100 : 0
    const calm = (): boolean => this.agenda.now >= FAULTS_END
    const spread = spreadLinks(this.random, this.#keys.length, () => (calm() ? 0 : lossRate), init.equalLinks)
    this.#delay = spread.mean
    this.network = new Network(this.agenda, spread)
    this.checks = new Checks(this)
    this.clients = new Clients(this, accounts, size === 1 ? 2 : CLIENTS)
    const dishonest = DISHONEST.some(fault => this.faults.has(fault))
    const most = Math.floor((size - 1) / 3) - (this.faults.has('wipe') ? 1 : 0)
    this.dishonest = dishonest ? Math.max(0, most) : 0
    this.#keys.forEach((key, index) => {
      const bad = index < this.dishonest
      this.witnesses.push(bad ? new ByzantineWitness(this, index, key, this.faults) : new Witness(this, index, key))
    })
  }

  /** Runs the world to its end, or to its first violation. */
  run(): Outcome {
    planFaults(this, this.faults)
    for (const witness of this.witnesses) this.agenda.after(this.random.between(0, 50), () => witness.begin())
    this.clients.begin()
    let settled = 0
    this.agenda.plan(Math.min(FAULTS_END + SETTLING, this.end / 2), () => (settled = this.checks.commits))
    const broken = (): boolean => this.checks.violations.length > 0
    this.agenda.run(this.end, broken)
    if (!broken() && this.clients.overdue(this.end).length > 0) this.agenda.run(this.end + GRACE, broken)
    if (this.checks.violations.length === 0) this.checks.live(settled)
    return {
      seed: this.init.seed,
      faults: [...this.faults].sort(),
      violations: this.checks.violations,
      commits: this.checks.commits,
      transactions: this.clients.done,
      epochs: Math.max(...this.witnesses.map(({ consensus }) => consensus.epoch)) + 1,
      finality: this.finality,
      delay: this.#delay,
      fingerprint: this.checks.fingerprint,
      trace: this.#lines
    }
  }

  /** What an accurate clock shows. */
  wallAt(now: number): number {
    return BEGINNING + Math.floor(now)
  }

  peersOf(index: number): string[] {
    return this.witnesses.filter(other => other.index !== index).map(({ name }) => name)
  }

  membersOf(epoch: number): readonly Member[] | undefined {
    return this.#members.get(epoch)
  }

  /** Who an author of an epoch is. */
  authorOf(epoch: number, author: number): Witness | undefined {
    const key = this.#members.get(epoch)?.[author]?.key
    return key === undefined ? undefined : this.witnesses[this.#keys.indexOf(this.#keyLike(key))]
  }

  /**
   * The committee of an epoch, from what is staked in a state. Everyone has some stake of the genesis beside, and its chain, so that a
   * committee is full from the first election on.
   */
  electFor({ state }: SimulatedLedger, epoch: number): Elected {
    const staked = new Map(candidatesFor(state, epoch).map(candidate => [toHex(candidate.key), candidate]))
    const candidates = this.#keys.map(key => {
      const { stake = 0n, tip } = staked.get(toHex(key)) ?? {}
      const member = this.#member(key, BASE_STAKE + stake, epoch)
      if (tip !== undefined && !equalBytes(tip, member.tip))
        this.checks.fail('validity', 'a chain that nobody registered')
      return member
    })
    const members = elect(candidates, this.#genesis.witnesses.length)
    if (!this.#members.has(epoch)) this.#members.set(epoch, members)
    return { epoch, members }
  }

  chainOf(key: Uint8Array, epoch: number): RevealChain {
    const name = `${toHex(key)}/${epoch}`
    let chain = this.#chains.get(name)
    if (chain === undefined) {
      chain = new RevealChain(this.identities.chainSeed(key, epoch), CHAIN_LENGTH)
      this.#chains.set(name, chain)
    }
    return chain
  }

  newLedger(): SimulatedLedger {
    return new SimulatedLedger(genesisState(this.#genesis), this.networkId)
  }

  /**
   * What a witness without a database begins with: the history up to a checkpoint that a quorum has certified, as another
   * witness has it. Blocks aren't in it; they are fetched.
   */
  checkpointFor(witness: Witness): Entry[] {
    const donors = this.witnesses.filter(({ honest, up }) => honest && up)
    const donor = donors.length === 0 ? null : this.random.pick(donors)
    const beginning: Entry[] = [{ type: 'epoch', start: this.genesisEpoch }]
    if (donor === null || donor === witness) return beginning
    const entries = donor.disk.entries.filter(({ type }) => type !== 'block')
    const certified = this.checks.certifiedIndex
    const end = entries.findLastIndex(entry => entry.type === 'commit' && entry.record.index <= certified)
    return end < 0 ? beginning : entries.slice(0, end + 1)
  }

  makeTransaction(account: Account, change: Parameters<typeof makeTransaction>[2]): ReturnType<typeof makeTransaction> {
    return makeTransaction(this, account, change)
  }

  /** A line of the trace; made only where somebody wants it. */
  readonly trace = (witness: Witness | null, text: () => string): void => {
    if (!this.init.traced) return
    this.#lines.push(`${this.agenda.now.toFixed(0).padStart(6)} ${witness?.name ?? '--'} ${text()}`)
    if (this.#lines.length > TRACE_LINES) this.#lines.shift()
  }

  #member(key: Uint8Array, stake: bigint, epoch: number): Member {
    return { key, stake, tip: this.chainOf(key, epoch).tip }
  }

  #keyLike(key: Uint8Array): Uint8Array {
    return this.#keys.find(other => equalBytes(other, key)) ?? key
  }
}
