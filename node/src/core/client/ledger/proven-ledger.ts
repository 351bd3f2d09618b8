import {
  MAX_CLAIMS,
  MAX_STAGES,
  PekkaError,
  decodeCanonical,
  decodeProof,
  encodeCanonical,
  epochBefore,
  equalBytes,
  genesisSchema,
  isStage,
  ledgerProofAnswerSchema,
  networkSchema,
  sha256,
  stateValue,
  toCid,
  toHex,
  trustGenesis,
  verifyProof,
  type AccountRow,
  type AuctionView,
  type Checkpoint,
  type Fact,
  type ImageRow,
  type Proven,
  type TaskView,
  type Trust,
  type Verifier
} from '../../protocol/index.js'
import type { VerifiedAsk } from '../market.js'
import type { Http } from '../transport.js'

/**
 * What the ledger's proof says of a task's end. `proven`: the witnesses signed what the bridge said. `refuted`: they signed something
 * else. `open`: there is no proof (yet), so it stays the bridge's word.
 */
export type ProofVerdict = 'proven' | 'refuted' | 'open'

/** What can be proved. */
export const PROVEN_KINDS = ['task', 'account', 'ask', 'transaction'] as const
export type ProvenKind = (typeof PROVEN_KINDS)[number]

export interface ProvenLedgerComponents {
  http: Http
  verifier: Verifier
  /** A token, where the bridge wants one. */
  token: () => Promise<string>
}

interface AccountOptions {
  /** For another account than the one that the components' token is for. */
  token?: () => Promise<string>
  /**
   * Where the network makes checkpoints all the time, one from before this is refused, ms: what is signed by what it shows must be so now.
   * Elsewhere the last one may be as old as the last change.
   */
  notBefore?: number
}

/** A checked proof: its bytes, what it shows, and stages of the way to where it begins. */
export interface Shown {
  bytes: Uint8Array
  way: Uint8Array[]
  proven: Proven
}

/** What a bridge shows of its network, as far as the network's id vouches for it. */
export interface Anchor {
  /** The committee that the network began with. */
  trust: Trust
  genesis: Uint8Array
  /** The list of images as the bridge hands it on: for who checks its signatures. */
  images: Uint8Array | null
}

const refuse = (issue: string): never => {
  throw new PekkaError('PROOF_INVALID', { issue })
}

/**
 * Reads the ledger through a bridge that is believed in nothing. The network's id, which came with the pairing and is signed by the
 * account's key, is the hash of the genesis, and the genesis names the first committee: that is all the trust there is.
 */
export class ProvenLedger {
  #trust: Promise<Anchor> | null = null
  /** The way from the first committee to the newest one that was asked from, where that is many epochs later. */
  readonly #stages: { to: Trust; bytes: Uint8Array }[] = []
  #newest: number
  /** Asks that were proved, with the digest of what was; an ask never changes. */
  readonly #asks = new Map<string, Uint8Array>()

  /** @param newest index of the newest checkpoint that was seen before, by another process too */
  constructor(
    private readonly components: ProvenLedgerComponents,
    private readonly network: Uint8Array,
    newest = -1
  ) {
    this.#newest = newest
  }

  /** Index of the newest checkpoint that was seen: an older one is refused from then on. */
  get newest(): number {
    return this.#newest
  }

  /** What all trust rests on, read once, or anew where it is wanted `fresh`. @throws PekkaError PROOF_INVALID, BRIDGE_UNREACHABLE */
  async anchor(fresh = false): Promise<Anchor> {
    if (fresh) this.#trust = null
    this.#trust ??= this.#readGenesis().catch((error: unknown) => {
      this.#trust = null
      throw error
    })
    return await this.#trust
  }

  async #readGenesis(): Promise<Anchor> {
    const { genesis, images } = await this.components.http.request('GET', '/v1/network', networkSchema)
    return { trust: readAnchor(genesis, this.network), genesis, images: images ?? null }
  }

  /** The last checkpoint. @throws PekkaError PROOF_INVALID, PROOF_MISSING */
  async checkpoint(): Promise<Checkpoint> {
    const { checkpoint } = await this.#read('/v1/ledger/checkpoint', null)
    return checkpoint
  }

  /** The last checkpoint as a proof that shows nothing but it, and on its way each epoch's committee. @throws PekkaError PROOF_INVALID, PROOF_MISSING */
  async last(): Promise<Shown & { genesis: Uint8Array }> {
    const { genesis } = await this.anchor()
    const seen = this.#newest
    const shown = await this.#fetch('/v1/ledger/checkpoint', null)
    this.#advance(shown.proven, seen)
    return { ...shown, genesis }
  }

  /**
   * The own account's row; null: there is no such account.
   * @throws PekkaError PROOF_INVALID, PROOF_MISSING
   */
  async account(account: Uint8Array, options: AccountOptions = {}): Promise<AccountRow | null> {
    const { token = this.components.token, notBefore = 0 } = options
    const { checkpoint, facts } = await this.#read(`/v1/accounts/${toHex(account)}/ledger-proof`, token)
    const isOld = checkpoint.timestamp < notBefore && makesHeartbeats((await this.anchor()).genesis)
    // Right after a network's start too, until its first checkpoint is made.
    if (isOld) refuse(`it is as of ${new Date(checkpoint.timestamp).toISOString()}; is this computer’s clock right?`)
    const fact = facts.find(one => one.kind === 'account' && equalBytes(one.id, account))
    return fact?.kind === 'account' ? fact.row : refuse('it shows another account')
  }

  /**
   * A transaction's place and outcome, under the checkpoint that covers it: an old one is no older state. No state from before it is
   * believed from then on.
   * @throws PekkaError PROOF_INVALID, PROOF_MISSING
   */
  async transaction(id: Uint8Array): Promise<Extract<Fact, { kind: 'transaction' }>> {
    const { proven } = await this.proof('transaction', id)
    return outcomeOf(proven, id) ?? refuse('it shows another transaction')
  }

  /**
   * An auction as the ledger has it (R31); null where there is none, undefined where the network proves nothing yet.
   * @throws PekkaError PROOF_INVALID, PROOF_MISSING
   */
  async auction(auction: Uint8Array): Promise<AuctionView | null | undefined> {
    const { genesis } = await this.anchor()
    if (!makesCheckpoints(genesis)) return undefined
    const { facts } = await this.#read(`/v1/auctions/${toHex(auction)}/ledger-proof`, null)
    const fact = facts.find(one => one.kind === 'auction' && equalBytes(one.id, auction))
    return fact?.kind === 'auction' ? fact.row : refuse('it shows another auction')
  }

  /**
   * What the registry says of images, by digest, in the same order: null where it says nothing; undefined where the network proves
   * nothing yet. @throws PekkaError PROOF_INVALID, PROOF_MISSING, BRIDGE_UNREACHABLE
   */
  async images(digests: readonly Uint8Array[]): Promise<(ImageRow | null)[] | undefined> {
    const { genesis } = await this.anchor()
    if (!makesCheckpoints(genesis)) return undefined
    const rows: (ImageRow | null)[] = []
    for (let at = 0; at < digests.length; at += MAX_CLAIMS) {
      const part = digests.slice(at, at + MAX_CLAIMS)
      const { facts } = await this.#read(`/v1/ledger/images/proof?images=${part.map(toHex).join(',')}`, null)
      for (const digest of part) {
        const fact = facts.find(one => one.kind === 'image' && equalBytes(one.id, digest))
        rows.push(fact?.kind === 'image' ? fact.row : refuse('it shows another image'))
      }
    }
    return rows
  }

  /** The encoded proof of how a task stands, checked but not judged (see {@link judge}). @throws PekkaError PROOF_INVALID, PROOF_MISSING */
  async task(task: Uint8Array): Promise<Shown & { genesis: Uint8Array }> {
    const seen = this.#newest
    const found = await this.proof('task', task)
    // A transaction is shown under the checkpoint that covers it, which may be an old one.
    if (found.proven.facts.some(({ kind }) => kind === 'task')) this.#advance(found.proven, seen)
    return found
  }

  /** An encoded proof of one thing, checked, with the genesis that it rests on. @throws PekkaError PROOF_INVALID, PROOF_MISSING */
  async proof(kind: ProvenKind, id: Uint8Array): Promise<Shown & { genesis: Uint8Array }> {
    const { genesis } = await this.anchor()
    const path = {
      task: `/v1/tasks/${toHex(id)}/ledger-proof`,
      account: `/v1/accounts/${toHex(id)}/ledger-proof`,
      ask: `/v1/ledger/asks/proof?asks=${toHex(id)}`,
      transaction: `/v1/transactions/${toCid(id, 'dag-cbor')}/ledger-proof`
    }[kind]
    const token = kind === 'task' || kind === 'account' ? this.components.token : null
    const shown = await this.#fetch(path, token)
    this.#sawTo(shown.proven)
    return { ...shown, genesis }
  }

  /** Whether the ledger says of a task that has ended what the bridge says. Never throws. */
  async judge(view: TaskView): Promise<ProofVerdict> {
    try {
      const { proven } = await this.task(view.task)
      return verdictOf(proven, view)
    } catch {
      return 'open'
    }
  }

  /**
   * Those of the asks that the ledger has, each with the sealing key, the price and the transaction that it was published by (R3b). What
   * was proved once is not asked for again. On a network without checkpoints yet the publishers' signatures must do.
   * @throws PekkaError PROOF_INVALID, PROOF_MISSING, BRIDGE_UNREACHABLE
   */
  async asks(asks: readonly VerifiedAsk[]): Promise<VerifiedAsk[]> {
    const { genesis } = await this.anchor()
    if (!makesCheckpoints(genesis)) return [...asks]
    const unknown = asks.filter(ask => !this.#isProven(ask))
    if (unknown.length > 0) {
      const ids = unknown.map(({ ask }) => toHex(ask.ask)).join(',')
      const { facts } = await this.#read(`/v1/ledger/asks/proof?asks=${ids}`, null)
      for (const fact of facts) {
        if (fact.kind === 'ask' && fact.row !== null)
          this.#asks.set(toHex(fact.id), stateValue(encodeCanonical(fact.row)))
      }
    }
    // One that has ended is gone; one that is there in another form was never published so.
    if (asks.some(ask => this.#asks.has(toHex(ask.ask.ask)) && !this.#isProven(ask)))
      refuse('the bridge names another price or key than the ledger')
    return asks.filter(ask => this.#isProven(ask))
  }

  #isProven({ ask, provider, published }: VerifiedAsk): boolean {
    const known = this.#asks.get(toHex(ask.ask))
    const row = { ask, provider: provider.provider, transaction: published }
    return known !== undefined && equalBytes(known, stateValue(encodeCanonical(row)))
  }

  async #read(path: string, token: (() => Promise<string>) | null): Promise<Proven> {
    const seen = this.#newest
    const { proven } = await this.#fetch(path, token)
    this.#advance(proven, seen)
    return proven
  }

  /** Asks on from stage to stage, each believed from the one before, until what was asked for is shown. */
  async #fetch(path: string, token: (() => Promise<string>) | null): Promise<Shown> {
    const { http, verifier } = this.components
    const { trust: first } = await this.anchor()
    const options = token === null ? {} : { token: await token() }
    for (;;) {
      const since = this.#stages.at(-1)?.to.epoch ?? 0
      const query = since === 0 ? '' : `${path.includes('?') ? '&' : '?'}since=${since}`
      const { proof } = await http.request('GET', path + query, ledgerProofAnswerSchema, options)
      if (proof === null) throw new PekkaError('PROOF_MISSING')
      const parts = decodeProof(proof)
      const from = epochBefore(parts)
      // What was ordered long ago is shown from a stage before.
      const way = this.#stages.filter(({ to }) => to.epoch <= from)
      const proven = await verifyProof(proof, way.at(-1)?.to ?? first, verifier)
      if (!isStage(parts)) return { bytes: proof, way: way.map(({ bytes }) => bytes), proven }
      if (from !== since || this.#stages.length >= MAX_STAGES) refuse('it leads nowhere')
      // Another request may have come here meanwhile.
      if ((this.#stages.at(-1)?.to.epoch ?? 0) === since) this.#stages.push({ to: proven.trust, bytes: proof })
    }
  }

  /**
   * State is never read from before what was seen: a bridge can't go back to when it suited it. Of answers under way together any may
   * come first.
   * @param seen the newest checkpoint when it was asked for
   */
  #advance(proven: Proven, seen: number): void {
    const { index } = proven.checkpoint
    if (index < seen)
      throw new PekkaError('PROOF_INVALID', { issue: 'it is older than what was shown before', index, seen })
    this.#sawTo(proven)
  }

  /** Also where something may be shown under an old checkpoint: what was seen counts from then on. */
  #sawTo({ checkpoint }: Proven): void {
    this.#newest = Math.max(this.#newest, checkpoint.index)
  }
}

/** As it stands in a file or a receipt: left out where the proof begins at the genesis. */
export const wayOf = ({ way }: Pick<Shown, 'way'>): { way?: Uint8Array[] } => (way.length === 0 ? {} : { way })

/** The first committee, from a genesis that whoever gives it can't have invented. @throws PekkaError PROOF_INVALID */
export function readAnchor(genesis: Uint8Array, network: Uint8Array): Trust {
  if (!equalBytes(sha256(genesis), network)) refuse('the genesis is of another network')
  return trustGenesis(genesisSchema.parse(decodeCanonical(genesis)))
}

/**
 * Whether the network's witnesses make checkpoints: a committee does, and a witness that decides alone; one that is no quorum of those
 * named can't. This is known from the genesis, so no bridge can pretend it.
 * @param genesis that of the network, see {@link readAnchor}
 */
export function makesCheckpoints(genesis: Uint8Array): boolean {
  const { agreement, witnesses } = genesisSchema.parse(decodeCanonical(genesis))
  return agreement !== undefined || witnesses.length === 1
}

/** Whether they make some without any change too, as a committee does: the last one is seconds old then. */
const makesHeartbeats = (genesis: Uint8Array): boolean =>
  genesisSchema.parse(decodeCanonical(genesis)).agreement !== undefined

/** What a checked proof says of a task whose end the bridge told. */
export function verdictOf(proven: Proven, view: TaskView): ProofVerdict {
  const row = proven.facts.find(fact => fact.kind === 'task' && equalBytes(fact.id, view.task))
  if (row?.kind === 'task' && row.row !== null) {
    const { held: _, ...shown } = row.row
    if (sameEnd(shown, view)) return 'proven'
    // A checkpoint from before the end says nothing about it.
    return proven.checkpoint.contractTime < view.since ? 'open' : 'refuted'
  }
  // A closed task's row is gone: that its last step is on the ledger says nothing of the sums.
  return 'open'
}

/** Equal in all that an owner is told: who ran it, what was fixed, what was paid. */
function sameEnd(shown: TaskView, view: TaskView): boolean {
  const part = ({ task, account, attempts, offer, lock, paid, refunded, levy, transactions }: TaskView) =>
    encodeCanonical({ task, account, attempts, offer, lock, paid, refunded, levy, transactions })
  return shown.state === view.state && equalBytes(part(shown), part(view))
}

const outcomeOf = ({ facts }: Proven, id: Uint8Array): Extract<Fact, { kind: 'transaction' }> | undefined =>
  facts.find(fact => fact.kind === 'transaction' && equalBytes(fact.id, id)) as
    // What `find` looked for.
    Extract<Fact, { kind: 'transaction' }> | undefined
