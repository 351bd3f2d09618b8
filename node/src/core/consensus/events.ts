import type { CommitCore, CommitVote, WitnessBlock } from '../protocol/index.js'
import type { BlockKey, OpenedBlock, PayloadTransaction } from './block.js'
import type { Member } from './committee.js'
import type { Known } from './dag.js'
import type { BeaconState } from './randomness.js'

/** Names a connection; the witness process chooses it. */
export type PeerId = string

/** Now, as the witness's host sees it: `elapsed` ms only go forward and set the pace; `wall` ms since 1970 go into blocks. */
export interface Instant {
  readonly elapsed: number
  readonly wall: number
}

/** The committee of an epoch, elected by the state after the last commit of the epoch two before it. */
export interface Elected {
  readonly epoch: number
  readonly members: readonly Member[]
}

/** Everything that can happen to a witness. The host feeds events one at a time and carries out the effects in order. */
export type ConsensusEvent =
  | { type: 'start'; peers: readonly PeerId[] }
  /** Who is connected now. */
  | { type: 'peers'; peers: readonly PeerId[] }
  /**
   * Blocks that a peer sent, opened by the host. `answer`: it says that they answer a `fetch-rounds`. `seat`: its block key, hex, where it has
   * proven one with a seat.
   */
  | { type: 'blocks'; from: PeerId; blocks: readonly OpenedBlock[]; answer: boolean; seat?: string | null }
  /** A verified transaction of a client. `bucket`: its account's, by the ledger's state (0: nothing behind it). */
  | { type: 'transaction'; transaction: PayloadTransaction; bucket?: number }
  /** Verified transactions that other witnesses have told of. */
  | { type: 'told'; transactions: readonly { transaction: PayloadTransaction; bucket?: number }[] }
  /** These can't be ordered any more, by the ledger's state: `stand-in` named them, or no block has taken them up in all their time. */
  | { type: 'unfit'; ids: readonly Uint8Array[] }
  /** A peer says how far it is, or sent a block of an epoch whose committee isn't known here yet. Nobody has vouched for it. */
  | { type: 'heard'; from: PeerId; epoch: number; round: number }
  /** A peer asks to be spared blocks of an author (a block key): it gets them earlier elsewhere. */
  | { type: 'spare'; from: PeerId; author: Uint8Array }
  /** An own block that `propose` asked for is signed and on disk. */
  | { type: 'signed'; block: OpenedBlock }
  /**
   * A commit has been executed and stored. `state`: digest of what that came to. `elected`: after the last commit of epoch e,
   * the committee of epoch e+2.
   */
  | { type: 'executed'; index: number; state: Uint8Array; elected: Elected | null }
  /** The time that `wake` named has come. */
  | { type: 'tick' }

/** What a witness asks of its host. */
export type Effect =
  /** Keep an accepted block. On disk before the next `propose` or `commit` is carried out. */
  | { type: 'store'; block: OpenedBlock }
  /**
   * Sign this, write it to disk (as a block, and as the last proposal, which is kept apart from the database), and only then
   * feed `signed`. Nothing may leave the process before that.
   */
  | { type: 'propose'; block: WitnessBlock }
  /** To all peers. */
  | { type: 'broadcast'; block: OpenedBlock }
  /** To these peers; somebody else's block that was taken in. */
  | { type: 'relay'; block: OpenedBlock; to: readonly PeerId[] }
  /** Tell a peer not to pass on blocks of this author (a block key) for a while; it feeds `spare`. */
  | { type: 'spare'; to: PeerId; author: Uint8Array }
  /** Ask a peer for blocks by id. It answers with what it has stored. */
  | { type: 'fetch'; to: PeerId; keys: readonly BlockKey[] }
  /** Ask a peer for all it has stored of `count` rounds of an epoch. */
  | { type: 'fetch-rounds'; to: PeerId; epoch: number; from: number; count: number }
  /** Execute these transactions and store what that gives with the commit's record in one step; then feed `executed`. */
  | { type: 'commit'; commit: Commit }
  /** There is no room for this transaction; whoever sent it is to come again. */
  | { type: 'turned-away'; id: Uint8Array }
  /** Tell all witnesses of these, in one message; they feed `told`. Losing it costs time only. */
  | { type: 'tell'; transactions: readonly PayloadTransaction[] }
  /**
   * Nobody has brought these into the order, which others have told of, and it is this witness's turn: feed each that the ledger
   * would still take, in this order, as `transaction`, and others as `unfit` unless that may change.
   */
  | { type: 'stand-in'; transactions: readonly PayloadTransaction[] }
  /** These, which others have told of, stand by no longer: there was no room, or they were here already, or nobody could order them. */
  | { type: 'let-go'; ids: readonly Uint8Array[] }
  /** A new epoch begins. Store it with the commit before it. */
  | { type: 'epoch'; start: EpochStart }
  /** A quorum of this committee says so. */
  | { type: 'certified'; vote: CommitVote }
  /**
   * A member of this epoch broke a rule; for the operator. `key`: its block key. With EQUIVOCATION `blocks` are the slot's first two, both
   * accepted, which prove it to anyone; it is told once for each slot.
   */
  | { type: 'misbehaviour'; author: number; key: Uint8Array; rule: string; blocks: readonly OpenedBlock[] }
  /** Feed `tick` at this time (elapsed ms); it replaces the time named before. null: no tick. */
  | { type: 'wake'; at: number | null }
  /** More than f stake is dishonest, or the software is wrong: stop before anything else becomes final. */
  | { type: 'halt'; issue: string }

/** A commit of the DAG: the next piece of the total order. */
export interface Commit {
  readonly core: CommitCore
  /** Digest of the history up to and with this commit. */
  readonly digest: Uint8Array
  readonly leader: OpenedBlock
  /** In order; the leader's block is the last. */
  readonly blocks: readonly OpenedBlock[]
  /** In order, each once. */
  readonly transactions: readonly PayloadTransaction[]
  /** For each of them the block key of the witness in whose block it came first. */
  readonly includers: readonly Uint8Array[]
  /** Block key of the leader. */
  readonly witness: Uint8Array
  /** Commits that this one's randomness draws (R26). */
  readonly draws: readonly number[]
  readonly drawKind: 'single witness' | 'committee'
  /** Rules in force, by commit index. */
  readonly version: number
  /** The last commit of its epoch: the host elects the committee of the epoch after the next. */
  readonly last: boolean
  /** What a restart needs. */
  readonly record: CommitRecord
}

/** What must be stored of a commit so that a witness can go on from it. Plain data. */
export interface CommitRecord {
  readonly index: number
  readonly epoch: number
  readonly leaderRound: number
  /** The first slot after the leader's. */
  readonly next: { readonly round: number; readonly offset: number }
  readonly gcRound: number
  readonly digest: Uint8Array
  readonly timestamp: number
  readonly beacon: BeaconState
  /** What it committed. */
  readonly blocks: readonly Known[]
}

/** Where an epoch begins. Plain data; equal on every witness. */
export interface EpochStart {
  readonly epoch: number
  readonly members: readonly Member[]
  /** Committee of the next epoch; null while its election isn't executed yet. A host that restores this fills it in. */
  readonly nextMembers: readonly Member[] | null
  /** Index of its first commit. */
  readonly firstIndex: number
  /** Digest of the commit before it; the network's id before the first. */
  readonly history: Uint8Array
  readonly timestamp: number
  readonly beacon: BeaconState
}
