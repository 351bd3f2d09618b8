import { CHECKPOINT_HEARTBEAT_MS } from '../constants.js'
import { CHECKPOINT_INTERVAL_MS } from '../../constants.js'

/** What of a commit says whether a checkpoint is made after it. */
export interface CommitPlace {
  /** The commit's own, which is the same on every witness. */
  timestamp: number
  /** It changed more than the ledger's time. */
  changes: boolean
  /** It is the last of its epoch. */
  last: boolean
}

/**
 * After which commits a committee makes checkpoints. All witnesses must sign the same ones, so nothing counts but the commits themselves:
 * neither a clock nor what somebody asked for.
 */
export class CheckpointRule {
  /**
   * @param timestamp of the commit that the last checkpoint is about; null: there was none
   * @param changed whether commits since then changed more than the ledger's time
   */
  constructor(
    private timestamp: number | null = null,
    private changed = false
  ) {}

  /** Whether anything has changed since the last checkpoint. */
  get hasChanged(): boolean {
    return this.changed
  }

  /** The next commit. Says whether a checkpoint is made after it. */
  next({ timestamp, changes, last }: CommitPlace): boolean {
    this.changed ||= changes
    const wait = this.changed ? CHECKPOINT_INTERVAL_MS : CHECKPOINT_HEARTBEAT_MS
    const due = last || this.timestamp === null || timestamp - this.timestamp >= wait
    if (!due) return false
    this.timestamp = timestamp
    this.changed = false
    return true
  }
}
