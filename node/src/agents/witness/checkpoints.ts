import {
  certify,
  checkpointDigest,
  committeeDigest,
  encodeCertificate,
  encodeProof,
  equalBytes,
  networkId,
  signCheckpoint,
  toHex,
  trustGenesis,
  type Certificate,
  type Checkpoint,
  type Claim,
  type CommitteeMembers,
  type Genesis,
  type ProofRequest,
  type Signer
} from '@pekka/node/protocol'
import { CheckpointTrees, timeView, type CommitResult, type Hashing, type Reader } from '@pekka/node/ledger'
import type { BesideRow, LedgerStore } from '@pekka/node/host/storage'
import { CheckpointArchive, readCertificate } from './archive.js'
import { CHECKPOINT_INTERVAL_MS, CHECKPOINTS_PER_PRUNING, KEPT_COMMITS, MAX_UNROOTED } from './constants.js'
import type { Decision } from './sequencer.js'

/** What makes proofs of a ledger; the ledger tells it of each commit. */
export interface LedgerProver {
  /** Reads what is stored. `state` is the ledger's, after its last commit, and stays so. */
  start(state: Reader): Promise<void>
  /** What is stored with a commit, in one step; asked before that. `before`: the state without it. */
  beside?(result: CommitResult, decision: Decision, before: Reader): readonly BesideRow[]
  /** A commit is on disk, and the state doesn't have it yet; it does before anything else happens. */
  add(result: CommitResult): void
  prove(what: ProofRequest, signal?: AbortSignal): Promise<Uint8Array | null>
  stop(): Promise<void>
}

/** Has a checkpoint signed by a quorum of its epoch's committee. */
export type Certifier = (checkpoint: Checkpoint) => Promise<Certificate>

/** Of a witness whose own stake is a quorum. @throws TypeError where it isn't */
export function loneCertifier(signer: Signer, members: CommitteeMembers): Certifier {
  const own = members.findIndex(([key]) => equalBytes(key, signer.publicKey))
  return async checkpoint => {
    const certificate = certify(checkpoint, members, new Map([[own, await signCheckpoint(checkpoint, signer)]]))
    if (own < 0 || certificate === null) throw new TypeError('this witness alone is no quorum')
    return certificate
  }
}

export interface CheckpointsComponents {
  store: Pick<LedgerStore, 'commit' | 'locate' | 'writeCheckpoint' | 'checkpointFrom' | 'checkpointBefore'>
  certify: Certifier
  hashing: Hashing
  log: { error(data: object, text: string): void }
  /** Calls back after a while and gives what calls it off; default: a timer. */
  later?: (work: () => void, milliseconds: number) => () => void
}

export interface CheckpointsInit {
  genesis: Genesis
}

/**
 * Makes a checkpoint CHECKPOINT_INTERVAL_MS after a commit that none covers yet, and proves from it. Commits never wait for one. What a
 * crash takes is made again: the commits are on disk, and the transactions since the last stored checkpoint are read from them.
 */
export class Checkpoints implements LedgerProver {
  #state: Reader | null = null
  #trees: CheckpointTrees | null = null
  #last: Certificate | null = null
  /** Index of the last commit that was told. */
  #height = -1
  #made = 0
  #callOff: (() => void) | null = null
  #urgent = false
  #making: Promise<void> = Promise.resolve()
  #stopped = false
  /** Requests that wait for a checkpoint about this commit or a later one. */
  readonly #waiting = new Set<{ height: number; resolve: () => void }>()
  readonly #archive: CheckpointArchive
  readonly #network: Uint8Array
  readonly #committee: Uint8Array

  constructor(
    private readonly components: CheckpointsComponents,
    { genesis }: CheckpointsInit
  ) {
    this.#network = networkId(genesis)
    this.#archive = new CheckpointArchive(components, this.#network)
    this.#committee = committeeDigest(this.#network, 0, trustGenesis(genesis).members)
  }

  /** The last certificate; null before the first. */
  get last(): Certificate | null {
    return this.#last
  }

  async start(state: Reader): Promise<void> {
    const { store, hashing } = this.components
    const height = timeView(state).index
    const stored = await store.checkpointBefore(Number.MAX_SAFE_INTEGER)
    const last = stored === null ? null : readCertificate(stored)
    const covered = last?.checkpoint.index ?? -1
    this.#trees = new CheckpointTrees(hashing, state, await this.#archive.ordered(covered, height))
    // The very same commit must have come to the very same state.
    if (last !== null && covered === height && !equalBytes(this.#trees.stateRoot, last.checkpoint.stateRoot))
      throw new TypeError(`the state of commit ${height} is not the one of its checkpoint`)
    if (covered > height) throw new TypeError(`a checkpoint of commit ${covered}, the history ends at ${height}`)
    this.#state = state
    this.#height = height
    this.#last = last
    if (covered < height) await this.#make()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    this.#callOff?.()
    await this.#making
    for (const waiter of [...this.#waiting]) waiter.resolve()
  }

  add(result: CommitResult): void {
    if (this.#trees === null || this.#state === null) return
    this.#trees.add(result, this.#state)
    this.#height = result.header.index
    const urgent = this.#trees.waiting >= MAX_UNROOTED
    if (urgent && !this.#urgent) {
      this.#callOff?.()
      this.#callOff = null
    }
    this.#urgent = urgent
    // Never in this turn: the state has the commit only after it.
    this.#callOff ??= (this.components.later ?? startTimer)(() => this.#due(), urgent ? 0 : CHECKPOINT_INTERVAL_MS)
  }

  #due(): void {
    this.#callOff = null
    this.#urgent = false
    void this.#make()
  }

  // --- making

  #make(): Promise<void> {
    this.#making = this.#making.then(() => this.#makeNow()).catch((error: unknown) => this.#failed(error))
    return this.#making
  }

  async #makeNow(): Promise<void> {
    if (this.#stopped || this.#trees === null || this.#state === null) return
    if (this.#last !== null && this.#last.checkpoint.index >= this.#height) return
    const checkpoint = this.#trees.checkpoint(this.#state, {
      epoch: 0,
      previous: this.#last === null ? this.#network : checkpointDigest(this.#last.checkpoint),
      committee: this.#committee,
      // Known once a later committee is elected.
      nextCommittee: null
    })
    const certificate = await this.components.certify(checkpoint)
    const keepFrom = ++this.#made % CHECKPOINTS_PER_PRUNING === 0 ? checkpoint.index - KEPT_COMMITS : 0
    const stored = { index: checkpoint.index, certificate: encodeCertificate(certificate) }
    // Kept before it is shown, so that a restart goes on from what readers have seen.
    await this.components.store.writeCheckpoint(stored, keepFrom)
    this.#last = certificate
    for (const waiter of [...this.#waiting]) if (waiter.height <= checkpoint.index) waiter.resolve()
  }

  /** The trees have gone on without a certificate, so nothing is proved any more until the next start; commits go on. */
  #failed(error: unknown): void {
    this.components.log.error({ error: String(error) }, 'no more checkpoints')
    this.#trees = null
    this.#last = null
    for (const waiter of [...this.#waiting]) waiter.resolve()
  }

  // --- proving

  async prove(what: ProofRequest, signal?: AbortSignal): Promise<Uint8Array | null> {
    if (what.kind === 'transaction') return await this.#proveTransaction(what.id, signal)
    // Rows that haven't changed since are shown at once: nobody waits for a checkpoint because others were busy.
    const stale = what.rows.some(({ table, id }) => this.#trees?.isChanged(table, toHex(id)))
    await this.#covers(stale ? this.#height : 0, signal)
    const [state, trees, certificate] = [this.#state, this.#trees, this.#last]
    if (state === null || trees === null || certificate === null) return null
    const claims = what.rows.map(({ table, id }) => trees.proveRow(state, table, id))
    return proofOf(certificate, claims)
  }

  async #proveTransaction(id: Uint8Array, signal?: AbortSignal): Promise<Uint8Array | null> {
    const { store } = this.components
    const place = await store.locate(id)
    if (place === null) return null
    await this.#covers(place.index, signal)
    const newest = this.#trees?.proveTransaction(id) ?? null
    if (newest !== null && this.#last !== null) return proofOf(this.#last, [newest])
    const earlier = await this.#archive.prove(place)
    return earlier === null ? null : proofOf(earlier.certificate, [earlier.claim])
  }

  /** Waits until the last certificate is about this commit or a later one, and no other is being made. */
  async #covers(height: number, signal?: AbortSignal): Promise<void> {
    await this.#making
    if (this.#trees === null || (this.#last?.checkpoint.index ?? -1) >= height || this.#stopped) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const waiter = { height, resolve }
    this.#waiting.add(waiter)
    const aborted = (): void => resolve()
    signal?.addEventListener('abort', aborted, { once: true })
    await promise
    signal?.removeEventListener('abort', aborted)
    this.#waiting.delete(waiter)
    signal?.throwIfAborted()
    await this.#making
  }
}

/** One witness that decides alone knows no epochs: the genesis' committee signs. */
const proofOf = (certificate: Certificate, claims: Claim[]): Uint8Array =>
  encodeProof({ v: 1, steps: [], certificate, claims })

function startTimer(work: () => void, milliseconds: number): () => void {
  const timer = setTimeout(work, milliseconds)
  return () => clearTimeout(timer)
}
