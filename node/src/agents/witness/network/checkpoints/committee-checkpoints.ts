import {
  checkpointDigest,
  committeeDigest,
  encodeCertificate,
  encodeProof,
  equalBytes,
  MAX_STEPS,
  networkId,
  toHex,
  type Certificate,
  type Claim,
  type Clock,
  type Genesis,
  type ProofRequest,
  type Signer,
  type Verifier
} from '@pekka/node/protocol'
import {
  CheckpointTrees,
  Overlay,
  timeView,
  type CheckpointView,
  type CommitResult,
  type Hashing,
  type Reader
} from '@pekka/node/ledger'
import type { BesideRow, LedgerStore } from '@pekka/node/host/storage'
import { CheckpointArchive, readCertificate } from '../../archive.js'
import type { LedgerProver } from '../../checkpoints.js'
import { CHECKPOINTS_PER_PRUNING, KEPT_COMMITS } from '../../constants.js'
import type { Decision } from '../../sequencer.js'
import {
  CHECKPOINT_TOPIC,
  decodeNote,
  encodeNote,
  type CheckpointNote,
  type MadeCheckpoint
} from './checkpoint-messages.js'
import { CheckpointRows, type LastMade } from './checkpoint-rows.js'
import { certificatesAfter, holds, readAny } from './certificates.js'
import { CheckpointRule } from './checkpoint-rule.js'
import { CERTIFY_LOOK_MS, FRESH_CHECKPOINT_MS, PROOF_WAIT_MS, RESIGNED } from '../constants.js'
import { UncertifiedCheckpoints, type Uncertified } from './uncertified.js'

/** Named by the checkpoint of an epoch's last commit alone. */
function resumeOf(resume: (() => Uint8Array | null) | undefined): { resume?: Uint8Array } {
  const digest = resume?.() ?? null
  return digest === null ? {} : { resume: digest }
}

/** How parts of witnesses tell one another something; what can't be sent is lost. */
export interface Notes {
  /** To one peer, or to all. */
  tell(topic: string, bytes: Uint8Array, to?: string): void
  /** Hears notes about a topic. `key`: block key of the peer, hex; null: an observer. */
  onNote(
    topic: string,
    hear: (peer: string, key: string | null, bytes: Uint8Array) => Promise<'taken' | 'broken'>
  ): void
  /** Who is connected. */
  readonly peers: readonly string[]
}

export interface CommitteeCheckpointsComponents {
  store: LedgerStore
  /** The block key. */
  signer: Signer
  verifier: Verifier
  hashing: Hashing
  notes: Notes
  clock: Clock
  log: { warn(data: object, text: string): void; error(data: object, text: string): void }
}

export interface CommitteeCheckpointsInit {
  genesis: Genesis
  /** How often it looks for what is missing, and how long a proof waits for a certificate, ms; for tests. */
  look?: number
  wait?: number
}

/** What proofs are made from: a checkpoint that a quorum has signed, and its trees. */
interface Base {
  certificate: Certificate
  view: CheckpointView
}

/**
 * Checkpoints of a committee. Every witness makes the same ones, after commits that {@link CheckpointRule} names, and stores each with
 * its commit; it signs it and tells the others, and whoever has a quorum's signatures has the certificate. Commits never wait for one, and
 * whoever missed signatures asks for certificates, by commit index.
 */
export class CommitteeCheckpoints implements LedgerProver {
  readonly #archive: CheckpointArchive
  readonly #rows: CheckpointRows
  readonly #waits: UncertifiedCheckpoints
  readonly #network: Uint8Array
  #state: Reader | null = null
  #trees: CheckpointTrees | null = null
  #rule = new CheckpointRule()
  #lastMade: LastMade | null = null
  /** Made with the commit that is being written. */
  #making: { made: MadeCheckpoint; view: CheckpointView } | null = null
  #base: Base | null = null
  #last: Certificate | null = null
  /** Index of the last commit that was told. */
  #height = -1
  #stored = 0
  #work: Promise<void> = Promise.resolve()
  #timer: NodeJS.Timeout | null = null
  #turn = 0
  readonly #answering = new Set<string>()
  readonly #waiting = new Set<() => void>()
  #stopped = false

  constructor(
    private readonly components: CommitteeCheckpointsComponents,
    private readonly init: CommitteeCheckpointsInit
  ) {
    const { genesis } = init
    this.#network = networkId(genesis)
    this.#archive = new CheckpointArchive(components, this.#network)
    this.#rows = new CheckpointRows(components.store)
    this.#waits = new UncertifiedCheckpoints(components.verifier)
  }

  /** The last certificate; null before the first. */
  get last(): Certificate | null {
    return this.#last
  }

  /** Checkpoints that no quorum has signed yet, as far as this witness knows, ascending. */
  get waiting(): readonly MadeCheckpoint[] {
    return this.#waits.all
  }

  async start(state: Reader): Promise<void> {
    const { store, hashing, notes, log } = this.components
    const height = timeView(state).index
    this.#state = state
    this.#height = height
    const kept = await this.#rows.load()
    const stored = await store.checkpointBefore(Number.MAX_SAFE_INTEGER)
    this.#last = stored === null ? null : readCertificate(stored)
    this.#lastMade = kept.last
    if (kept.last === null && height >= 0) {
      log.warn({ height }, 'this ledger is from before its committee made checkpoints: nothing is proved')
      return
    }
    const covered = kept.last?.checkpoint.index ?? -1
    this.#trees = new CheckpointTrees(hashing, state, await this.#archive.ordered(covered, height))
    this.#rule = new CheckpointRule(kept.last?.checkpoint.timestamp ?? null, kept.changed)
    // The very same commit must have come to the very same state.
    const whole = covered === height && kept.last !== null
    if (whole && kept.last !== null && !equalBytes(this.#trees.stateRoot, kept.last.checkpoint.stateRoot))
      throw new TypeError(`the state of commit ${height} is not the one of its checkpoint`)
    for (const made of kept.uncertified) this.#waits.add(made, null)
    notes.onNote(CHECKPOINT_TOPIC, (peer, key, bytes) => this.#hear(peer, key, bytes))
    this.#timer = setInterval(() => this.#look(), this.init.look ?? CERTIFY_LOOK_MS)
    this.#timer.unref()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#work
    for (const resolve of [...this.#waiting]) resolve()
  }

  // --- making

  beside(result: CommitResult, { committee }: Decision, before: Reader): readonly BesideRow[] {
    if (this.#trees === null || committee === undefined) return []
    const { epoch, members, next, last, resume } = committee
    this.#trees.add(result, before)
    const changed = this.#rule.hasChanged
    const changes = result.writes.some(({ table }) => table !== 'system')
    if (!this.#rule.next({ timestamp: result.header.timestamp, changes, last })) {
      return !changed && changes ? this.#rows.changed(result.header.index) : []
    }
    const after = new Overlay(before)
    for (const { table, key, row } of result.writes) {
      if (row === null) after.delete(table, key)
      else after.put(table, key, row)
    }
    const checkpoint = this.#trees.checkpoint(after, {
      epoch,
      previous: this.#lastMade === null ? this.#network : checkpointDigest(this.#lastMade.checkpoint),
      committee: committeeDigest(this.#network, epoch, members),
      nextCommittee: next === null ? null : committeeDigest(this.#network, epoch + 1, next),
      ...resumeOf(resume)
    })
    const made = { checkpoint, members, next }
    this.#lastMade = made
    this.#making = { made, view: this.#trees.last }
    return this.#rows.made(made)
  }

  add(result: CommitResult): void {
    this.#height = result.header.index
    if (this.#making === null) return
    const { made, view } = this.#making
    this.#making = null
    const { added, dropped } = this.#waits.add(made, view)
    for (const { index } of dropped) this.#rows.settled(index)
    // Too many wait: what the base must remember would grow without end.
    const based = this.#indexOfBase
    if (this.#waits.all.some(one => one.index > based && one.view === null)) this.#base = null
    this.#waits.forgetOthers(new Set([...made.members, ...(made.next ?? [])].map(([key]) => toHex(key))))
    this.#do(async () => {
      const fresh = made.checkpoint.timestamp > this.components.clock.now() - FRESH_CHECKPOINT_MS
      if (fresh) await this.#sign(added)
      await this.#waits.countEarly(added)
      await this.#conclude(added)
    })
  }

  /** Signs a checkpoint, if this witness sits in its committee, and tells everyone. */
  async #sign(made: Uncertified): Promise<void> {
    const { signer, notes } = this.components
    const own = toHex(signer.publicKey)
    const member = made.members.findIndex(([key]) => toHex(key) === own)
    if (member < 0) return
    const signature = made.signatures.get(member) ?? (await signer.sign(made.message))
    made.signatures.set(member, signature)
    const { index, digest } = made
    notes.tell(CHECKPOINT_TOPIC, encodeNote({ type: 'signature', index, digest, signature }))
  }

  /** Where a quorum has signed, that is the certificate. */
  async #conclude(made: Uncertified): Promise<void> {
    if (this.#waits.get(made.index) !== made) return
    const certificate = this.#waits.certificateOf(made)
    if (certificate !== null) await this.#certified(made, certificate)
  }

  async #certified(made: Uncertified, certificate: Certificate): Promise<void> {
    const { index, view } = made
    const keepFrom = ++this.#stored % CHECKPOINTS_PER_PRUNING === 0 ? this.#height - KEPT_COMMITS : 0
    // Kept before it is shown, so that a restart goes on from what readers have seen.
    await this.components.store.writeCheckpoint({ index, certificate: encodeCertificate(certificate) }, keepFrom)
    this.#rows.settled(index)
    if (made.next !== null) this.#rows.step({ certificate, next: made.next })
    this.#waits.delete(index)
    if (index <= (this.#last?.checkpoint.index ?? -1)) return
    this.#last = certificate
    this.#base = view === null ? null : { certificate, view }
    for (const older of this.#waits.all) if (older.index < index) older.view = null
    for (const resolve of [...this.#waiting]) resolve()
  }

  // --- signatures and certificates of others

  async #hear(peer: string, key: string | null, bytes: Uint8Array): Promise<'taken' | 'broken'> {
    const note = decodeNote(bytes)
    if (note === null) return 'broken'
    if (this.#trees === null || this.#stopped) return 'taken'
    switch (note.type) {
      case 'signature':
        return key === null ? 'taken' : await this.#hearSignature(key, note)
      case 'want':
        this.#answer(peer, note.after)
        return 'taken'
      case 'certificates':
        return await this.#hearCertificates(peer, note.certificates)
    }
  }

  async #hearSignature(
    key: string,
    { index, digest, signature }: Extract<CheckpointNote, { type: 'signature' }>
  ): Promise<'taken' | 'broken'> {
    const made = this.#waits.get(index)
    if (made === undefined) {
      if (index > this.#height) this.#waits.keep(key, index, { digest, signature })
      return 'taken'
    }
    if (this.#waits.contradicts(index, digest)) {
      this.components.log.warn({ witness: key, index }, 'a witness signs another checkpoint than this one comes to')
      return 'taken'
    }
    if (!(await this.#waits.count(made, key, signature))) return 'broken'
    await this.#do(() => this.#conclude(made))
    return 'taken'
  }

  async #hearCertificates(peer: string, certificates: readonly Uint8Array[]): Promise<'taken' | 'broken'> {
    let progress = false
    for (const bytes of certificates) {
      const certificate = readAny(bytes)
      if (certificate === null) return 'broken'
      const { checkpoint } = certificate
      const made = this.#waits.get(checkpoint.index)
      if (made === undefined) continue
      if (!(await holds(certificate, made, this.components.verifier))) return 'broken'
      if (!equalBytes(checkpointDigest(checkpoint), made.digest)) {
        this.#fail(new TypeError(`a quorum has signed another checkpoint of commit ${checkpoint.index}`))
        return 'taken'
      }
      progress = true
      await this.#do(() => this.#certified(made, certificate))
    }
    // With progress the same peer is asked on at once.
    if (progress && this.#waits.size > RESIGNED) this.#want(peer)
    return 'taken'
  }

  /** One answer at a time to one peer; it asks again. */
  #answer(peer: string, after: number): void {
    if (this.#answering.has(peer)) return
    this.#answering.add(peer)
    this.#answerWith(peer, after)
      .catch((error: unknown) => this.components.log.warn({ peer, error: String(error) }, 'an answer failed'))
      .finally(() => this.#answering.delete(peer))
  }

  async #answerWith(peer: string, after: number): Promise<void> {
    const certificates = await certificatesAfter(this.components.store, after)
    if (certificates.length === 0) return
    this.components.notes.tell(CHECKPOINT_TOPIC, encodeNote({ type: 'certificates', certificates }), peer)
  }

  /** What is missing is said and asked for again: notes are lost where a link is. */
  #look(): void {
    const waiting = this.#waits.all
    const late = this.components.clock.now() - (this.init.look ?? CERTIFY_LOOK_MS)
    const [first] = waiting
    if (first === undefined || first.checkpoint.timestamp > late) return
    this.#do(async () => {
      for (const made of new Set([...waiting.slice(0, RESIGNED), ...waiting.slice(-RESIGNED)])) await this.#sign(made)
      // A signature of our own may be all that was missing.
      for (const made of waiting.slice(0, RESIGNED)) await this.#conclude(made)
    })
    const { peers } = this.components.notes
    const peer = peers[this.#turn++ % Math.max(1, peers.length)]
    if (peer !== undefined) this.#want(peer)
  }

  #want(peer: string): void {
    const { oldest } = this.#waits
    if (oldest === null || this.#stopped) return
    this.components.notes.tell(CHECKPOINT_TOPIC, encodeNote({ type: 'want', after: oldest - 1 }), peer)
  }

  /** One thing after another: certificates are stored in the order in which they were found. */
  #do(work: () => Promise<void>): Promise<void> {
    this.#work = this.#work
      .then(async () => {
        if (!this.#stopped && this.#trees !== null) await work()
      })
      .catch((error: unknown) => this.#fail(error))
    return this.#work
  }

  /** Nothing is proved any more until the next start; commits go on. */
  #fail(error: unknown): void {
    this.components.log.error({ error: String(error) }, 'no more checkpoints')
    this.#trees = null
    this.#base = null
    this.#last = null
    for (const resolve of [...this.#waiting]) resolve()
  }

  // --- proving

  async prove(what: ProofRequest, signal?: AbortSignal): Promise<Uint8Array | null> {
    if (what.kind === 'transaction') return await this.#proveTransaction(what, signal)
    const height = this.#height
    const stale = (): boolean =>
      this.#base === null || what.rows.some(({ table, id }) => this.#base?.view.isChanged(table, toHex(id)))
    // Rows that haven't changed since are shown at once: nobody waits for a checkpoint because others were busy.
    if (stale()) await this.#until(() => this.#base !== null && (this.#indexOfBase >= height || !stale()), signal)
    const [state, base] = [this.#state, this.#base]
    if (state === null || base === null || (this.#indexOfBase < height && stale())) return null
    const claims = what.rows.map(({ table, id }) => base.view.proveRow(state, table, id))
    return this.#proofOf(base.certificate, claims, what.since)
  }

  get #indexOfBase(): number {
    return this.#base?.certificate.checkpoint.index ?? -1
  }

  async #proveTransaction(
    { id, since }: Extract<ProofRequest, { kind: 'transaction' }>,
    signal?: AbortSignal
  ): Promise<Uint8Array | null> {
    const place = await this.components.store.locate(id)
    if (place === null) return null
    await this.#until(() => (this.#last?.checkpoint.index ?? -1) >= place.index, signal)
    const newest = this.#base?.view.proveTransaction(id) ?? null
    if (newest !== null && this.#base !== null) return this.#proofOf(this.#base.certificate, [newest], since)
    const earlier = await this.#archive.prove(place)
    return earlier === null ? null : this.#proofOf(earlier.certificate, [earlier.claim], since)
  }

  /** Waits until it is so, PROOF_WAIT_MS at most. @throws the signal's reason */
  async #until(holdsNow: () => boolean, signal?: AbortSignal): Promise<void> {
    const limit = AbortSignal.timeout(this.init.wait ?? PROOF_WAIT_MS)
    const both = signal === undefined ? limit : AbortSignal.any([limit, signal])
    while (this.#trees !== null && !this.#stopped && !both.aborted && !holdsNow()) {
      const { promise, resolve } = Promise.withResolvers<void>()
      this.#waiting.add(resolve)
      both.addEventListener('abort', () => resolve(), { once: true })
      await promise
      this.#waiting.delete(resolve)
    }
    signal?.throwIfAborted()
  }

  /** From the committee of the epoch `since` on, or a stage of a longer way; null: nothing was certified here of an epoch between. */
  #proofOf(certificate: Certificate, claims: Claim[], since = 0): Uint8Array | null {
    const { epoch } = certificate.checkpoint
    const from = Math.floor(Math.min(since, epoch) / MAX_STEPS) * MAX_STEPS
    if (epoch - from < MAX_STEPS) {
      const steps = this.#rows.steps(from, epoch)
      return steps && encodeProof({ v: 1, steps, certificate, claims })
    }
    const steps = this.#rows.steps(from, from + MAX_STEPS)
    const end = this.#rows.firstOf(from + MAX_STEPS) ?? (epoch === from + MAX_STEPS ? certificate : null)
    return steps && end && encodeProof({ v: 1, steps, certificate: end, claims: [] })
  }
}
