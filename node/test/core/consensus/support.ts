import { sha256, toHex, u32, utf8, type BlockReference, type Transaction } from '@pekka/node/protocol'
import {
  Committee,
  CommitRule,
  Dag,
  firstBeacon,
  genesisReferences,
  LeaderSchedule,
  openedBlock,
  referenceTo,
  STANDARD_PACE,
  STANDARD_PARAMETERS,
  STANDARD_RULES,
  type ConsensusParameters,
  type ConsensusRules,
  type EpochStart,
  type OpenedBlock,
  type PayloadTransaction
} from '@pekka/node/consensus'
import { Epoch } from '../../../src/core/consensus/epoch.js'

export const NETWORK = sha256(utf8('test network'))

export const committeeOf = (stakes: readonly bigint[], epoch = 0): Committee =>
  new Committee(
    epoch,
    stakes.map((stake, i) => ({ key: sha256(u32(i)), stake, tip: NETWORK }))
  )

/** A DAG that a test draws block by block. Leaders are 0, 1, 2, 3, 0, … from round 1 on when stakes are equal. */
export class Drawing {
  readonly dag: Dag
  readonly schedule: LeaderSchedule
  readonly rule: CommitRule
  readonly #names = new Map<string, OpenedBlock>()

  constructor(stakes: readonly bigint[] = [1n, 1n, 1n, 1n], rules: ConsensusRules = STANDARD_RULES, leaders = 1) {
    const committee = committeeOf(stakes)
    this.dag = new Dag(committee, genesisReferences(NETWORK, 0, NETWORK, stakes.length))
    this.schedule = new LeaderSchedule(committee, leaders)
    this.rule = new CommitRule({ dag: this.dag, schedule: this.schedule, rules })
  }

  /** Makes a block `A1` (author A, round 1) on named blocks; own parent first. A small letter tells versions apart: `A1b`. */
  make(
    name: string,
    parents: readonly string[] = [],
    change: Partial<OpenedBlock['block']> = {},
    weak: readonly string[] = [],
    carried: readonly PayloadTransaction[] = []
  ): OpenedBlock {
    const author = name.charCodeAt(0) - 65
    const round = Number(/\d+/.exec(name)?.[0])
    const genesis = this.dag.genesis.map(reference => reference)
    const named = round === 1 && parents.length === 0 ? genesis : parents.map(parent => referenceTo(this.get(parent)))
    const mine = (reference: BlockReference): boolean => reference.author === author
    return openedBlock(
      {
        block: {
          v: 1,
          network: NETWORK,
          epoch: 0,
          author,
          round,
          timestamp: 1000 * round + (/[a-z]$/.exec(name)?.[0].charCodeAt(0) ?? 0),
          parents: [...named.filter(mine), ...named.filter(reference => !mine(reference))],
          weak: weak.map(other => referenceTo(this.get(other))),
          transactions: carried.map(({ bytes }) => bytes),
          votes: [],
          reveal: NETWORK,
          ...change
        },
        signature: new Uint8Array(64)
      },
      carried
    )
  }

  add(
    name: string,
    parents: readonly string[] = [],
    change: Partial<OpenedBlock['block']> = {},
    weak: readonly string[] = [],
    carried: readonly PayloadTransaction[] = []
  ): OpenedBlock {
    const block = this.make(name, parents, change, weak, carried)
    this.dag.add(block)
    this.#names.set(name, block)
    return block
  }

  /** Blocks of some authors in a round, each on the same parents: `row('ABCD', 2, ['A1', 'B1', 'C1'])`. */
  row(authors: string, round: number, parents: readonly string[] = []): string[] {
    return [...authors].map(author => {
      this.add(`${author}${round}`, parents)
      return `${author}${round}`
    })
  }

  get(name: string): OpenedBlock {
    const block = this.#names.get(name)
    if (block === undefined) throw new TypeError(`no block ${name}`)
    return block
  }

  nameOf({ key }: OpenedBlock): string {
    for (const [name, block] of this.#names) if (block.key === key) return name
    return toHex(NETWORK)
  }

  /** The decisions from the first slot on, as text: `A1 B2 skip:3`. */
  decided(from = { round: 1, offset: 0 }): string {
    const texts = this.rule
      .decide(from)
      .map(decision =>
        decision.status === 'commit' ? this.nameOf(decision.leader) : `${decision.status}:${decision.slot.round}`
      )
    return texts.join(' ')
  }
}

/** How the first epoch of a network of these witnesses begins. */
export const startOf = ({ members }: Committee): EpochStart => ({
  epoch: 0,
  members,
  nextMembers: null,
  firstIndex: 0,
  history: NETWORK,
  timestamp: 0,
  beacon: firstBeacon(NETWORK)
})

/** An epoch that holds what is drawn. */
export function epochOf({ dag }: Drawing, parameters: Partial<ConsensusParameters>): Epoch {
  const all = { ...STANDARD_PARAMETERS, ...parameters }
  const components = { network: NETWORK, rules: STANDARD_RULES, pace: STANDARD_PACE, parameters: all }
  const epoch = new Epoch(startOf(dag.committee), components)
  for (let round = 1; round <= dag.highestRound; round++) for (const block of dag.inRound(round)) epoch.dag.add(block)
  return epoch
}

/** A transaction that consensus orders; nobody executes it. */
export function transactionOf(
  seed: number,
  previous: PayloadTransaction | null = null,
  sequence = 0
): PayloadTransaction {
  const account = sha256(u32(seed % 7))
  const transaction: Transaction = {
    v: 1,
    network: NETWORK,
    account,
    key: null,
    sequence,
    previous: previous?.id ?? null,
    parents: [NETWORK],
    expiry: seed,
    body: { kind: 'transfer', to: account, amount: 1n }
  }
  const id = sha256(u32(seed))
  return { transaction, signatures: [], id, bytes: id }
}
