import {
  networkId,
  trustGenesis,
  verifyProof,
  type CommitteeMembers,
  type Genesis,
  type ProofRequest,
  type Proven,
  type Signer,
  encodeCanonical,
  toHex
} from '@pekka/node/protocol'
import { verifyTransaction, type VerifiedTransaction } from '@pekka/node/ledger'
import { LocalLedger, type Decision, type Sequencer } from '@pekka/node/agents/witness'
import { createHashing, createSigner, createVerifier } from '@pekka/node/host/crypto'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { CommitteeCheckpoints, type Notes } from '../../../../src/agents/witness/network/index.js'
import { createTestNetwork, seed, type Sender } from '../support.js'

const verifier = createVerifier()
type Hear = Parameters<Notes['onNote']>[1]

/** A sequencer that decides what the test says. */
class Scripted implements Sequencer {
  readonly #decisions: Decision[] = []
  #wake: () => void = () => {}

  propose(): void {}

  decide(decision: Decision): Promise<void> {
    return new Promise(resolve => {
      const stored = (): readonly never[] => {
        resolve()
        return []
      }
      this.#decisions.push({ ...decision, stored })
      this.#wake()
    })
  }

  async next(_: unknown, signal: AbortSignal): Promise<Decision> {
    for (;;) {
      signal.throwIfAborted()
      const decision = this.#decisions.shift()
      if (decision !== undefined) return decision
      await new Promise<void>(resolve => {
        this.#wake = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
  }
}

/** One of the witnesses: its ledger, and its checkpoints. Notes go over the world's wires. */
export class Member {
  readonly store = new MemoryLedgerStore()
  sequencer = new Scripted()
  checkpoints!: CommitteeCheckpoints
  ledger!: LocalLedger
  hear: Hear = () => Promise.resolve('taken')
  /** What peers said that no witness says. */
  broken: string[] = []
  warnings: string[] = []

  constructor(
    readonly world: CheckpointWorld,
    readonly signer: Signer
  ) {}

  get name(): string {
    return toHex(this.signer.publicKey)
  }

  async start(): Promise<void> {
    const { world, signer, store } = this
    const log = {
      info: () => {},
      warn: (_: object, text: string) => void this.warnings.push(text),
      error: (_: object, text: string) => void this.warnings.push(text)
    }
    const notes: Notes = {
      tell: (topic, bytes, to) => world.carry(this, bytes, to),
      onNote: (_, hear) => void (this.hear = hear),
      peers: world.members.filter(other => other !== this).map(({ name }) => name)
    }
    const components = { store, signer, verifier, hashing: createHashing(), notes, clock: world.clock, log }
    this.checkpoints = new CommitteeCheckpoints(components, { genesis: world.genesis, look: 20, wait: 500 })
    this.sequencer = new Scripted()
    this.ledger = new LocalLedger(
      { store, sequencer: this.sequencer, prover: this.checkpoints, verifier, clock: world.clock, log },
      { genesis: encodeCanonical(world.genesis) }
    )
    const starting = this.ledger.start()
    if (store.last() < 0) await this.sequencer.decide(world.decision(0, []))
    await starting
  }

  async prove(what: ProofRequest): Promise<Proven | null> {
    const bytes = await this.ledger.prove(what)
    return bytes === null ? null : await verifyProof(bytes, trustGenesis(this.world.genesis), verifier)
  }
}

/** Witnesses that execute the same commits, without a consensus, and tell each other of their checkpoints. */
export class CheckpointWorld {
  readonly genesis: Genesis
  readonly sender: Sender
  readonly members: Member[]
  now: number
  epoch = 0
  /** Whether a note gets there. */
  passes: (from: Member, to: Member) => boolean = () => true
  readonly #network: Uint8Array

  constructor(count: number) {
    const { genesis, demo } = createTestNetwork()
    const signers = Array.from({ length: count }, () => createSigner(seed()))
    this.genesis = { ...genesis, witnesses: signers.map(({ publicKey }) => ({ key: publicKey, stake: 1n })) }
    this.#network = networkId(this.genesis)
    this.sender = demo
    this.members = signers.map(signer => new Member(this, signer))
    this.now = Date.now()
  }

  /** A second after the last commit: what isn't certified by then is missing something. */
  readonly clock = { now: (): number => this.now + 1_000 }

  /** Index of the last commit of any. */
  get height(): number {
    return Math.max(...this.members.map(({ store }) => store.last()))
  }

  get committee(): CommitteeMembers {
    return trustGenesis(this.genesis).members
  }

  decision(passed: number, transactions: VerifiedTransaction[], last = false): Decision {
    this.now += passed
    const [first] = this.members
    if (first === undefined) throw new TypeError('a world has members')
    return {
      timestamp: this.now,
      transactions,
      due: true,
      witness: first.signer.publicKey,
      sign: message => first.signer.sign(message),
      isFinal: () => true,
      committee: { epoch: this.epoch, members: this.committee, next: this.committee, last }
    }
  }

  /** The same commit on all of these. */
  async commit(
    passed: number,
    transactions: VerifiedTransaction[] = [],
    { on = this.members, last = false }: { on?: readonly Member[]; last?: boolean } = {}
  ): Promise<void> {
    const decision = this.decision(passed, transactions, last)
    if (last) this.epoch += 1
    await Promise.all(on.map(({ sequencer }) => sequencer.decide(decision)))
  }

  /** A signed transaction that draws from the faucet. */
  async draw(): Promise<VerifiedTransaction> {
    const [first] = this.members
    if (first === undefined) throw new TypeError('a world has members')
    const { bytes } = await this.sender.sign(first.ledger, { kind: 'faucet', amount: 1n }, { network: this.#network })
    return await verifyTransaction(bytes, verifier)
  }

  carry(from: Member, bytes: Uint8Array, to?: string): void {
    for (const member of this.members) {
      if (member === from || (to !== undefined && member.name !== to) || !this.passes(from, member)) continue
      setImmediate(() => void this.deliver(from, member, bytes))
    }
  }

  async deliver(from: Member, to: Member, bytes: Uint8Array): Promise<void> {
    if ((await to.hear(from.name, from.name, bytes)) === 'broken') to.broken.push(from.name)
  }

  async start(): Promise<void> {
    await Promise.all(this.members.map(member => member.start()))
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map(({ ledger }) => ledger.stop()))
  }
}
