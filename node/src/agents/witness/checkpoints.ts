import {
  certify,
  checkpointDigest,
  commitViewSchema,
  committeeDigest,
  decodeCanonical,
  decodeCertificate,
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
  type OrderedTransaction,
  type ProofRequest,
  type Signer
} from '@pekka/node/protocol'
import {
  CheckpointTrees,
  orderedAs,
  timeView,
  TransactionTree,
  type CommitResult,
  type Hashing,
  type Reader
} from '@pekka/node/ledger'
import type { LedgerStore, StoredCheckpoint } from '@pekka/node/host/storage'
import { CHECKPOINT_INTERVAL_MS, CHECKPOINTS_PER_PRUNING, KEPT_TREES, KEPT_COMMITS, MAX_UNROOTED } from './constants.js'

/** What makes proofs of a ledger; the ledger tells it of each commit. */
export interface LedgerProver {
  /** Reads what is stored. `state` is the ledger's, after its last commit, and stays so. */
  start(state: Reader): Promise<void>
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
 * Makes a checkpoint about a second after a commit that none covers yet, and proves from it. Commits never wait for one. What a crash
 * takes is made again: the commits are on disk, and the transactions since the last stored checkpoint are read from them.
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
  /** Transactions of earlier checkpoints, by their index; the one asked for last is the last. */
  readonly #earlier = new Map<number, TransactionTree>()
  readonly #network: Uint8Array
  readonly #committee: Uint8Array

  constructor(
    private readonly components: CheckpointsComponents,
    { genesis }: CheckpointsInit
  ) {
    this.#network = networkId(genesis)
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
    this.#trees = new CheckpointTrees(hashing, state, await this.#ordered(covered, height))
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
    const stored = await store.checkpointFrom(place.index)
    if (stored === null) return null
    const tree = await this.#treeOf(stored)
    const leaf = tree?.ordered.findIndex(one => one.index === place.index && one.position === place.position) ?? -1
    const ordered = tree?.ordered[leaf]
    if (tree === null || ordered === undefined) return null
    return proofOf(readCertificate(stored), [{ kind: 'transaction', ordered, path: tree.prove(leaf) }])
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

  /** The transactions of an earlier checkpoint, made again from its commits; null where the one before it isn't kept. */
  async #treeOf(stored: StoredCheckpoint): Promise<TransactionTree | null> {
    const known = this.#earlier.get(stored.index)
    const { checkpoint } = readCertificate(stored)
    const before = await this.components.store.checkpointBefore(stored.index)
    if (before === null && !equalBytes(checkpoint.previous, this.#network)) return null
    const ordered = known?.ordered ?? (await this.#ordered(before?.index ?? -1, stored.index))
    const tree = known ?? new TransactionTree(ordered, this.components.hashing)
    if (!equalBytes(tree.root, checkpoint.transactionsRoot)) return null
    this.#earlier.delete(stored.index)
    this.#earlier.set(stored.index, tree)
    for (const index of this.#earlier.keys()) if (this.#earlier.size > KEPT_TREES) this.#earlier.delete(index)
    return tree
  }

  /** What the commits after `from`, up to `to`, ordered. */
  async #ordered(from: number, to: number): Promise<OrderedTransaction[]> {
    const all: OrderedTransaction[] = []
    for (let index = from + 1; index <= to; index++) {
      const bytes = await this.components.store.commit(index)
      if (bytes === null) throw new TypeError(`commit ${index} is gone`)
      const { transactions } = commitViewSchema.parse(decodeCanonical(bytes))
      transactions.forEach(({ outcome }, position) => all.push(orderedAs(index, position, outcome)))
    }
    return all
  }
}

const readCertificate = ({ certificate }: StoredCheckpoint): Certificate => decodeCertificate(certificate)

/** Committees of later epochs will put their steps here; until there are any, the genesis' committee signs. */
const proofOf = (certificate: Certificate, claims: Claim[]): Uint8Array =>
  encodeProof({ v: 1, steps: [], certificate, claims })

function startTimer(work: () => void, milliseconds: number): () => void {
  const timer = setTimeout(work, milliseconds)
  return () => clearTimeout(timer)
}
