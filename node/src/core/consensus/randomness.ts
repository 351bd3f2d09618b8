import { equalBytes, sha256, taggedHash, toHex } from '../protocol/index.js'
import type { Committee } from './committee.js'
import { MAX_WAITING_DRAWS } from './constants.js'

/**
 * The ledger's randomness (R26). Each witness registers the end (`tip`) of a hash chain before an epoch; its block of round r
 * opens link r, so neither the block's content nor a second block for the same round changes what it adds. What a leader can
 * do is to withhold its block; docs/ledger.md states what that is worth.
 */

/** A witness's hash chain for one epoch: link r hashes to link r−1, link 0 is the tip. */
export class RevealChain {
  readonly #length: number
  readonly #stride: number
  /** Every stride-th link: √length of them, so that any link costs at most √length hashes. */
  readonly #kept = new Map<number, Uint8Array>()
  readonly tip: Uint8Array

  /** @param seed 32 secret bytes, never used for another epoch */
  constructor(seed: Uint8Array, length: number) {
    this.#length = length
    this.#stride = Math.max(1, Math.floor(Math.sqrt(length)))
    let link = seed
    for (let round = length; round > 0; round--) {
      if (round === length || round % this.#stride === 0) this.#kept.set(round, link)
      link = sha256(link)
    }
    this.tip = link
  }

  /** The link that the block of `round` opens; null: beyond the chain's end. */
  at(round: number): Uint8Array | null {
    if (round > this.#length || round < 1) return null
    const above = Math.min(this.#length, Math.ceil(round / this.#stride) * this.#stride)
    let link = this.#kept.get(above) ?? null
    for (let at = above; at > round && link !== null; at--) link = sha256(link)
    return link
  }
}

/** Checks opened links against the tips, by way of the last link seen of each author. */
export class RevealBook {
  readonly #known: { round: number; link: Uint8Array }[]

  constructor(committee: Committee) {
    this.#known = committee.members.map(({ tip }) => ({ round: 0, link: tip }))
  }

  accepts(author: number, round: number, link: Uint8Array): boolean {
    const known = this.#known[author]
    if (known === undefined) return false
    if (round <= known.round) return equalBytes(hashed(known.link, known.round - round), link)
    if (!equalBytes(hashed(link, round - known.round), known.link)) return false
    this.#known[author] = { round, link }
    return true
  }
}

function hashed(link: Uint8Array, times: number): Uint8Array {
  let at = link
  for (let i = 0; i < times; i++) at = sha256(at)
  return at
}

/** Where the ledger's randomness stands after a commit. Plain data: it is stored with the commit. */
export interface BeaconState {
  /** R_i. */
  readonly value: Uint8Array
  /** Commits that wait for their draw, ascending. */
  readonly waiting: readonly {
    readonly index: number
    readonly epoch: number
    readonly round: number
    /** Block keys of distinct leaders of rounds ≥ r+2 so far, and their stake. */
    readonly leaders: readonly string[]
    readonly stake: number
  }[]
}

/** Before the first commit. */
export const firstBeacon = (network: Uint8Array): BeaconState => ({ value: network, waiting: [] })

/**
 * One commit on: R_i = H(R_{i−1}, what the leader's block opened). A commit is drawn by the first R after more than f stake of
 * distinct leaders of rounds ≥ r+2 has added to it: at least one of them is honest, and what it adds was fixed before and was
 * unknown to the others.
 * @returns the next state, and which commits R_i draws
 */
export function advanceBeacon(
  state: BeaconState,
  commit: { index: number; epoch: number; round: number; author: number; reveal: Uint8Array },
  committee: Committee
): { state: BeaconState; draws: number[] } {
  const value = taggedHash('pekka/randomness/v1', state.value, commit.reveal)
  const leader = toHex(committee.members[commit.author]?.key ?? value)
  const weight = committee.weight(commit.author)
  const draws: number[] = []
  const waiting: BeaconState['waiting'][number][] = []
  for (const entry of state.waiting) {
    const counts = commit.epoch > entry.epoch || commit.round >= entry.round + 2
    const fresh = counts && !entry.leaders.includes(leader)
    const next = fresh ? { ...entry, leaders: [...entry.leaders, leader], stake: entry.stake + weight } : entry
    if (next.stake > committee.faulty) draws.push(entry.index)
    else waiting.push(next)
  }
  const { index, epoch, round } = commit
  waiting.push({ index, epoch, round, leaders: [], stake: 0 })
  return { state: { value, waiting: waiting.slice(-MAX_WAITING_DRAWS) }, draws }
}

/** The draw for a task's attempt that was committed in a commit which R draws. */
export const drawFor = (randomness: Uint8Array, task: Uint8Array, attempt: number): Uint8Array =>
  taggedHash('pekka/draw/v1', randomness, task, new Uint8Array([attempt]))

/** What receipts say about a draw: one witness knows and can choose all of them. */
export const drawKind = (committee: Committee): 'single witness' | 'committee' =>
  committee.size === 1 ? 'single witness' : 'committee'
