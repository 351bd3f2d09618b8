import type { CommitView } from '@pekka/node/protocol'
import { RECENT_COMMITS } from './constants.js'

/** Commits in order without gaps, for any number of followers: history first, then live. A slow follower costs an index. */
export class CommitFeed {
  readonly #recent = new Map<number, CommitView>()
  readonly #waiting = new Set<() => void>()

  constructor(private readonly components: { last: () => number; read: (index: number) => Promise<CommitView> }) {}

  /** Tells followers of a commit that is stored. */
  add(commit: CommitView): void {
    this.#recent.set(commit.header.index, commit)
    this.#recent.delete(commit.header.index - RECENT_COMMITS)
    for (const wake of [...this.#waiting]) wake()
  }

  async get(index: number): Promise<CommitView> {
    return this.#recent.get(index) ?? (await this.components.read(index))
  }

  /** Ends when the signal aborts. */
  async *follow(after: number, signal: AbortSignal): AsyncGenerator<CommitView, void, undefined> {
    for (let next = after + 1; !signal.aborted;) {
      if (next <= this.components.last()) yield await this.get(next++)
      else await this.#news(signal)
    }
  }

  #news(signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const wake = () => {
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
      if (signal.aborted) wake()
    })
  }
}
