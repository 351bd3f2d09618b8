import { makeEquivocation, readEquivocation, toHex, type EquivocationSummary } from '@pekka/node/protocol'
import { EQUIVOCATION, type Effect, type OpenedBlock } from '@pekka/node/consensus'
import type { BesideRow, BesideStore } from '@pekka/node/host/storage'
import { MAX_EVIDENCE, MAX_EVIDENCE_PER_EPOCH } from '../constants.js'

type Misbehaviour = Extract<Effect, { type: 'misbehaviour' }>

const EVIDENCE = 'equivocation/'
/** Broken rules that are remembered as logged. */
const MAX_TOLD = 1_024
/** Rounds that are remembered as counted, the last ones: a round is told of twice at once, where both its blocks come in one go. */
const MAX_COUNTED = 1_024
const DIGITS = 12
const digits = (value: number): string => value.toString().padStart(DIGITS, '0')

/** What evidence is kept under: by epoch and round, then the block key. */
const rowKey = ({ epoch, round, key }: Pick<EquivocationSummary, 'epoch' | 'round' | 'key'>): string =>
  `${EVIDENCE}${digits(epoch)}/${digits(round)}/${toHex(key)}`

export interface EvidenceComponents {
  store: BesideStore
  /** Written with the next write, together with the blocks that it is made of. */
  write: (rows: readonly BesideRow[]) => void
  log: { warn(data: object, text: string): void }
}

/**
 * What witnesses did that proves them dishonest: two signed blocks for one round. The first few of a witness in an epoch are logged and kept, in bounds,
 * for anyone who asks; all are counted. Nobody loses stake by it: that is for people to decide.
 */
export class EvidenceBook {
  #kept: EquivocationSummary[] = []
  #seen = 0
  readonly #counted = new Set<string>()
  /** Other rules, by epoch and author, that were logged as broken. */
  readonly #told = new Set<string>()

  constructor(private readonly components: EvidenceComponents) {}

  /** Rounds in which somebody wrote two blocks, since this witness started. */
  get seen(): number {
    return this.#seen
  }

  /** What is kept, the oldest first. */
  get kept(): readonly EquivocationSummary[] {
    return this.#kept
  }

  /** Takes in what is on disk. */
  async load(): Promise<void> {
    this.#kept = []
    // A copy of what is in a row would be kept in memory with it: blocks are large, ids aren't.
    for await (const { value } of this.components.store.rows({ gte: EVIDENCE, lt: `${EVIDENCE}\uffff` })) {
      const { key, epoch, round, blocks } = readEquivocation(value)
      this.#kept.push({ key, epoch, round, blocks })
    }
  }

  /** The signed blocks as canonical bytes (`equivocationSchema`); null: none kept of that witness and round. */
  async read(of: Pick<EquivocationSummary, 'epoch' | 'round' | 'key'>): Promise<Uint8Array | null> {
    return await this.components.store.get(rowKey(of))
  }

  /** Somebody broke a rule. */
  note({ author, key, rule, blocks: [one, other] }: Misbehaviour): void {
    const { log, write } = this.components
    if (one === undefined) return
    if (rule !== EQUIVOCATION || other === undefined) return this.#noteBroken({ author, key, rule }, one)
    const { epoch, round } = one.block
    if (!this.#count(`${epoch}/${round}/${toHex(key)}`)) return
    const same = this.#kept.filter(each => each.epoch === epoch && toHex(each.key) === toHex(key))
    if (same.length >= MAX_EVIDENCE_PER_EPOCH || same.some(each => each.round === round)) return
    const blocks = idsOf(one, other)
    const last = same.length + 1 === MAX_EVIDENCE_PER_EPOCH
    log.warn(
      {
        author,
        key: toHex(key),
        epoch,
        round,
        blocks: blocks.map(toHex),
        ...(last && { note: 'its next ones in this epoch are only counted' })
      },
      'a witness equivocated: it signed two blocks for one round'
    )
    write([
      ...this.#room(),
      { key: rowKey({ epoch, round, key }), value: makeEquivocation(key, one.bytes, other.bytes) }
    ])
    this.#kept.push({ key, epoch, round, blocks })
  }

  /** @returns whether it wasn't counted yet */
  #count(round: string): boolean {
    if (this.#counted.has(round)) return false
    this.#seen += 1
    this.#counted.add(round)
    if (this.#counted.size <= MAX_COUNTED) return true
    for (const oldest of this.#counted) {
      this.#counted.delete(oldest)
      break
    }
    return true
  }

  /** What breaks a rule is kept by nobody, and proves nothing without its parents. */
  #noteBroken(
    { author, key, rule }: Pick<Misbehaviour, 'author' | 'key' | 'rule'>,
    { block, key: id }: OpenedBlock
  ): void {
    const what = `${block.epoch}/${author}/${rule}`
    if (this.#told.has(what)) return
    // Rules and members are few; epochs go by.
    if (this.#told.size >= MAX_TOLD) this.#told.clear()
    this.#told.add(what)
    this.components.log.warn({ author, key: toHex(key), rule, epoch: block.epoch, block: id }, 'a witness broke a rule')
  }

  /** The oldest goes where there is too much. */
  #room(): BesideRow[] {
    const over = this.#kept.splice(0, Math.max(0, this.#kept.length + 1 - MAX_EVIDENCE))
    return over.map(old => ({ key: rowKey(old), value: null }))
  }
}

const idsOf = (one: OpenedBlock, other: OpenedBlock): [Uint8Array, Uint8Array] =>
  one.key < other.key ? [one.id, other.id] : [other.id, one.id]
