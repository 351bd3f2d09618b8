import { utf8, type Certificate } from '@pekka/node/protocol'
import type { BesideRow, LedgerStore } from '@pekka/node/host/storage'
import { readCertificate } from '../../archive.js'
import {
  decodeMade,
  decodeStep,
  encodeMade,
  encodeStep,
  type EpochStep,
  type MadeCheckpoint
} from './checkpoint-messages.js'

export type LastMade = MadeCheckpoint

const MADE = 'checkpoint/'
const STEP = 'epoch-step/'
const CHANGED = 'checkpoint-changed'
/** Digits of numbers in keys, so that text order is number order. */
const keyOf = (prefix: string, value: number): string => prefix + value.toString().padStart(12, '0')

/** What of checkpoints a witness has on disk beside the ledger; written with commits, never by itself. */
export interface KeptCheckpoints {
  /** The last one that was made; null before the first. */
  last: LastMade | null
  /** Those that have no certificate yet, ascending. */
  uncertified: MadeCheckpoint[]
  /** Whether commits after the last one changed anything. */
  changed: boolean
}

/**
 * A committee's checkpoints on disk. Each is stored with its commit: after a power cut that took all witnesses at once nobody could make it
 * anew, since the state has gone on, and those after it name its digest.
 */
export class CheckpointRows {
  /** To be written with the next checkpoint. */
  #waiting: BesideRow[] = []
  /** Commits whose certificates are stored: their rows can go, but the last. */
  readonly #settled = new Set<number>()
  readonly #steps = new Map<number, EpochStep>()

  constructor(private readonly store: Pick<LedgerStore, 'beside' | 'checkpointFrom'>) {}

  async load(): Promise<KeptCheckpoints> {
    const { beside } = this.store
    for await (const { value } of beside.rows(range(STEP))) {
      const step = decodeStep(value)
      this.#steps.set(step.certificate.checkpoint.epoch, step)
    }
    const made: MadeCheckpoint[] = []
    for await (const { value } of beside.rows(range(MADE))) made.push(decodeMade(value))
    const uncertified: MadeCheckpoint[] = []
    for (const one of made) {
      const { index } = one.checkpoint
      const stored = await this.store.checkpointFrom(index)
      if (stored?.index !== index) uncertified.push(one)
      else {
        this.settled(index)
        if (one.next !== null) this.step({ certificate: readCertificate(stored), next: one.next })
      }
    }
    return { last: made.at(-1) ?? null, uncertified, changed: (await beside.get(CHANGED)) !== null }
  }

  /** A commit after the last checkpoint changes something, the first one that does. */
  changed(index: number): BesideRow[] {
    return [{ key: CHANGED, value: utf8(String(index)) }]
  }

  /** A checkpoint is made with the commit that is being written. */
  made(made: MadeCheckpoint): BesideRow[] {
    const rows = [
      ...this.#waiting,
      ...[...this.#settled].map(index => ({ key: keyOf(MADE, index), value: null })),
      { key: keyOf(MADE, made.checkpoint.index), value: encodeMade(made) },
      { key: CHANGED, value: null }
    ]
    this.#waiting = []
    this.#settled.clear()
    return rows
  }

  /** The certificate of a checkpoint is stored, or nobody waits for it any more. */
  settled(index: number): void {
    this.#settled.add(index)
  }

  /** A certificate that names the next committee; the first of each epoch is kept for ever. */
  step(step: EpochStep): void {
    const { epoch } = step.certificate.checkpoint
    if (this.#steps.has(epoch)) return
    this.#steps.set(epoch, step)
    this.#waiting.push({ key: keyOf(STEP, epoch), value: encodeStep(step) })
  }

  /** The first certificate of an epoch that names the next committee. */
  firstOf(epoch: number): Certificate | undefined {
    return this.#steps.get(epoch)?.certificate
  }

  /** From the committee of one epoch to that of another; null: one is missing here. */
  steps(from: number, to: number): EpochStep[] | null {
    const steps: EpochStep[] = []
    for (let at = from; at < to; at++) {
      const step = this.#steps.get(at)
      if (step === undefined) return null
      steps.push(step)
    }
    return steps
  }
}

/** Rows of a certified checkpoint and of the steps to it and on, for a ledger that begins there. */
export const certifiedRows = (made: MadeCheckpoint, steps: readonly EpochStep[]): BesideRow[] => [
  { key: keyOf(MADE, made.checkpoint.index), value: encodeMade(made) },
  ...steps.map(step => ({ key: keyOf(STEP, step.certificate.checkpoint.epoch), value: encodeStep(step) }))
]

const range = (prefix: string): { gte: string; lt: string } => ({ gte: prefix, lt: `${prefix}\uffff` })
