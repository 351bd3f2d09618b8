import type { BlockReference, WitnessBlock } from '@pekka/node/protocol'
import type { Effect, OpenedBlock, PayloadTransaction } from '@pekka/node/consensus'
import { DISHONEST, type Fault } from './faults.js'
import { Witness, type Message } from './witness.js'
import type { World } from './world.js'

/** Own blocks of the round before that a dishonest witness may go on from. */
const KEPT = 8

/**
 * A witness that breaks the rules. It runs the production consensus to know what is going on, and sends what suits it: several
 * blocks for a round, each to some; blocks without the leader, late, to few, against the rules, or none; lies about what it has.
 */
export class ByzantineWitness extends Witness {
  readonly #habits: readonly Fault[]
  #own: OpenedBlock[] = []

  constructor(world: World, index: number, key: Uint8Array, faults: ReadonlySet<Fault>) {
    super(world, index, key)
    this.#habits = DISHONEST.filter(fault => faults.has(fault))
  }

  override get honest(): boolean {
    return false
  }

  override receive(from: number, message: Message): void {
    if (message.type !== 'blocks' && this.#does('silent')) return
    super.receive(from, message)
  }

  protected override propose({ block }: Extract<Effect, { type: 'propose' }>): void {
    const { random } = this.world
    const versions = [this.#seal(this.#rebased(block))]
    const copies = this.#does('spam') ? 8 : this.#does('equivocate') ? random.between(1, 2) : 0
    for (let i = 0; i < copies; i++) versions.push(this.#seal(this.#variant(block, i + 1)))
    this.#own = [...versions, ...this.#own].slice(0, KEPT)
    for (const version of versions) this.disk.write({ type: 'block', block: version })
    this.#distribute(versions)
    if (this.#does('invalid')) this.#sendInvalid(block)
    // It goes on from one of them itself; the others may be what the rest of the world has.
    this.signed(random.pick(versions))
  }

  /** What was to be sent was sent when it was made. */
  protected override broadcast(block: OpenedBlock): void {
    if (!this.#has('silent') && this.world.random.chance(0.3)) super.broadcast(block)
  }

  /** One that is silent tells of nothing; what a client gave it is lost until that client asks another one. */
  protected override tell(transactions: readonly PayloadTransaction[]): void {
    if (!this.#has('silent')) super.tell(transactions)
  }

  /** Passes on others' blocks when it likes. */
  protected override relay(block: OpenedBlock, to: readonly string[]): void {
    if (this.#has('silent') || this.#has('withhold')) return
    super.relay(
      block,
      to.filter(() => this.world.random.chance(0.5))
    )
  }

  protected override answer(to: number, blocks: readonly OpenedBlock[], rounds: boolean): void {
    const { random } = this.world
    if (this.#does('withhold') || this.#has('silent')) return
    if (!this.#does('lie')) return super.answer(to, blocks, rounds)
    const lies = [...blocks.slice(random.between(0, 3)), ...this.#own].map(({ bytes }) =>
      corrupted(bytes, random.between(0, 1))
    )
    this.send(to, { type: 'blocks', blocks: lies, answer: rounds })
  }

  #has(habit: Fault): boolean {
    return this.#habits.includes(habit)
  }

  /** Habits aren't followed all the time: a witness that always lies is soon ignored by everyone's rules alike. */
  #does(habit: Fault): boolean {
    return this.#has(habit) && this.world.random.chance(habit === 'spam' || habit === 'invalid' ? 0.3 : 0.7)
  }

  #seal(block: WitnessBlock): OpenedBlock {
    return this.world.identities.seal(this.key, block)
  }

  #distribute(versions: readonly OpenedBlock[]): void {
    const { random, agenda, witnesses } = this.world
    if (this.#has('silent')) return
    const late = this.#does('withhold') ? random.between(150, 900) : 0
    for (const { index } of witnesses) {
      if (index === this.index || (late > 0 && random.chance(0.3))) continue
      const all = this.#has('spam') && random.chance(0.5)
      const blocks = (all ? versions : [random.pick(versions)]).map(({ bytes }) => bytes)
      const wait = late > 0 && random.chance(0.7) ? late : 0
      agenda.after(wait, () => this.send(index, { type: 'blocks', blocks, answer: false }))
    }
  }

  /** The same block on top of another own block of the round before. */
  #rebased(block: WitnessBlock): WitnessBlock {
    const before = this.#own.filter(own => own.block.round === block.round - 1 && own.block.epoch === block.epoch)
    if (before.length === 0 || !this.#does('equivocate')) return block
    const { id } = this.world.random.pick(before)
    const [own, ...others] = block.parents
    return own === undefined ? block : { ...block, parents: [{ ...own, id }, ...others] }
  }

  /** Another block for the same round that keeps to the rules by itself: other votes, another time, other transactions. */
  #variant(block: WitnessBlock, number: number): WitnessBlock {
    const { random } = this.world
    const [own, ...others] = this.#rebased(block).parents
    const members = this.world.membersOf(block.epoch) ?? []
    const spare = Math.floor((members.length - 1) / 3) - (members.length - 1 - others.length)
    const left: BlockReference[] = [...others]
    for (let i = 0; i < spare; i++) if (random.chance(0.6)) left.splice(random.between(0, left.length - 1), 1)
    const parents = own === undefined ? block.parents : [own, ...left]
    const transactions = random.chance(0.5) ? [] : block.transactions
    return { ...block, parents, transactions, timestamp: block.timestamp + number }
  }

  /** A block that breaks one of the rules. */
  #sendInvalid(block: WitnessBlock): void {
    const { random, witnesses } = this.world
    const [own, ...others] = block.parents
    const far = 3_600_000
    const wrong: WitnessBlock[] = [
      { ...block, round: block.round + random.between(1, 100_000) },
      { ...block, timestamp: block.timestamp + far },
      { ...block, timestamp: Math.max(0, block.timestamp - far) },
      { ...block, reveal: block.network },
      { ...block, epoch: block.epoch + random.between(1, 1_000) },
      { ...block, author: random.between(0, witnesses.length - 1) },
      { ...block, weak: block.parents.slice(0, 2) },
      { ...block, votes: [{ index: 0, digest: block.network }, ...block.votes] },
      { ...block, parents: others.length > 0 ? others : block.parents },
      { ...block, parents: block.parents.slice(0, 1) },
      { ...block, parents: own === undefined ? block.parents : [own, own, ...others] },
      { ...block, parents: block.parents.map(parent => ({ ...parent, id: block.network })) },
      { ...block, parents: block.parents.map(parent => ({ ...parent, author: (parent.author + 1) % 7 })) }
    ]
    const bytes = this.world.identities.forge(this.key, random.pick(wrong))
    for (const { index } of witnesses) {
      if (index !== this.index) this.send(index, { type: 'blocks', blocks: [bytes], answer: random.chance(0.2) })
    }
  }
}

/** Bytes that aren't what was asked for: changed in one place, or as they were. */
function corrupted(bytes: Uint8Array, how: number): Uint8Array {
  if (how === 0) return bytes
  const copy = bytes.slice()
  const place = Math.floor(copy.length / 2)
  copy[place] = (copy[place] ?? 0) ^ 1
  return copy
}
