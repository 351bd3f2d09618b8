import { z } from 'zod'
import {
  FrameReader,
  PekkaError,
  commitment,
  contentHash,
  createHasher,
  decodeCbor,
  encodeCanonical,
  equalBytes,
  firstHead,
  nextHead,
  openBlob,
  openFrame,
  resultDigest,
  resultRoot,
  runHash,
  runKeys,
  verifyHead,
  verifyRunHeader,
  type BlobRef,
  type Done,
  type EventOf,
  type LogEntry,
  type ManifestEnvelope,
  type Primitives,
  type RunHeader,
  type RunKeys,
  type SignedHead,
  type TaskEvent,
  type TaskView
} from '../../protocol/index.js'
import { SessionDigester } from '../../verification/index.js'

/** What the reader hands out, in order. */
export type ReaderOutput =
  /** A new run announced itself: keep the old output, greyed, until `reset` (R14). */
  | { kind: 'run'; header: RunHeader }
  /** First frame of the announced run: clear all cells of the task. */
  | { kind: 'reset'; attempt: number; run: number }
  | { kind: 'events'; events: TaskEvent[] }

/** A finished run: what was recomputed here, to be compared with the commit (R7). */
export interface FinishedRun {
  header: RunHeader
  count: number
  head: Uint8Array
  signedHead: SignedHead | null
  manifest: ManifestEnvelope
  done: Done
}

export interface ReaderComponents {
  primitives: Primitives
  /** Sealed bytes of a blob, fetched by hash. */
  blob: (hash: Uint8Array) => Promise<Uint8Array>
}

export interface ReaderInit {
  network: Uint8Array
  task: Uint8Array
  /** The client's X25519 private key of the task. */
  readKey: Uint8Array
  taskKey: Uint8Array
  /** Agents' keys by provider (joined bytes) where the asks were seen; a header by another key is refused. */
  agents: Map<string, Uint8Array>
}

/**
 * Opens the frames of one task in order and recomputes chain and digests. Reorder, cut, replay, splice and a second
 * head are noticed (FRAME_GAP, HEAD_MISMATCH, SEAL_BROKEN). Entries of superseded runs are ignored.
 */
export class TaskReader {
  #run: RunState | null = null
  #finished: FinishedRun | null = null
  #next = 0
  #pack: { run: RunState; blob: number; hash: Uint8Array; bytes: Promise<Uint8Array> } | null = null

  constructor(
    private readonly components: ReaderComponents,
    private readonly init: ReaderInit
  ) {}

  /** Number of the last entry taken, −1 before the first; where a subscription resumes. */
  get after(): number {
    return this.#next - 1
  }

  /** The last run that ended with `done` and a manifest, if it is still the newest one. */
  get finished(): FinishedRun | null {
    return this.#finished
  }

  /** What the newest tranche of a session opens to, recomputed here; null: none yet. */
  get opening(): ManifestEnvelope | null {
    return this.#run?.opening ?? null
  }

  async *read(entries: LogEntry[]): AsyncIterable<ReaderOutput> {
    for (const entry of entries) {
      if (entry.n < this.#next) continue
      if (entry.n > this.#next) throw new PekkaError('FRAME_GAP')
      if (entry.kind === 'run') yield* this.#header(entry.header)
      else if (entry.kind === 'frame') yield* this.#frame(entry)
      else await this.#head(entry.head)
      this.#next = entry.n + 1
    }
  }

  async *#header(header: RunHeader): AsyncIterable<ReaderOutput> {
    const { network, task, agents, readKey } = this.init
    const { primitives } = this.components
    if (!equalBytes(header.network, network) || !equalBytes(header.task, task)) throw new PekkaError('HEAD_MISMATCH')
    const known = agents.get(header.provider.join())
    if (known && !equalBytes(known, header.key)) throw new PekkaError('HEAD_MISMATCH')
    if (!(await verifyRunHeader(header, primitives.verifier))) throw new PekkaError('SIGNATURE_INVALID')
    if (this.#run && !newer(header, this.#run.header)) return
    const binding = { network, task, attempt: header.attempt, run: header.run }
    const keys = await runKeys(primitives.agreement, readKey, header.runKey, binding)
    this.#run = {
      header,
      keys,
      head: firstHead(header),
      count: 0,
      frames: new FrameReader(),
      digester: new SessionDigester(),
      opening: null,
      signed: null,
      cellEnded: false
    }
    this.#finished = null
    yield { kind: 'run', header }
  }

  async *#frame(entry: Extract<LogEntry, { kind: 'frame' }>): AsyncIterable<ReaderOutput> {
    const run = this.#run
    if (!run) throw new PekkaError('FRAME_GAP')
    if (entry.attempt !== run.header.attempt || entry.run !== run.header.run) {
      if (newer(entry, run.header)) throw new PekkaError('FRAME_GAP')
      return
    }
    if (entry.index !== run.count) throw new PekkaError('FRAME_GAP')
    if (run.count === 0) yield { kind: 'reset', attempt: entry.attempt, run: entry.run }
    const binding = { network: this.init.network, task: this.init.task, attempt: entry.attempt, run: entry.run }
    const plaintext = await openFrame(
      this.components.primitives.aead,
      run.keys.frame,
      binding,
      entry.index,
      entry.sealed
    )
    run.head = nextHead(run.head, entry.index, entry.sealed)
    run.count++
    const content = run.frames.read(plaintext)
    if (!content) return
    const events: TaskEvent[] = []
    for (const event of content.events) {
      const resolved = await this.#resolve(event, run)
      run.digester.add(resolved)
      if (resolved.type === 'session-cell-end') run.cellEnded = true
      events.push(resolved)
    }
    if (events.length > 0) yield { kind: 'events', events }
    const done = events.findLast(event => event.type === 'done')
    if (content.manifest && done) this.#finish(run, content.manifest, done)
    else if (content.manifest) this.#open(run, content.manifest)
  }

  /** A tranche's opening (R33): the result of the session's cells that have ended. */
  #open(run: RunState, manifest: ManifestEnvelope): void {
    const { result, raw } = run.digester.prefix(this.init.taskKey)
    const same =
      equalBytes(resultRoot(result), resultRoot(manifest.result)) &&
      equalBytes(encodeCanonical(raw), encodeCanonical(manifest.run.raw))
    if (!same) throw new PekkaError('HEAD_MISMATCH')
    run.opening = manifest
  }

  #finish(run: RunState, manifest: ManifestEnvelope, done: Done): void {
    const recomputed = run.digester.result(done)
    // What was shown must be what was digested, or the machine streams A and commits B (R7).
    if (!equalBytes(resultRoot(recomputed), resultRoot(manifest.result))) throw new PekkaError('HEAD_MISMATCH')
    const raw = run.digester.raw(this.init.taskKey)
    if (!equalBytes(encodeCanonical(raw), encodeCanonical(manifest.run.raw))) throw new PekkaError('HEAD_MISMATCH')
    this.#finished = { header: run.header, count: run.count, head: run.head, signedHead: run.signed, manifest, done }
  }

  async #head(head: SignedHead): Promise<void> {
    const run = this.#run
    if (!run || head.attempt !== run.header.attempt || head.run !== run.header.run) return
    const { verifier } = this.components.primitives
    const holds = equalBytes(head.key, run.header.key) && (await verifyHead(this.init.network, head, verifier))
    if (!holds) throw new PekkaError('SIGNATURE_INVALID')
    // A head over frames that are not here yet is kept until the end; one over what is here must agree now.
    if (head.count === run.count && !equalBytes(head.head, run.head)) throw new PekkaError('HEAD_MISMATCH')
    if (run.signed && run.signed.count === head.count && !equalBytes(run.signed.head, head.head))
      throw new PekkaError('HEAD_MISMATCH')
    if (!run.signed || head.count >= run.signed.count) run.signed = head
    if (this.#finished) this.#finished.signedHead = run.signed
  }

  /** Puts blobs back into an event. */
  async #resolve(event: TaskEvent, run: RunState): Promise<TaskEvent> {
    if (event.type === 'stream' && isBlob(event.text)) {
      const value = await this.#fetch(event.text, run)
      if (typeof value !== 'string' && !(value instanceof Uint8Array)) throw new PekkaError('ENCODING_MALFORMED')
      return { ...event, text: value }
    }
    if (event.type !== 'display_data' && event.type !== 'execute_result' && event.type !== 'update_display_data')
      return event
    const data: typeof event.data = {}
    for (const [mime, value] of Object.entries(event.data)) {
      data[mime] = isBlob(value) ? z.json().parse(await this.#fetch(value, run)) : value
    }
    return { ...event, data }
  }

  /**
   * The bytes of a file or value that the finished run brought back, in parts; of a session also while it goes on, where one of its
   * cells has ended. Its end is reached only if all of them are what the machine said.
   *
   * @param whole `false`: whoever takes the parts holds them against `hash` together; each by itself is held against its own here
   * @throws PekkaError ARTIFACT_MISSING: it stayed there, or the run is another one by now; BLOB_MISMATCH, SEAL_BROKEN
   */
  async *open({ size, hash, parts, at }: Returned, whole = true): AsyncGenerator<Uint8Array, void, undefined> {
    const run = this.#run
    if (run === null || (this.#finished === null && !run.cellEnded) || parts === undefined || hash === undefined)
      throw new PekkaError('ARTIFACT_MISSING')
    const [first] = parts
    if (parts.length === 1 && first !== undefined) {
      const bytes = await (at === undefined ? this.#part(first, run) : this.#packed(first, run))
      const own = at === undefined ? bytes : bytes.subarray(at, at + size)
      if (own.length !== size || !equalBytes(await this.#hash(own), hash)) throw new PekkaError('BLOB_MISMATCH')
      yield own
      return
    }
    if (at !== undefined) throw new PekkaError('BLOB_MISMATCH')
    const hasher = whole ? (this.components.primitives.hasher ?? createHasher)() : null
    let left = size
    let next: Promise<Uint8Array> | null = null
    for (const [index, part] of parts.entries()) {
      const bytes: Uint8Array = await (next ?? this.#part(part, run))
      const following = parts[index + 1]
      // The next one is fetched and opened while this one is hashed and used.
      next = following === undefined ? null : this.#part(following, run)
      // Where nobody comes for it, nobody minds.
      next?.catch(() => undefined)
      if (bytes.length > left) throw new PekkaError('BLOB_MISMATCH')
      left -= bytes.length
      hasher?.update(bytes)
      if (left === 0 && hasher !== null && !equalBytes(hasher.digest(), hash)) throw new PekkaError('BLOB_MISMATCH')
      yield bytes
    }
    if (left > 0) throw new PekkaError('BLOB_MISMATCH')
  }

  #hash(bytes: Uint8Array): Uint8Array | Promise<Uint8Array> {
    return (this.components.primitives.hash ?? contentHash)(bytes)
  }

  async #part(ref: BlobRef, run: RunState): Promise<Uint8Array> {
    const bytes = await this.#fetch(ref, run)
    if (!(bytes instanceof Uint8Array)) throw new PekkaError('BLOB_MISMATCH')
    return bytes
  }

  /** A part that several share; the newest is kept, since they are opened one after the other or all at once. */
  async #packed(ref: BlobRef, run: RunState): Promise<Uint8Array> {
    let pack = this.#pack
    if (pack?.run !== run || pack.blob !== ref.blob || !equalBytes(pack.hash, ref.hash)) {
      this.#pack = pack = { run, blob: ref.blob, hash: ref.hash, bytes: this.#part(ref, run) }
      const made = pack
      // What failed once may come the next time.
      made.bytes.catch(() => (this.#pack = this.#pack === made ? null : this.#pack))
    }
    return await pack.bytes
  }

  async #fetch(ref: BlobRef, run: RunState): Promise<unknown> {
    const sealed = await this.components.blob(ref.hash)
    if (sealed.length !== ref.size || !equalBytes(await this.#hash(sealed), ref.hash))
      throw new PekkaError('BLOB_MISMATCH')
    const binding = {
      network: this.init.network,
      task: this.init.task,
      attempt: run.header.attempt,
      run: run.header.run
    }
    return decodeCbor(
      await openBlob(this.components.primitives.aead, run.keys.blob(ref.blob), binding, ref.blob, sealed)
    )
  }

  /**
   * Whether the finished run is what the provider committed (R7, R15): count and head, result and blind, and its own signature
   * over the last head. False while something of these is not here yet.
   * `received` may be said only after this. @throws PekkaError HEAD_MISMATCH
   */
  confirm(view: TaskView): boolean {
    const attempt = view.attempts.find(a => a.ended === 'committed')
    const run = this.#finished
    if (!attempt?.claim || !run || run.signedHead?.count !== run.count) return false
    const { claim } = attempt
    if (view.attempts.indexOf(attempt) + 1 !== run.header.attempt || claim.run !== run.header.run) return false
    const { network, task, taskKey } = this.init
    const expected = commitment({
      network,
      task,
      attempt: run.header.attempt,
      provider: attempt.provider,
      digest: resultDigest(taskKey, run.manifest.result),
      runHash: runHash(run.manifest.run),
      blind: run.manifest.blind
    })
    const holds =
      equalBytes(attempt.provider, run.header.provider) &&
      claim.count === run.count &&
      equalBytes(claim.head, run.head) &&
      equalBytes(run.signedHead.head, run.head) &&
      equalBytes(claim.commitment, expected)
    if (!holds) throw new PekkaError('HEAD_MISMATCH')
    return true
  }
}

/** A file or value that came back, as its event names it. */
export type Returned = Pick<EventOf<'files'>['files'][number], 'size' | 'hash' | 'parts' | 'at'>

interface RunState {
  header: RunHeader
  keys: RunKeys
  head: Uint8Array
  count: number
  frames: FrameReader
  digester: SessionDigester
  /** The newest tranche's opening: what the provider has fixed of a session that goes on. */
  opening: ManifestEnvelope | null
  signed: SignedHead | null
  /** A cell of a session has ended: what it brought back is whole. */
  cellEnded: boolean
}

const newer = (a: { attempt: number; run: number }, b: { attempt: number; run: number }): boolean =>
  a.attempt > b.attempt || (a.attempt === b.attempt && a.run > b.run)

const isBlob = (value: unknown): value is BlobRef =>
  value !== null &&
  typeof value === 'object' &&
  'blob' in value &&
  'hash' in value &&
  value.hash instanceof Uint8Array &&
  'size' in value
