import {
  blockMessage,
  decodeCanonical,
  decodeSigned,
  encodeCertificate,
  equalBytes,
  genesisSchema,
  isPekkaError,
  networkId,
  PekkaError,
  toHex,
  transactionId,
  transactionsHash,
  trustGenesis,
  trustNext,
  verifyCertificate,
  type Certificate,
  type Trust,
  type Verifier
} from '@pekka/node/protocol'
import { decodeRow, MemoryState, stateTreeOf, TABLE_NAMES, type Hashing, type Table } from '@pekka/node/ledger'
import type { BesideRow, RestoredLedger, StoredRow } from '@pekka/node/host/storage'
import { pastAskRow, pastRow, type PastOutcome } from '../../past.js'
import { resumeRows } from '../blocks/block-keeper.js'
import type { EpochStep } from '../checkpoints/checkpoint-messages.js'
import { certifiedRows } from '../checkpoints/checkpoint-rows.js'
import { FINAL_WINDOW } from '../constants.js'
import { signersOf } from '../executing.js'
import { decodeEpochStart } from '../blocks/records.js'
import { MAX_SNAPSHOT_ROWS } from './constants.js'
import { decodeSnapshot, type SnapshotCommit, type SnapshotHead, type SnapshotRecord } from './format.js'
import { resumeDigest, type ResumePoint } from './resume.js'

export interface RestoreComponents {
  verifier: Verifier
  hashing: Hashing
}

export interface VerifiedSnapshot {
  certificate: Certificate
  /** What a store is filled with. */
  ledger: RestoredLedger
}

const refuse = (issue: string): never => {
  throw new PekkaError('SNAPSHOT_INVALID', { issue })
}

/**
 * Reads a snapshot and believes none of it: the genesis must be that of the network; committees are followed from it by their certificates
 * to the one that has signed the checkpoint; the rows must have its root, the commits lead to its head, and where the epoch begins is what it names.
 *
 * @param network id of the network
 * @param pieces the file's bytes
 * @throws PekkaError SNAPSHOT_INVALID, NETWORK_MISMATCH
 */
export async function verifySnapshot(
  components: RestoreComponents,
  network: Uint8Array,
  pieces: AsyncIterable<Uint8Array>
): Promise<VerifiedSnapshot> {
  const reading = new Reading(components, network)
  for await (const record of decodeSnapshot(pieces)) await reading.take(record)
  return reading.finish()
}

/** What has been read so far. */
class Reading {
  #head: SnapshotHead | null = null
  #trust: Trust | null = null
  readonly #steps: EpochStep[] = []
  #index = -1
  readonly #rows: StoredRow[] = []
  readonly #state = new MemoryState()
  #lastRow = ''
  #lastCommit: { index: number; message: Uint8Array } | null = null
  #commits = 0
  readonly #past: PastOutcome[] = []
  readonly #places: { id: Uint8Array; index: number; position: number }[] = []
  readonly #asks = new Map<string, Uint8Array>()
  #verified = false

  constructor(
    private readonly components: RestoreComponents,
    private readonly network: Uint8Array
  ) {}

  async take(record: SnapshotRecord): Promise<void> {
    if (record.kind === 'head') return this.#takeHead(record)
    if (record.kind === 'steps') return await this.#takeSteps(record.steps)
    // What follows may be large: first who vouches for it.
    await this.#verifyHead()
    if (record.kind === 'rows') this.#takeRows(record.rows)
    else if (record.kind === 'commits') for (const commit of record.commits) this.#takeCommit(commit)
    else if (record.kind === 'asks') for (const bytes of record.transactions) this.#takeAsk(bytes)
  }

  #takeHead(head: SnapshotHead): void {
    const genesis = parseOr(() => genesisSchema.parse(decodeCanonical(head.genesis)), 'its genesis is none')
    if (!equalBytes(networkId(genesis), this.network)) throw new PekkaError('NETWORK_MISMATCH')
    this.#head = head
    this.#trust = trustGenesis(genesis)
  }

  async #takeSteps(steps: readonly EpochStep[]): Promise<void> {
    for (const step of steps) {
      this.#trust = await this.#checked(async () => {
        await verifyCertificate(step.certificate, this.#needTrust(), this.components.verifier)
        if (step.certificate.checkpoint.index <= this.#index) refuse('an epoch does not follow the one before')
        this.#index = step.certificate.checkpoint.index
        return trustNext(step.certificate.checkpoint, step.next)
      })
      this.#steps.push(step)
    }
  }

  /** The checkpoint, by the committee that the steps lead to; and that the next epoch begins as it says. */
  async #verifyHead(): Promise<void> {
    if (this.#verified) return
    const { certificate, start: bytes, state } = this.#needHead()
    const { checkpoint } = certificate
    await this.#checked(() => verifyCertificate(certificate, this.#needTrust(), this.components.verifier))
    if (checkpoint.index <= this.#index) refuse('an epoch does not follow the one before')
    const start = parseOr(() => decodeEpochStart(bytes), 'the beginning of its epoch is none')
    const { resume } = checkpoint
    if (resume === undefined || !equalBytes(resume, resumeDigest(this.network, { start, state })))
      refuse('the next epoch begins otherwise than its checkpoint says')
    this.#verified = true
  }

  #takeRows(rows: readonly (readonly [string, string, Uint8Array])[]): void {
    if (this.#rows.length + rows.length > MAX_SNAPSHOT_ROWS) refuse('it has too many rows')
    for (const [name, key, value] of rows) {
      const place = `${TABLE_NAMES.findIndex(table => table === name)
        .toString()
        .padStart(4, '0')}/${key}`
      const table = TABLE_NAMES.find(one => one === name)
      if (table === undefined || place <= this.#lastRow) return refuse('its rows are out of order')
      this.#lastRow = place
      this.#put(table, key, value)
      this.#rows.push({ table, key, value })
    }
  }

  #put<T extends Table>(table: T, key: string, value: Uint8Array): void {
    this.#state.put(
      table,
      key,
      parseOr(() => decodeRow(table, decodeCanonical(value)), 'a row is of another version')
    )
  }

  #takeCommit({ ordered, ...header }: SnapshotCommit): void {
    const before = this.#lastCommit
    if (++this.#commits > FINAL_WINDOW) refuse('it has too many commits')
    if (before !== null && (header.index !== before.index + 1 || !equalBytes(header.previous, before.message)))
      refuse('its commits do not follow one another')
    if (!equalBytes(header.transactionsHash, transactionsHash(ordered.map(([id, code]) => ({ id, code })))))
      refuse('a commit ordered other transactions')
    this.#lastCommit = { index: header.index, message: blockMessage(this.network, header) }
    ordered.forEach(([id, code], position) => {
      this.#places.push({ id, index: header.index, position })
      this.#past.push({ id, index: header.index, timestamp: header.timestamp, code })
    })
  }

  #takeAsk(bytes: Uint8Array): void {
    const id = parseOr(() => toHex(transactionId(decodeSigned(bytes).transaction)), 'the transaction of an ask is none')
    this.#asks.set(id, bytes)
  }

  finish(): VerifiedSnapshot {
    if (!this.#verified) refuse('it has no state')
    const { certificate, genesis, start: bytes, state } = this.#needHead()
    const { checkpoint } = certificate
    if (!equalBytes(stateTreeOf(this.components.hashing, this.#state).root, checkpoint.stateRoot))
      refuse('its rows are not those that a quorum has signed')
    const last = this.#lastCommit
    const needed = Math.min(FINAL_WINDOW, checkpoint.index + 1)
    if (last === null || last.index !== checkpoint.index || !equalBytes(last.message, checkpoint.head))
      return refuse('its commits do not lead to what a quorum has signed')
    if (this.#commits !== needed) refuse('commits are missing')
    const point = { start: decodeEpochStart(bytes), state }
    return {
      certificate,
      ledger: {
        genesis,
        index: checkpoint.index,
        rows: this.#rows,
        transactions: this.#places,
        checkpoint: { index: checkpoint.index, certificate: encodeCertificate(certificate) },
        beside: this.#beside(certificate, point)
      }
    }
  }

  #beside(certificate: Certificate, point: ResumePoint): BesideRow[] {
    const { start } = point
    const next = signersOf(start.members)
    const made = { checkpoint: certificate.checkpoint, members: this.#needTrust().members, next }
    const asks: BesideRow[] = []
    for (const key of this.#state.keys('ask')) {
      const id = toHex(this.#state.get('ask', key)?.transaction ?? new Uint8Array())
      const bytes = this.#asks.get(id)
      if (bytes !== undefined) asks.push(pastAskRow(id, bytes))
    }
    return [
      ...resumeRows(start, point.state),
      ...certifiedRows(made, [...this.#steps, { certificate, next }]),
      ...this.#past.map(pastRow),
      ...asks
    ]
  }

  #needHead(): SnapshotHead {
    return this.#head ?? refuse('it has no head')
  }

  #needTrust(): Trust {
    return this.#trust ?? refuse('it has no head')
  }

  /** A proof that doesn't hold makes the snapshot one that doesn't. */
  async #checked<T>(check: () => Promise<T>): Promise<T> {
    try {
      return await check()
    } catch (error) {
      if (!isPekkaError(error) || error.code !== 'PROOF_INVALID') throw error
      return refuse(String(error.data['issue']))
    }
  }
}

function parseOr<T>(read: () => T, issue: string): T {
  try {
    return read()
  } catch {
    return refuse(issue)
  }
}
