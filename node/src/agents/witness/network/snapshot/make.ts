import { createWriteStream } from 'node:fs'
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import {
  commitViewSchema,
  decodeCanonical,
  decodeCertificate,
  equalBytes,
  toHex,
  type Certificate
} from '@pekka/node/protocol'
import { encodeRow, TABLE_NAMES, type Reader, type Table } from '@pekka/node/ledger'
import { pause } from '@pekka/node/host/network'
import type { LedgerStore } from '@pekka/node/host/storage'
import { askKey } from '../../past.js'
import { decodeStep, type EpochStep } from '../checkpoints/checkpoint-messages.js'
import { FINAL_WINDOW } from '../constants.js'
import { encodeEpochStart } from '../blocks/records.js'
import {
  CERTIFICATE_LOOK_MS,
  CERTIFICATE_LOOKS,
  KEPT_SNAPSHOTS,
  MAX_SNAPSHOT_RECORD_BYTES,
  RECORD_BYTES
} from './constants.js'
import { encodeSnapshot, type SnapshotCommit, type SnapshotPart } from './format.js'
import { resumeDigest, type ResumePoint } from './resume.js'

export interface SnapshotMakerComponents {
  store: LedgerStore
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

export interface SnapshotMakerInit {
  network: Uint8Array
  /** Canonical bytes of the genesis. */
  genesis: Uint8Array
  /** Where snapshots are kept. */
  folder: string
}

/** A snapshot on disk. */
export interface KeptSnapshot {
  /** The commit that it is after. */
  index: number
  /** The epoch that begins then. */
  epoch: number
  path: string
  size: number
}

type Row = readonly [table: Table, key: string, row: ReturnType<Reader['get']>]

const nameOf = (index: number, epoch: number): string => `${index.toString().padStart(12, '0')}-${epoch}.snapshot`
const NAME = /^(\d{12})-(\d+)\.snapshot$/

/**
 * Writes a snapshot at the end of each epoch, once a quorum has signed its checkpoint. Commits don't wait for it: rows never change, so what is
 * held of the state is a list of them.
 */
export class SnapshotMaker {
  readonly #stopping = new AbortController()
  #work: Promise<void> = Promise.resolve()
  /** Of the last state that was taken: an earlier one isn't waited for any more. */
  #latest = -1
  /** Commits whose states wait to be written. */
  readonly #pending = new Set<number>()

  constructor(
    private readonly components: SnapshotMakerComponents,
    private readonly init: SnapshotMakerInit
  ) {}

  /** The state is that after an epoch's last commit. */
  take(state: Reader, point: ResumePoint): void {
    const rows: Row[] = []
    const index = point.start.firstIndex - 1
    this.#latest = index
    this.#pending.add(index)
    for (const table of TABLE_NAMES) for (const key of state.keys(table)) rows.push([table, key, state.get(table, key)])
    this.#work = this.#work
      .then(() => this.#write(rows, point))
      .catch((error: unknown) => {
        this.components.log.warn({ index, error: String(error) }, 'no snapshot was made')
      })
      .finally(() => this.#pending.delete(index))
  }

  /** Whether one is being made, or waits for its certificate: it reads commits, and the transactions of asks of that moment. */
  get making(): boolean {
    return this.#pending.size > 0
  }

  /** What is being written is dropped. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    await this.#work
  }

  /** The newest; null: none was made yet. */
  async newest(): Promise<KeptSnapshot | null> {
    const [newest] = await this.kept()
    return newest ?? null
  }

  /** Newest first. */
  async kept(): Promise<KeptSnapshot[]> {
    const { folder } = this.init
    const names = await readdir(folder).catch(() => [])
    const kept: KeptSnapshot[] = []
    for (const name of names.sort().reverse()) {
      const [, index, epoch] = NAME.exec(name) ?? []
      const path = join(folder, name)
      const found = index === undefined ? null : await stat(path).catch(() => null)
      if (found !== null) kept.push({ index: Number(index), epoch: Number(epoch), path, size: found.size })
    }
    return kept
  }

  async #write(rows: readonly Row[], point: ResumePoint): Promise<void> {
    const { network, genesis, folder } = this.init
    const index = point.start.firstIndex - 1
    const certificate = await this.#certificate(index)
    if (certificate === null || this.#stopping.signal.aborted) return
    const { resume } = certificate.checkpoint
    if (resume === undefined || !equalBytes(resume, resumeDigest(network, point)))
      throw new TypeError('a quorum has signed another beginning of the next epoch')
    await mkdir(folder, { recursive: true, mode: 0o700 })
    const path = join(folder, nameOf(index, point.start.epoch))
    const head = {
      kind: 'head' as const,
      genesis,
      certificate,
      start: encodeEpochStart(point.start),
      state: point.state
    }
    const pieces = encodeSnapshot(head, this.#parts(rows, certificate))
    try {
      await pipeline(Readable.from(pieces), createWriteStream(`${path}.part`, { mode: 0o600 }), {
        signal: this.#stopping.signal
      })
    } catch (error) {
      await rm(`${path}.part`, { force: true })
      if (this.#stopping.signal.aborted) return
      throw error
    }
    await syncFile(`${path}.part`)
    await rename(`${path}.part`, path)
    for (const old of (await this.kept()).slice(KEPT_SNAPSHOTS)) await rm(old.path, { force: true })
    this.components.log.info({ index, rows: rows.length }, 'snapshot made')
  }

  /** A quorum signs within a second or so; where it takes long, later ones are made all the same. */
  async #certificate(index: number): Promise<Certificate | null> {
    for (let looks = 0; looks < CERTIFICATE_LOOKS && !this.#stopping.signal.aborted; looks++) {
      const stored = await this.components.store.checkpointFrom(index)
      if (stored?.index === index) return decodeCertificate(stored.certificate)
      // One after it is due: no more than two states are held however long nobody signs.
      if (this.#latest > index) return null
      await pause(CERTIFICATE_LOOK_MS, this.#stopping.signal)
    }
    return null
  }

  async *#parts(rows: readonly Row[], { checkpoint }: Certificate): AsyncGenerator<SnapshotPart> {
    yield* inParts(this.#steps(checkpoint.epoch), steps => ({ kind: 'steps', steps }), sizeOfStep)
    const encoded = (function* () {
      for (const [table, key, row] of rows)
        if (row !== undefined) yield [table, key, encodeRow(row)] as [string, string, Uint8Array]
    })()
    yield* inParts(
      encoded,
      found => ({ kind: 'rows', rows: found }),
      ([, key, bytes]) => key.length + bytes.length + 32
    )
    yield* inParts(this.#commits(checkpoint.index), commits => ({ kind: 'commits', commits }), sizeOfCommit)
    yield* inParts(
      this.#asks(rows),
      transactions => ({ kind: 'asks', transactions }),
      bytes => bytes.length + 16
    )
  }

  /** Those of earlier epochs, which have been on disk for long. */
  async *#steps(epoch: number): AsyncGenerator<EpochStep> {
    const range = { gte: 'epoch-step/', lt: 'epoch-step/\uffff' }
    let next = 0
    for await (const { value } of this.components.store.beside.rows(range)) {
      const step = decodeStep(value)
      if (step.certificate.checkpoint.epoch >= epoch) break
      if (step.certificate.checkpoint.epoch !== next) break
      next += 1
      yield step
    }
    if (next !== epoch) throw new TypeError(`the certificate of epoch ${next} is missing here`)
  }

  async *#commits(last: number): AsyncGenerator<SnapshotCommit> {
    for (let index = Math.max(0, last - FINAL_WINDOW + 1); index <= last; index++) {
      const bytes = await this.components.store.commit(index)
      if (bytes === null) throw new TypeError(`commit ${index} is gone`)
      const { header, transactions } = commitViewSchema.parse(decodeCanonical(bytes))
      const { signature: _, ...rest } = header
      const ordered = transactions.map(({ outcome }): [Uint8Array, string | null] => [
        outcome.id,
        outcome.status === 'applied' ? null : outcome.code
      ])
      yield { ...rest, ordered }
    }
  }

  async *#asks(rows: readonly Row[]): AsyncGenerator<Uint8Array> {
    for (const [table, , row] of rows) {
      if (table !== 'ask' || row === undefined || !('ask' in row) || !('transaction' in row)) continue
      const bytes = await this.#transaction(row.transaction)
      // Nobody would take one without it.
      if (bytes === null) throw new TypeError('the transaction of an ask is gone')
      yield bytes
    }
  }

  async #transaction(id: Uint8Array): Promise<Uint8Array | null> {
    const { store } = this.components
    const place = await store.locate(id)
    const bytes = place === null ? null : await store.commit(place.index)
    if (place === null || bytes === null) return await store.beside.get(askKey(toHex(id)))
    return commitViewSchema.parse(decodeCanonical(bytes)).transactions[place.position]?.bytes ?? null
  }
}

const sizeOfStep = (step: EpochStep): number => 1_024 + step.certificate.signatures.length + step.next.length * 48
const sizeOfCommit = ({ ordered }: SnapshotCommit): number => 256 + ordered.length * 64

/** Gathers things into parts of RECORD_BYTES. */
async function* inParts<T>(
  things: AsyncIterable<T> | Iterable<T>,
  partOf: (things: T[]) => SnapshotPart,
  sizeOf: (thing: T) => number
): AsyncGenerator<SnapshotPart> {
  let gathered: T[] = []
  let size = 0
  for await (const thing of things) {
    const more = sizeOf(thing)
    if (more > MAX_SNAPSHOT_RECORD_BYTES / 2) throw new TypeError('one thing is too large for a snapshot')
    if (size + more > RECORD_BYTES && gathered.length > 0) {
      yield partOf(gathered)
      gathered = []
      size = 0
      // Encoding a part takes some ms; blocks and commits go between.
      await new Promise(resolve => setImmediate(resolve))
    }
    gathered.push(thing)
    size += more
  }
  if (gathered.length > 0) yield partOf(gathered)
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r')
  await handle.sync()
  await handle.close()
}
