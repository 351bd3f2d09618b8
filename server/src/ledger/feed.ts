import type { CommitView, LargeCommit, LedgerAccess } from '@pekka/node/protocol'
import type { LedgerMirror } from './mirror.js'

/** Commits kept for readers that keep up: half a second of a busy ledger. */
const KEPT_COMMITS = 64
/** Commits read at once from a witness for a reader that is behind. */
const BATCH_COMMITS = 64

/** Commits in a row, ascending; those in `large` are only named. */
export interface FeedPage {
  commits: CommitView[]
  large: LargeCommit[]
}

export interface LedgerFeedComponents {
  ledger: Pick<LedgerAccess, 'history'>
  mirror: Pick<LedgerMirror, 'on' | 'now'>
}

/**
 * All commits in order for any number of readers, though the bridge follows the ledger once: what it has just seen from memory, and what a
 * reader missed, or the bridge itself, from the witness's history.
 */
export class LedgerFeed {
  readonly #recent = new Map<number, CommitView>()
  readonly #waiting = new Set<() => void>()
  readonly #off: (() => void)[]
  /** The page of history that is read now. One at a time for all readers: the bridge has one stream to the ledger for everything. */
  #reading: Promise<unknown> = Promise.resolve()

  constructor(private readonly components: LedgerFeedComponents) {
    const { mirror } = components
    this.#off = [
      mirror.on('committed', commit => this.#keep(commit)),
      // Also after a pause, when no commit has been seen yet.
      mirror.on('commit', () => this.#wake())
    ]
  }

  stop(): void {
    for (const off of this.#off) off()
    this.#wake()
  }

  /** The last commit that was seen, −1 before the first. */
  get last(): number {
    return this.components.mirror.now.index
  }

  /**
   * Commits from `from` on, ascending; waits for the first of them. They begin later where the witness has no older ones.
   * @throws the signal's reason; what the witness throws
   */
  async read(from: number, signal: AbortSignal): Promise<FeedPage> {
    while (this.last < from) await this.#news(signal)
    const kept: CommitView[] = []
    for (let next = from; kept.length < BATCH_COMMITS; next++) {
      const commit = this.#recent.get(next)
      if (commit === undefined) break
      kept.push(commit)
    }
    if (kept.length > 0) return { commits: kept, large: [] }
    const query = { from, count: BATCH_COMMITS, ascending: true }
    // No signal into it: a page whose reader went away still keeps its turn until the witness has answered.
    const page = this.#reading.then(() => {
      signal.throwIfAborted()
      return this.components.ledger.history({ kind: 'commits', query })
    })
    this.#reading = page.catch(() => undefined)
    const { commits, large = [] } = await page
    return { commits, large }
  }

  #keep(commit: CommitView): void {
    const { index } = commit.header
    this.#recent.set(index, commit)
    for (const old of this.#recent.keys()) if (old <= index - KEPT_COMMITS || old > index) this.#recent.delete(old)
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake()
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', aborted)
      }
      const wake = (): void => {
        end()
        resolve()
      }
      const aborted = (): void => {
        end()
        reject(signal.reason instanceof Error ? signal.reason : new Error('aborted'))
      }
      if (signal.aborted) return aborted()
      this.#waiting.add(wake)
      signal.addEventListener('abort', aborted, { once: true })
    })
  }
}
