import { MAX_COMMIT_VOTES, toHex, type CommitVote } from '../protocol/index.js'
import type { Committee } from './committee.js'
import { MAX_UNCERTIFIED } from './constants.js'

/**
 * Votes on commits: each block says which history and state its author came to. Q of them certify a commit; then nobody needs
 * to believe a single witness about it, and a witness that came to something else knows that it is wrong.
 */
export class CommitVotes {
  /** By commit index, by digest: who voted for it. */
  readonly #votes = new Map<number, Map<string, Set<number>>>()
  readonly #own = new Map<number, string>()
  #unsent: CommitVote[] = []
  #certified: number

  constructor(
    private readonly committee: Committee,
    /** Index of the last certified commit, −1 before the first. */
    certified: number
  ) {
    this.#certified = certified
  }

  /** The same under the next epoch's committee: what a committee certified stays, its open votes don't count for another. */
  under(committee: Committee): CommitVotes {
    const next = new CommitVotes(committee, this.#certified)
    for (const [index, digest] of this.#own) next.#own.set(index, digest)
    next.#unsent = this.#unsent
    return next
  }

  /** Index of the last certified commit. */
  get certified(): number {
    return this.#certified
  }

  /** The votes that the next own block carries; the latest, since they chain. */
  takeUnsent(): CommitVote[] {
    const votes = this.#unsent.slice(-MAX_COMMIT_VOTES)
    this.#unsent = []
    return votes
  }

  /** This witness has executed a commit. Returns whether it contradicts what a quorum has certified. */
  executed(vote: CommitVote): { conflict: boolean } {
    this.#unsent = [...this.#unsent, vote].slice(-MAX_COMMIT_VOTES)
    this.#own.set(vote.index, toHex(vote.digest))
    for (const index of this.#own.keys()) if (index < vote.index - MAX_UNCERTIFIED) this.#own.delete(index)
    const quorum = [...(this.#votes.get(vote.index) ?? [])].find(([, voters]) => this.committee.isQuorum(voters))
    return { conflict: quorum !== undefined && quorum[0] !== toHex(vote.digest) }
  }

  /** Counts the votes of an accepted block. */
  count(author: number, votes: readonly CommitVote[]): { certified: CommitVote | null; conflict: boolean } {
    let certified: CommitVote | null = null
    let conflict = false
    for (const vote of votes) {
      if (vote.index <= this.#certified || vote.index > this.#certified + MAX_UNCERTIFIED) continue
      const digest = toHex(vote.digest)
      const digests = this.#votes.get(vote.index) ?? new Map<string, Set<number>>()
      // One vote an author and commit: an equivocator doesn't count for two.
      if ([...digests.values()].some(voters => voters.has(author))) continue
      const voters = digests.get(digest) ?? new Set<number>()
      this.#votes.set(vote.index, digests.set(digest, voters.add(author)))
      if (!this.committee.isQuorum(voters)) continue
      const own = this.#own.get(vote.index)
      if (own !== undefined && own !== digest) conflict = true
      this.#certified = vote.index
      certified = vote
      for (const index of this.#votes.keys()) if (index < vote.index) this.#votes.delete(index)
    }
    return { certified, conflict }
  }
}
