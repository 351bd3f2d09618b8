import {
  blockMessage,
  decodeCanonical,
  encodeCertificate,
  equalBytes,
  genesisSchema,
  isPekkaError,
  networkId,
  PekkaError,
  toHex,
  transactionsHash,
  trustGenesis,
  trustNext,
  verifyCertificate,
  type Certificate,
  type Trust,
  type Verifier
} from '@pekka/node/protocol'
import { decodeRow, StateRoot, TABLE_NAMES, verifyTransaction, type Hashing } from '@pekka/node/ledger'
import type { BesideRow, RestoredLedger, StoredRow } from '@pekka/node/host/storage'
import { PAST_KEPT_MS } from '../../constants.js'
import { endRow, pastAskRow, pastRow, type PastOutcome } from '../../past.js'
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
 * Whether a quorum has signed what is in a snapshot: to be asked while it comes and before {@link verifySnapshot} reads it, of one that others made.
 * Nothing of it is held but 64 bytes a row, 256 MiB at most, since until the last row is here whoever knows a public checkpoint could say anything.
 *
 * @param offered what its maker said that it is after; another one is refused as soon as its head is here
 * @throws PekkaError SNAPSHOT_INVALID, NETWORK_MISMATCH
 */
export async function checkSnapshot(
  components: RestoreComponents,
  network: Uint8Array,
  pieces: AsyncIterable<Uint8Array>,
  offered?: { index: number; epoch: number }
): Promise<void> {
  const reading = new Reading(components, network, { keeps: false, offered })
  for await (const record of decodeSnapshot(pieces)) await reading.take(record)
  reading.finish()
}

/**
 * Reads a snapshot and believes none of it: the genesis must be that of the network; committees are followed from it by their certificates
 * to the one that has signed the checkpoint; the rows must have its root, the commits lead to its head, where the epoch begins is what it names, and
 * each ask's transaction is there, signed by who published it. The rows are held in memory, as the ledger that begins with them does.
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
  const reading = new Reading(components, network, { keeps: true })
  for await (const record of decodeSnapshot(pieces)) await reading.take(record)
  return reading.finish()
}

interface ReadingInit {
  /** false: it is only checked, and nothing that could be made up is held. */
  keeps: boolean
  offered?: { index: number; epoch: number }
}

/** What has been read so far. */
class Reading {
  #head: SnapshotHead | null = null
  #trust: Trust | null = null
  readonly #steps: EpochStep[] = []
  #index = -1
  readonly #rows: StoredRow[] = []
  readonly #root: StateRoot
  #lastRow = ''
  /** Whether the rows are all here, and those that a quorum has signed. */
  #settled = false
  #lastCommit: { index: number; message: Uint8Array } | null = null
  #commits = 0
  readonly #past: PastOutcome[] = []
  readonly #places: { id: Uint8Array; index: number; position: number }[] = []
  /** Transactions that published asks, by id; null: not here yet. */
  readonly #asks = new Map<string, Uint8Array | null>()
  #verified = false

  constructor(
    private readonly components: RestoreComponents,
    private readonly network: Uint8Array,
    private readonly init: ReadingInit
  ) {
    this.#root = new StateRoot(components.hashing)
  }

  async take(record: SnapshotRecord): Promise<void> {
    if (record.kind === 'head') return this.#takeHead(record)
    if (record.kind === 'steps') return await this.#takeSteps(record.steps)
    // What follows may be large: first who vouches for it.
    await this.#verifyHead()
    if (record.kind === 'rows') return this.#takeRows(record.rows)
    this.#settleRows()
    if (record.kind === 'commits') for (const commit of record.commits) this.#takeCommit(commit)
    else if (record.kind === 'asks' && this.init.keeps)
      for (const bytes of record.transactions) await this.#takeAsk(bytes)
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
    const { offered } = this.init
    if (offered !== undefined && (checkpoint.index !== offered.index || checkpoint.epoch + 1 !== offered.epoch))
      refuse('it is another one than was offered')
    await this.#checked(() => verifyCertificate(certificate, this.#needTrust(), this.components.verifier))
    if (checkpoint.index <= this.#index) refuse('an epoch does not follow the one before')
    const start = parseOr(() => decodeEpochStart(bytes), 'the beginning of its epoch is none')
    const { resume } = checkpoint
    if (resume === undefined || !equalBytes(resume, resumeDigest(this.network, { start, state })))
      refuse('the next epoch begins otherwise than its checkpoint says')
    this.#verified = true
  }

  #takeRows(rows: readonly (readonly [string, string, Uint8Array])[]): void {
    if (this.#root.rows + rows.length > MAX_SNAPSHOT_ROWS) refuse('it has too many rows')
    for (const [name, key, value] of rows) {
      const place = `${TABLE_NAMES.findIndex(table => table === name)
        .toString()
        .padStart(4, '0')}/${key}`
      const table = TABLE_NAMES.find(one => one === name)
      if (table === undefined || place <= this.#lastRow) return refuse('its rows are out of order')
      this.#lastRow = place
      this.#root.add(table, key, value)
      if (this.init.keeps) this.#rows.push({ table, key, value })
    }
  }

  /** Behind the last row: from here on they are the state's, and may cost what it costs. */
  #settleRows(): void {
    if (this.#settled) return
    if (!equalBytes(this.#root.root(), this.#needHead().certificate.checkpoint.stateRoot))
      refuse('its rows are not those that a quorum has signed')
    this.#settled = true
    for (const { table, value } of this.#rows) {
      const name = TABLE_NAMES.find(one => one === table) ?? refuse('a row is of no table')
      const row = parseOr(() => decodeRow(name, decodeCanonical(value)), 'a row is of another version')
      if (name === 'ask' && 'transaction' in row) this.#asks.set(toHex(row.transaction), null)
    }
  }

  #takeCommit({ ordered, ...header }: SnapshotCommit): void {
    const before = this.#lastCommit
    if (++this.#commits > FINAL_WINDOW) refuse('it has too many commits')
    if (before !== null && (header.index !== before.index + 1 || !equalBytes(header.previous, before.message)))
      refuse('its commits do not follow one another')
    if (!equalBytes(header.transactionsHash, transactionsHash(ordered.map(([id, code]) => ({ id, code })))))
      refuse('a commit ordered other transactions')
    this.#lastCommit = { index: header.index, message: blockMessage(this.network, header) }
    if (!this.init.keeps) return
    ordered.forEach(([id, code], position) => {
      this.#places.push({ id, index: header.index, position })
      this.#past.push({ id, index: header.index, timestamp: header.timestamp, code })
    })
  }

  /** Its id is the state's word; the id leaves out who signed. Asks are published by a delegate, alone. */
  async #takeAsk(bytes: Uint8Array): Promise<void> {
    const verified = await verifyTransaction(bytes, this.components.verifier).catch(() => null)
    if (verified === null) return refuse('the transaction of an ask is none, or its signature does not hold')
    const { transaction, signatures } = verified
    const own = ({ key }: { key: Uint8Array }): boolean => transaction.key !== null && equalBytes(key, transaction.key)
    if (!signatures.every(own)) refuse('the transaction of an ask is signed by somebody else')
    const id = toHex(verified.id)
    if (this.#asks.get(id) !== null) refuse('a transaction published none of its asks')
    this.#asks.set(id, bytes)
  }

  finish(): VerifiedSnapshot {
    if (!this.#verified) refuse('it has no state')
    const { certificate, genesis, start: bytes, state } = this.#needHead()
    const { checkpoint } = certificate
    this.#settleRows()
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
    for (const [id, bytes] of this.#asks)
      asks.push(pastAskRow(id, bytes ?? refuse('the transaction of an ask is missing')))
    return [
      ...resumeRows(start, point.state),
      ...certifiedRows(made, [...this.#steps, { certificate, next }]),
      ...this.#past.flatMap(past => [pastRow(past), endRow(past.timestamp + PAST_KEPT_MS, 'outcome', toHex(past.id))]),
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
