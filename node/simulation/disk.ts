import type { Write } from '@pekka/node/ledger'
import type { BlockKey, CommitRecord, EpochStart, OpenedBlock } from '@pekka/node/consensus'
import type { Elected } from '@pekka/node/consensus'
import type { Agenda } from './queue.js'
import type { Random } from './random.js'

/** What a witness writes, in order. A commit's record, its rows and the next election are one entry: one batch. */
export type Entry =
  | { type: 'block'; block: OpenedBlock }
  | { type: 'epoch'; start: EpochStart }
  | {
      type: 'commit'
      record: CommitRecord
      writes: readonly Write[]
      state: Uint8Array
      ids: readonly string[]
      elected: Elected | null
    }

/** A disk that loses what wasn't synced: after a crash any beginning of that may still be there. */
export class Disk {
  #entries: Entry[] = []
  #synced = 0
  #busyUntil = 0
  #blocks = new Map<BlockKey, OpenedBlock>()
  #rounds = new Map<number, Map<number, OpenedBlock[]>>()
  /** The file beside the database; written and synced before a proposal leaves. */
  lastProposed: OpenedBlock | null = null
  /** Changes when the machine goes down: syncs under way then never end. */
  #life = 0

  constructor(
    private readonly agenda: Agenda,
    private readonly random: Random,
    /** How long a sync takes now, ms. */
    private readonly latency: () => number
  ) {}

  get entries(): readonly Entry[] {
    return this.#entries
  }

  write(entry: Entry): void {
    this.#entries.push(entry)
    if (entry.type === 'block') this.#index(entry.block)
  }

  /** Calls back when everything written so far is on disk. Syncs queue up. */
  sync(done: () => void): void {
    const upTo = this.#entries.length
    const life = this.#life
    this.#busyUntil = Math.max(this.#busyUntil, this.agenda.now) + this.latency()
    this.agenda.plan(this.#busyUntil, () => {
      if (life !== this.#life) return
      this.#synced = Math.max(this.#synced, upTo)
      done()
    })
  }

  crash(): void {
    this.#life += 1
    this.#busyUntil = 0
    this.#entries.length = this.random.between(this.#synced, this.#entries.length)
    this.#synced = this.#entries.length
    this.#blocks = new Map()
    this.#rounds = new Map()
    for (const entry of this.#entries) if (entry.type === 'block') this.#index(entry.block)
  }

  /** The database is gone; what another one gave is the beginning of a new one. */
  replace(entries: readonly Entry[]): void {
    this.#entries = [...entries]
    this.#synced = entries.length
    this.#blocks = new Map()
    this.#rounds = new Map()
  }

  block(key: BlockKey): OpenedBlock | undefined {
    return this.#blocks.get(key)
  }

  /** Stored blocks of some rounds, ascending. */
  rounds(epoch: number, from: number, count: number): OpenedBlock[] {
    const rounds = this.#rounds.get(epoch)
    return Array.from({ length: count }, (_, i) => rounds?.get(from + i) ?? []).flat()
  }

  #index(block: OpenedBlock): void {
    const { epoch, round } = block.block
    this.#blocks.set(block.key, block)
    let rounds = this.#rounds.get(epoch)
    if (rounds === undefined) this.#rounds.set(epoch, (rounds = new Map()))
    rounds.set(round, [...(rounds.get(round) ?? []), block])
  }
}
