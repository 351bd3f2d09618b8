import { commitDigest, toHex, type CommitCore } from '../protocol/index.js'
import { referenceTo, type OpenedBlock, type PayloadTransaction } from './block.js'
import type { Committee } from './committee.js'
import { knownOf } from './dag.js'
import type { Epoch } from './epoch.js'
import type { Commit, CommitRecord, EpochStart } from './events.js'
import { commitTimestamp, orderTransactions } from './linearise.js'
import { advanceBeacon, drawKind, type BeaconState } from './randomness.js'

/** Whose block brought each transaction first. */
function includersOf(
  transactions: readonly PayloadTransaction[],
  blocks: readonly OpenedBlock[],
  { members }: Committee
): Uint8Array[] {
  const first = new Map<string, Uint8Array>()
  for (const { block, transactions: carried } of blocks) {
    const key = members[block.author]?.key
    if (key === undefined) throw new TypeError('a committed block has an author')
    for (const { id } of carried) if (!first.has(toHex(id))) first.set(toHex(id), key)
  }
  return transactions.map(({ id }) => first.get(toHex(id)) ?? new Uint8Array(32))
}

/** The sequence of commits over all epochs: where it stands, and its next element. */
export class History {
  #index: number
  #digest: Uint8Array
  #timestamp: number
  #beacon: BeaconState

  constructor(start: EpochStart, last: CommitRecord | undefined) {
    this.#index = last === undefined ? start.firstIndex : last.index + 1
    this.#digest = last?.digest ?? start.history
    this.#timestamp = last?.timestamp ?? start.timestamp
    this.#beacon = last?.beacon ?? start.beacon
  }

  /** Index of the next commit. */
  get index(): number {
    return this.#index
  }

  /** The leader is decided: what it commits is the next element. `next`: the slot after it. */
  append(epoch: Epoch, leader: OpenedBlock, next: CommitRecord['next'], version: number): Commit {
    const { committee, dag, start } = epoch
    const { author, round, reveal } = leader.block
    const index = this.#index
    // Before the epoch's garbage line moves.
    const timestamp = commitTimestamp(dag, leader, { before: this.#timestamp, started: start.timestamp })
    const blocks = epoch.commit(leader, next)
    const place = { index, epoch: epoch.epoch, round, author, reveal }
    const { state: beacon, draws } = advanceBeacon(this.#beacon, place, committee)
    const core: CommitCore = {
      index,
      epoch: epoch.epoch,
      leader: referenceTo(leader),
      blocks: blocks.map(({ id }) => id),
      timestamp,
      randomness: beacon.value
    }
    const digest = commitDigest(this.#digest, core)
    const known = blocks.map(knownOf)
    const transactions = orderTransactions(blocks)
    const line = { leaderRound: round, next, gcRound: epoch.gcRound }
    const record = { index, epoch: epoch.epoch, ...line, digest, timestamp, beacon, blocks: known }
    this.#index = index + 1
    this.#digest = digest
    this.#timestamp = timestamp
    this.#beacon = beacon
    return {
      core,
      digest,
      leader,
      blocks,
      transactions,
      includers: includersOf(transactions, blocks, committee),
      witness: committee.members[author]?.key ?? start.history,
      draws,
      drawKind: drawKind(committee),
      version,
      last: epoch.endsWith(index, round),
      record
    }
  }

  /** The next epoch, after the last commit of this one. */
  nextEpoch({ epoch }: Epoch, members: EpochStart['members']): EpochStart {
    return {
      epoch: epoch + 1,
      members,
      nextMembers: null,
      firstIndex: this.#index,
      history: this.#digest,
      timestamp: this.#timestamp,
      beacon: this.#beacon
    }
  }
}
