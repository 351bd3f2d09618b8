import { sha256, taggedHash, u32, utf8, type WitnessBlock } from '@pekka/node/protocol'
import {
  Consensus,
  firstBeacon,
  openedBlock,
  RevealChain,
  STANDARD_PACE,
  STANDARD_PARAMETERS,
  Upgrades,
  type Commit,
  type CommitRecord,
  type ConsensusEvent,
  type ConsensusParameters,
  type Effect,
  type EpochStart,
  type Member,
  type OpenedBlock,
  type PayloadTransaction,
  type Resume
} from '@pekka/node/consensus'
import { NETWORK } from './support.js'

/** Time of a message from one node to another, ms. */
const DELAY = 10
const BEGINNING = 1_000_000

/** One witness of a {@link Net}: the consensus, and what its host has stored. */
export interface Node {
  readonly name: string
  readonly key: Uint8Array
  consensus: Consensus
  readonly commits: Commit[]
  readonly epochs: EpochStart[]
  readonly effects: Effect[]
  /** Accepted and own blocks, in order. */
  readonly blocks: OpenedBlock[]
  up: boolean
}

export interface NetInit {
  size: number
  parameters?: Partial<ConsensusParameters>
  upgrades?: readonly { from: number; value: ConsensusParameters }[]
  /** Committee of an epoch ≥ 2, elected by the state after the last commit of the epoch two before; default: the first one. */
  elect?: (epoch: number, candidates: readonly Member[]) => readonly Member[]
  /** Keys beyond the first committee's that may be elected. */
  spare?: number
}

/** Several instances of the production consensus on links that deliver everything after 10 ms. No disk, no signatures, no ledger. */
export class Net {
  readonly nodes: Node[] = []
  now = 0
  readonly #queue: { at: number; to: Node; event: ConsensusEvent }[] = []
  readonly #wakes = new Map<Node, number | null>()
  readonly #transactions = new Map<string, PayloadTransaction>()
  readonly #upgrades: Upgrades<ConsensusParameters>
  readonly first: EpochStart

  constructor(private readonly init: NetInit) {
    const { size, spare = 0, parameters } = init
    const standard = { ...STANDARD_PARAMETERS, seats: size, ...parameters }
    this.#upgrades = new Upgrades(init.upgrades ?? [{ from: 0, value: standard }])
    const keys = Array.from({ length: size + spare }, (_, i) => sha256(u32(i)))
    this.first = {
      epoch: 0,
      members: this.candidates(0).slice(0, size),
      nextMembers: this.candidates(1).slice(0, size),
      firstIndex: 0,
      history: NETWORK,
      timestamp: BEGINNING,
      beacon: firstBeacon(NETWORK)
    }
    const resume = { start: this.first, commits: [], blocks: [], lastProposed: null, lost: false }
    for (const [i, key] of keys.entries()) this.join(`n${i}`, key, resume)
  }

  /** Everybody who can sit in an epoch's committee, with the end of its chain for it. */
  candidates(epoch: number): Member[] {
    const all = this.init.size + (this.init.spare ?? 0)
    return Array.from({ length: all }, (_, i) => sha256(u32(i))).map(key => ({
      key,
      stake: 1n,
      tip: chainOf(key, epoch).tip
    }))
  }

  /** A witness comes up with what it has, and hears of the others. */
  join(name: string, key: Uint8Array, resume: Resume): Node {
    const consensus = new Consensus(
      { revealChain: epoch => chainOf(key, epoch) },
      { network: NETWORK, key, upgrades: this.#upgrades, pace: STANDARD_PACE, resume }
    )
    const node: Node = { name, key, consensus, commits: [], epochs: [], effects: [], blocks: [], up: true }
    this.nodes.push(node)
    for (const other of this.nodes) {
      const peers = this.nodes.filter(peer => peer !== other).map(peer => peer.name)
      this.#plan(0, other, other === node ? { type: 'start', peers } : { type: 'peers', peers })
    }
    return node
  }

  submit(node: Node, transaction: PayloadTransaction): void {
    this.#transactions.set(String(transaction.bytes), transaction)
    this.#plan(0, node, { type: 'transaction', transaction })
  }

  feed(node: Node, event: ConsensusEvent): Effect[] {
    const effects = node.up ? node.consensus.handle(event, { elapsed: this.now, wall: BEGINNING + this.now }) : []
    for (const effect of effects) this.#carryOut(node, effect)
    node.effects.push(...effects)
    return effects
  }

  /** Lets time pass until something holds; gives up after a minute. */
  until(done: () => boolean): void {
    const end = this.now + 60_000
    while (!done()) {
      this.#queue.sort((a, b) => a.at - b.at)
      const wake = [...this.#wakes].reduce<{ at: number; to: Node } | null>((first, [to, at]) => {
        return at !== null && (first === null || at < first.at) ? { at, to } : first
      }, null)
      const next = this.#queue[0]
      if (next !== undefined && (wake === null || next.at <= wake.at)) {
        this.#queue.shift()
        this.now = Math.max(this.now, next.at)
        this.feed(next.to, next.event)
      } else if (wake !== null) {
        this.#wakes.set(wake.to, null)
        this.now = Math.max(this.now, wake.at)
        this.feed(wake.to, { type: 'tick' })
      } else throw new Error('nothing happens any more')
      if (this.now > end) throw new Error('it takes too long')
    }
  }

  /** A signed block as it comes out of a decoder. */
  open(block: WitnessBlock): OpenedBlock {
    const transactions = block.transactions.flatMap(bytes => this.#transactions.get(String(bytes)) ?? [])
    return openedBlock({ block, signature: new Uint8Array(64) }, transactions)
  }

  #plan(delay: number, to: Node, event: ConsensusEvent): void {
    this.#queue.push({ at: this.now + delay, to, event })
  }

  #node(name: string): Node {
    const node = this.nodes.find(other => other.name === name)
    if (node === undefined) throw new TypeError(`no node ${name}`)
    return node
  }

  #carryOut(node: Node, effect: Effect): void {
    const blocks = (to: Node, sent: readonly OpenedBlock[], answer: boolean): void => {
      if (node.up) this.#plan(DELAY, to, { type: 'blocks', from: node.name, blocks: sent, answer })
    }
    switch (effect.type) {
      case 'store':
        return void node.blocks.push(effect.block)
      case 'propose':
        return this.#plan(0, node, { type: 'signed', block: this.open(effect.block) })
      case 'broadcast':
        for (const other of this.nodes) if (other !== node) blocks(other, [effect.block], false)
        return
      case 'relay':
        for (const name of effect.to) blocks(this.#node(name), [effect.block], false)
        return
      case 'spare':
        return this.#plan(DELAY, this.#node(effect.to), { type: 'spare', from: node.name, author: effect.author })
      case 'fetch': {
        const asked = this.#node(effect.to).blocks.filter(({ key }) => effect.keys.includes(key))
        return this.#plan(2 * DELAY, node, { type: 'blocks', from: effect.to, blocks: asked, answer: false })
      }
      case 'fetch-rounds': {
        const { epoch, from, count } = effect
        const asked = this.#node(effect.to).blocks.filter(
          ({ block }) => block.epoch === epoch && block.round >= from && block.round < from + count
        )
        return this.#plan(2 * DELAY, node, {
          type: 'blocks',
          from: effect.to,
          blocks: asked,
          answer: true,
          seat: effect.to
        })
      }
      case 'commit': {
        node.commits.push(effect.commit)
        const { index, epoch } = effect.commit.core
        const state = taggedHash('state', effect.commit.digest)
        const elect = this.init.elect ?? ((_, all) => all.slice(0, this.init.size))
        const members = elect(epoch + 2, this.candidates(epoch + 2))
        const elected = effect.commit.last ? { epoch: epoch + 2, members } : null
        return this.#plan(0, node, { type: 'executed', index, state, elected })
      }
      case 'epoch':
        return void node.epochs.push(effect.start)
      case 'tell': {
        const transactions = effect.transactions.map(transaction => ({ transaction }))
        for (const other of this.nodes) if (other !== node) this.#plan(DELAY, other, { type: 'told', transactions })
        return
      }
      case 'stand-in':
        for (const transaction of effect.transactions) this.#plan(0, node, { type: 'transaction', transaction })
        return
      case 'wake':
        return void this.#wakes.set(node, effect.at)
      case 'halt':
        node.up = false
    }
  }
}

/** What a host that took a node's commits over (with their state) goes on from: the last epoch's start and records; no blocks. */
export function checkpointOf({ epochs, commits }: Node, first: EpochStart, index: number): Resume {
  const taken = commits.filter(({ core }) => core.index <= index)
  const start = epochs.findLast(epoch => epoch.firstIndex <= index) ?? first
  const records: CommitRecord[] = taken.filter(({ core }) => core.epoch === start.epoch).map(({ record }) => record)
  return { start, commits: records, blocks: [], lastProposed: null, lost: false }
}

const chains = new Map<string, RevealChain>()
export function chainOf(key: Uint8Array, epoch: number): RevealChain {
  const name = `${String(key)}/${epoch}`
  const chain = chains.get(name) ?? new RevealChain(taggedHash('chain', key, u32(epoch), utf8('test')), 400)
  chains.set(name, chain)
  return chain
}
