import { taggedHash } from '@pekka/node/protocol'
import type { Commit, Elected, EpochStart, Member } from '@pekka/node/consensus'
import { encodeEpochStart } from '../blocks/records.js'

/** What a witness goes on from after the last commit of an epoch. */
export interface ResumePoint {
  /** The next epoch; `nextMembers` are those whom that last commit elected. */
  start: EpochStart
  /** Digest of the state that commit votes are about. */
  state: Uint8Array
}

/** What the checkpoint of an epoch's last commit names as `resume`. */
export const resumeDigest = (network: Uint8Array, { start, state }: ResumePoint): Uint8Array =>
  taggedHash('pekka/resume/v1', network, encodeEpochStart(start), state)

/** Where the epoch after a last commit begins; equal on every witness, since it follows from the commits. */
export function startAfter(
  { core, record, digest }: Commit,
  members: readonly Member[],
  elected: Elected | null
): EpochStart {
  return {
    epoch: core.epoch + 1,
    members: members.map(plainMember),
    nextMembers: elected === null ? null : elected.members.map(plainMember),
    firstIndex: core.index + 1,
    history: digest,
    timestamp: record.timestamp,
    beacon: record.beacon
  }
}

/** Without what a member may carry besides. */
const plainMember = ({ key, stake, tip }: Member): Member => ({ key, stake, tip })
