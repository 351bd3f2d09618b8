import type { Commit } from '@pekka/node/consensus'

/** Commits that are decided and not executed yet, in order. Who decides waits while there are too many. */
export class CommitQueue {
  readonly #commits: Commit[] = []
  #failed: { error: unknown } | null = null
  #news: () => void = () => {}
  #room: () => void = () => {}

  constructor(private readonly most: number) {}

  get size(): number {
    return this.#commits.length
  }

  add(commit: Commit): void {
    this.#commits.push(commit)
    this.#news()
  }

  /** Nothing comes any more: `next` throws this, whatever waits. */
  fail(error: unknown): void {
    this.#failed ??= { error }
    this.#news()
    this.#room()
  }

  /** The next one. One caller at a time. @throws the signal's reason, or what the consensus failed with */
  async next(signal: AbortSignal): Promise<Commit> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#failed !== null) throw this.#failed.error
      const commit = this.#commits.shift()
      if (commit !== undefined) {
        if (this.#commits.length < this.most) this.#room()
        return commit
      }
      await new Promise<void>(resolve => {
        const wake = (): void => {
          signal.removeEventListener('abort', wake)
          resolve()
        }
        this.#news = wake
        signal.addEventListener('abort', wake, { once: true })
      })
    }
  }

  /** Resolves once fewer than `most` wait. */
  async room(): Promise<void> {
    while (this.#failed === null && this.#commits.length >= this.most) {
      await new Promise<void>(resolve => (this.#room = resolve))
    }
  }
}
