import { toHex, trustGenesis, type Genesis } from '@pekka/node/protocol'
import type { Commit, Elected, EpochStart, Member } from '@pekka/node/consensus'
import type { CommitResult, Reader } from '@pekka/node/ledger'
import type { DecidingCommittee } from '../sequencer.js'
import { electAfter, signersOf } from './executing.js'
import { resumeDigest, startAfter, type ResumePoint } from './snapshot/resume.js'

export interface CommitteesInit {
  genesis: Genesis
  network: Uint8Array
  /** Most members of a committee. */
  seats: number
}

/** Who sits in the epochs about now: the one before, whose commits may still be executed, this one, and those that are elected already. */
export class Committees {
  readonly #members = new Map<number, readonly Member[]>()
  #epoch = 0

  constructor(private readonly init: CommitteesInit) {}

  /** The epoch this witness is in. */
  get epoch(): number {
    return this.#epoch
  }

  of(epoch: number): readonly Member[] | undefined {
    return this.#members.get(epoch)
  }

  has(key: Uint8Array): boolean {
    const wanted = toHex(key)
    return [...this.#members.values()].some(members => members.some(member => toHex(member.key) === wanted))
  }

  enter({ epoch, members }: EpochStart): void {
    this.#epoch = epoch
    this.#members.set(epoch, members)
    for (const known of this.#members.keys()) if (known < epoch - 1) this.#members.delete(known)
  }

  learn({ epoch, members }: Elected): void {
    this.#members.set(epoch, members)
  }

  /**
   * Whom the last commit of an epoch elects, two epochs ahead.
   * @returns null where nobody can be: the ledger stands still then at the end of the next epoch
   */
  elect(state: Reader, result: CommitResult, { core: { epoch } }: Commit): Elected | null {
    return electAfter(state, result, { epoch: epoch + 2, seats: this.init.seats })
  }

  /** The committee that has decided a commit. The consensus may be an epoch further. @param point where the next epoch begins */
  decidingOf({ core: { epoch }, last }: Commit, point: () => ResumePoint | null): DecidingCommittee | undefined {
    const members = this.of(epoch)
    if (members === undefined) return undefined
    const next = this.of(epoch + 1)
    const signers = epoch === 0 ? trustGenesis(this.init.genesis).members : signersOf(members)
    const resume = (): Uint8Array | null => {
      const known = point()
      return known === null ? null : resumeDigest(this.init.network, known)
    }
    return { epoch, members: signers, next: next === undefined ? null : signersOf(next), last, resume }
  }

  /** Where the next epoch begins, after the last commit of one; null: after any other, or where nobody was elected. */
  resumePoint(commit: Commit, elected: Elected | null, state: Uint8Array): ResumePoint | null {
    const members = this.of(commit.core.epoch + 1)
    return commit.last && members !== undefined ? { start: startAfter(commit, members, elected), state } : null
  }
}
