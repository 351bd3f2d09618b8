import { commitVoteDigest, equalBytes, toHex, type CommitVote } from '@pekka/node/protocol'
import { brokenInvariants } from '@pekka/node/ledger'
import { MAX_EARLY_BLOCKS, MAX_NEXT_EPOCH_BLOCKS, MAX_PENDING, MAX_SUSPENDED_PER_AUTHOR } from '@pekka/node/consensus'
import type { Commit, Effect, OpenedBlock } from '@pekka/node/consensus'
import type { Witness } from './witness.js'
import type { World } from './world.js'

export interface Violation {
  /** Virtual ms. */
  at: number
  check: string
  detail: string
}

interface Reference {
  digest: string
  state: string
  vote: string
  by: string
}

/** Violations kept of one seed: the first says most. */
const MAX_VIOLATIONS = 10

/** Blocks in memory per author: a few garbage depths, what a late witness has to build on, an equivocator's copies. */
const BLOCKS_PER_AUTHOR = 400

/** Watches a world. Everything is compared with what the first honest witness came to; every later one must come to the same. */
export class Checks {
  readonly violations: Violation[] = []
  /** The one history, by commit index. */
  readonly #history: Reference[] = []
  readonly #written = new Map<string, string>()
  readonly #acknowledged = new Map<string, { id: string; index: number }[]>()
  /** Ids that clients sent: nothing else may be ordered. */
  readonly submitted = new Set<string>()
  certifiedIndex = -1
  #lastTimestamp = 0

  constructor(private readonly world: World) {}

  get commits(): number {
    return this.#history.length
  }

  /** Hash of the one history. */
  get fingerprint(): string {
    return this.#history.at(-1)?.vote ?? ''
  }

  fail(check: string, detail: string): void {
    const at = Math.round(this.world.agenda.now)
    this.world.trace(null, () => `VIOLATION ${check}: ${detail}`)
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push({ at, check, detail })
  }

  /** Prefix agreement, no conflicting commits, equal states, validity, supply. */
  committed(witness: Witness, { core, digest, transactions, blocks }: Commit, state: Uint8Array): void {
    if (!witness.honest) return
    const known = this.#history[core.index]
    const mine = { digest: toHex(digest), state: toHex(state), vote: toHex(commitVoteDigest(digest, state)) }
    if (known !== undefined) {
      if (known.digest !== mine.digest) {
        this.fail('agreement', `commit ${core.index} of ${witness.name} isn't that of ${known.by}`)
      } else if (known.state !== mine.state) {
        this.fail('state', `after commit ${core.index} ${witness.name} has another state than ${known.by}`)
      }
      return
    }
    if (core.index !== this.#history.length) this.fail('gap', `${witness.name} commits ${core.index} out of turn`)
    this.#history[core.index] = { ...mine, by: witness.name }
    this.#checkValidity(
      witness,
      core.timestamp,
      transactions.map(({ id }) => toHex(id)),
      blocks
    )
    for (const broken of brokenInvariants(witness.ledger.state)) this.fail('supply', broken)
  }

  #checkValidity(witness: Witness, timestamp: number, ids: readonly string[], blocks: readonly OpenedBlock[]): void {
    const stranger = ids.find(id => !this.submitted.has(id))
    if (stranger !== undefined) this.fail('validity', `${witness.name} orders ${stranger}, which nobody sent`)
    if (new Set(ids).size !== ids.length) this.fail('validity', 'a transaction twice in one commit')
    if (timestamp < this.#lastTimestamp) this.fail('validity', 'time goes back')
    const latest = this.world.wallAt(this.world.agenda.now) + this.world.maxClockError
    if (timestamp > latest) this.fail('validity', `commit time is ${timestamp - latest} ms ahead of every honest clock`)
    this.#lastTimestamp = timestamp
    // What several equivocators copied may be there twice; what an honest one wrote may not.
    const places = new Set<string>()
    for (const { block } of blocks) {
      const place = `${block.epoch}/${block.round}/${block.author}`
      const honest = this.world.authorOf(block.epoch, block.author)?.honest
      if (honest && places.has(place)) this.fail('equivocation', `two blocks of honest ${place} are committed`)
      places.add(place)
    }
  }

  /** Nobody honest ever signs two blocks for a round. */
  sent(witness: Witness, { block, key }: OpenedBlock): void {
    if (!witness.honest) return
    const place = `${witness.name} epoch ${block.epoch} round ${block.round}`
    const before = this.#written.get(place)
    if (before !== undefined && before !== key) this.fail('equivocation', place)
    this.#written.set(place, key)
  }

  /** What a client was told is final, on the disk of who told it, and in the one history. */
  acknowledged(witness: Witness, id: string, index: number): void {
    if (!witness.honest) return
    const list = this.#acknowledged.get(witness.name) ?? []
    this.#acknowledged.set(witness.name, [...list.slice(-63), { id, index }])
    if (index >= this.#history.length) this.fail('acknowledged', `${id} at ${index}, which isn't decided`)
  }

  /** After a restart or at the end: everything acknowledged up to where it has come is there. */
  remembers(witness: Witness): void {
    for (const list of this.#acknowledged.values()) {
      for (const { id, index } of list) {
        if (index > witness.consensus.lastCommit) continue
        if (witness.ledger.final.get(id) !== index)
          this.fail('lost', `${witness.name} doesn't know ${id} of commit ${index}`)
      }
    }
  }

  /** Only true histories are certified. */
  certified(witness: Witness, vote: CommitVote): void {
    this.certifiedIndex = Math.max(this.certifiedIndex, vote.index)
    const known = this.#history[vote.index]
    if (!witness.honest || (known !== undefined && known.vote === toHex(vote.digest))) return
    this.fail('certificate', `commit ${vote.index} is certified with another digest`)
  }

  /** Nobody honest is accused. */
  accused(witness: Witness, { author, rule, blocks }: Extract<Effect, { type: 'misbehaviour' }>): void {
    const epoch = blocks[0]?.block.epoch ?? 0
    const accused = this.world.authorOf(epoch, author)
    if (witness.honest && accused?.honest) this.fail('accusation', `${accused.name} of breaking ${rule}`)
  }

  halted(witness: Witness, issue: string): void {
    if (witness.honest) this.fail('halt', `${witness.name}: ${issue}`)
  }

  /** Whatever is thrown at it, a witness holds no more than this. */
  bounded(witness: Witness): void {
    if (!witness.honest) return
    const { blocks, waiting, transactions, told } = witness.consensus.sizes
    const size = this.world.witnesses.length
    const most = size * MAX_SUSPENDED_PER_AUTHOR + MAX_EARLY_BLOCKS + MAX_NEXT_EPOCH_BLOCKS
    if (blocks > size * BLOCKS_PER_AUTHOR) this.fail('memory', `${witness.name} holds ${blocks} blocks`)
    if (waiting > most) this.fail('memory', `${waiting} blocks wait at ${witness.name}`)
    if (transactions > MAX_PENDING) this.fail('memory', `${transactions} transactions wait at ${witness.name}`)
    if (told > MAX_PENDING) this.fail('memory', `${told} transactions stand by at ${witness.name}`)
  }

  /** Some time after the last fault: every honest witness goes on, to the same states. */
  live(before: number): void {
    if (this.commits <= before) this.fail('liveness', `no commit after ${before}`)
    for (const witness of this.world.witnesses) {
      if (!witness.honest || !witness.up) continue
      this.remembers(witness)
      const { lastCommit, epoch, round } = witness.consensus
      if (lastCommit < before) {
        this.fail(
          'liveness',
          `${witness.name} is at commit ${lastCommit} (epoch ${epoch}, round ${round}), not ${before}`
        )
      }
      const known = this.#history[lastCommit]
      if (known !== undefined && !equalBytes(witness.ledger.digest, fromReference(known))) {
        this.fail('state', `${witness.name} ends with another state`)
      }
    }
    for (const wait of this.world.clients.overdue(this.world.end)) this.fail('liveness', wait)
  }
}

const fromReference = ({ state }: Reference): Uint8Array =>
  Uint8Array.from(state.match(/../g) ?? [], pair => Number.parseInt(pair, 16))
