import {
  CLIENT_BODIES,
  CREDIT,
  concat,
  deriveKey,
  equalBytes,
  PekkaError,
  isPekkaError,
  ledgerTimeSchema,
  pairAnswerMessage,
  pairInfo,
  tokenMessage,
  viewKeyFrom,
  type AccountRow,
  type AccountView,
  type Body,
  type Clock,
  type Delegate,
  type LedgerTime,
  type NetworkInfo,
  type PairAnswer,
  type PairRequest,
  type Policy,
  type Primitives,
  type Signer
} from '../../core/protocol/index.js'
import {
  Http,
  PekkaClient,
  ProvenLedger,
  readNetwork,
  type Acted,
  type FetchLike,
  type LiveFactory,
  type PartlySigned
} from '../../core/client/index.js'
import { AccountKeys } from './keys.js'
import type { Vault } from './vault.js'

/** What a paired browser or the command line may spend, and until when (UX §4: "5 credits, until tomorrow"). */
export interface GrantTerms {
  cap: bigint
  perTask: bigint
  lifeMs: number
}

export const DEFAULT_TERMS: GrantTerms = { cap: 5n * CREDIT, perTask: CREDIT, lifeMs: 24 * 3_600_000 }

/** A grant with less left than this is renewed when its owner asks: a task takes that long to be sent and cancelled. */
const RENEW_BEFORE_MS = 15 * 60_000

const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b)

export interface WalletComponents {
  vault: Vault
  fetch: FetchLike
  live: LiveFactory
  primitives: Primitives
  clock: Clock
}

export interface WalletInit {
  /** Addresses of the bridge to try, in order, as browsers see them; the first is used by the wallet itself. */
  bridges: string[]
  terms?: GrantTerms
}

/** What a process of the same user gets (over the wallet's own socket, never over the network). */
export interface LocalGrant {
  network: Uint8Array
  account: Uint8Array
  bridge: Uint8Array
  base: string
  viewKey: Uint8Array
  delegate: Delegate
  /** A key of the account's policy: signs tokens that see all lanes (R38). */
  owner: Uint8Array
}

/** What the owner sees of an account. */
export interface OwnerView {
  view: AccountView
  /** The same as the ledger proves it; null where it proves nothing (yet). */
  row: AccountRow | null
  time: LedgerTime
  /** This wallet's key, and the one that a rotation under way names. */
  key: Uint8Array
  next: Uint8Array | null
}

/** What the wallet has of its bridge. */
interface Connection {
  info: NetworkInfo
  client: PekkaClient
  keys: AccountKeys
  /** This wallet's key, when it was made. */
  signer: Signer
}

/** The user's wallet: signs for the account, and grants delegates what they may do (PROTOCOL §10). */
export class Wallet {
  #connection: Promise<Connection> | null = null
  /** Outlives connections, so that none shows the ledger as it was before. */
  #ledger: { network: Uint8Array; proven: ProvenLedger } | null = null

  constructor(
    private readonly components: WalletComponents,
    private readonly init: WalletInit
  ) {}

  /** This wallet's key, and the one that a rotation under way names: known without any network. */
  get keys(): { key: Uint8Array; next: Uint8Array | null } {
    const { owner, next } = this.components.vault
    return { key: owner.publicKey, next: next?.publicKey ?? null }
  }

  /** The bridge's public facts; also shows that it is reachable. @throws PekkaError BRIDGE_UNREACHABLE */
  async network(): Promise<NetworkInfo> {
    return (await this.#connect()).info
  }

  async view(): Promise<AccountView> {
    return await (await this.#connect()).client.account()
  }

  /** The client with the owner's token: sees all lanes of the account. */
  async client(): Promise<PekkaClient> {
    return (await this.#connect()).client
  }

  /**
   * Makes `key` a delegate of the account, or renews it when it runs out. Final on the ledger when this resolves.
   * @param perTask what one task must be able to cost, micro-credits, where the user asked for more than the usual terms
   * @throws PekkaError BRIDGE_UNREACHABLE, and whatever the ledger answers
   */
  async grant(key: Uint8Array, perTask = 0n): Promise<LocalGrant> {
    const { vault, clock } = this.components
    const { info, keys } = await this.#connect()
    const usual = this.init.terms ?? DEFAULT_TERMS
    const terms = { ...usual, cap: larger(usual.cap, perTask), perTask: larger(usual.perTask, perTask) }
    const account = await keys.of().ensure()
    const lane = account.lanes.find(l => l.key !== null && equalBytes(l.key, key))
    const left = lane?.delegate ? lane.delegate.cap - lane.used : 0n
    let delegate = lane?.delegate ?? null
    const runsOut = !delegate || delegate.expiry - RENEW_BEFORE_MS < clock.now() || left < terms.perTask
    // A key that was granted by an earlier version lacks what came since.
    const lacks = !CLIENT_BODIES.every(body => delegate?.bodies.includes(body))
    if (!delegate || runsOut || lacks || delegate.perTask < perTask) {
      // The ledger counts what a renewed key spends from zero; what it has on hold stays counted.
      const expiry = clock.now() + terms.lifeMs
      delegate = { key, cap: terms.cap, perTask: terms.perTask, bodies: [...CLIENT_BODIES], expiry }
      await this.#send({ kind: 'grant', delegate })
    }
    return {
      network: info.network,
      account: keys.account,
      bridge: info.bridge,
      base: this.#base,
      viewKey: vault.viewKey,
      delegate,
      owner: vault.owner.publicKey
    }
  }

  /** Takes a delegate's rights away; what it has open stays (R28). */
  async revoke(key: Uint8Array): Promise<void> {
    await this.#send({ kind: 'revoke', key })
  }

  /** Draws practice credits, on a devnet. */
  async draw(amount: bigint): Promise<void> {
    await this.#send({ kind: 'faucet', amount })
  }

  /** The account as this wallet's owner sees it: who signs, and all of its row that is proved. */
  async owner(account?: Uint8Array): Promise<OwnerView> {
    const { keys, client } = await this.#connect()
    const of = keys.of(account)
    if (account === undefined) await of.ensure()
    const view = await of.view()
    // Where the network makes no checkpoints, what the bridge says must do.
    const row = await keys.proven(of, view.account).catch((error: unknown) => {
      if (isPekkaError(error) && error.code === 'PROOF_MISSING') return null
      throw error
    })
    const time = await client.http.request('GET', '/v1/ledger/time', ledgerTimeSchema)
    return { view, row, time, ...this.keys }
  }

  /**
   * Has the account do something that its owner signs; where others must sign too it comes back for them.
   * @param account another account with this wallet's key; default: its own
   */
  async act(body: Body, account?: Uint8Array): Promise<Acted> {
    return await (await this.#connect()).keys.act(body, account)
  }

  /** Adds the owner's signature. The caller has shown the user what it is. */
  async sign(partly: PartlySigned): Promise<PartlySigned & { policy: Policy }> {
    return await (await this.#connect()).keys.sign(partly)
  }

  /** Sends what enough owners have signed, together or apart. */
  async submit(parts: readonly PartlySigned[]): Promise<Uint8Array> {
    const id = await (await this.#connect()).keys.submit(parts)
    // It may have changed this wallet's own key.
    this.close()
    return id
  }

  /** A new key for this wallet. Delegates stay what they are. */
  async rotate(): Promise<Acted> {
    const { keys } = await this.#connect()
    try {
      return await keys.rotate()
    } finally {
      this.close()
    }
  }

  /** Acts for another account from here on. */
  async use(account: Uint8Array): Promise<void> {
    const { keys } = await this.#connect()
    await keys.use(account)
    this.close()
  }

  /** How far the bridge's network was seen: index of the newest checkpoint, −1 for none. It says so without a proof. */
  async seen(): Promise<{ network: Uint8Array; index: number }> {
    const { network } = await readNetwork(new Http(this.components, { base: this.#base }))
    return { network, index: this.components.vault.seen.of(network) }
  }

  /**
   * Believes any state of a network's ledger again, as a new wallet does: for a ledger that its own people have set back. The caller
   * has asked the user, since a bridge may then show keys that have been removed.
   */
  async forgetSeen(network: Uint8Array): Promise<void> {
    await this.components.vault.seen.forget(network)
    this.#ledger = null
    this.close()
  }

  /** Answers a pairing request whose code was good: delegate, and the view key sealed to the browser's key. */
  async pair(request: PairRequest): Promise<PairAnswer> {
    const { vault, primitives } = this.components
    const grant = await this.grant(request.key)
    const ephemeral = await primitives.agreement.generate()
    const shared = await primitives.agreement.agree(ephemeral.privateKey, request.exchange)
    const info = pairInfo(grant.account, request.key, request.exchange, ephemeral.publicKey)
    const sealed = await primitives.aead.seal(deriveKey(shared, info), new Uint8Array(12), vault.viewKey, info)
    const answer = {
      v: 1 as const,
      network: grant.network,
      account: grant.account,
      delegate: { cap: grant.delegate.cap, perTask: grant.delegate.perTask, expiry: grant.delegate.expiry },
      bridges: this.init.bridges,
      bridgeKey: grant.bridge,
      viewKey: concat(ephemeral.publicKey, sealed)
    }
    return { ...answer, signature: await vault.owner.sign(pairAnswerMessage(answer)) }
  }

  /** Signs a bridge's challenge with the account's key: the owner's token sees all lanes (R38). */
  async signToken(challenge: Uint8Array): Promise<{ key: Uint8Array; signature: Uint8Array }> {
    const { info, keys } = await this.#connect()
    // Only now: the way there may have brought the key that a rotation named.
    const { owner } = this.components.vault
    return {
      key: owner.publicKey,
      signature: await owner.sign(tokenMessage(info.bridge, challenge, keys.account, owner.publicKey))
    }
  }

  /** Lets go of the bridge; the next call connects anew. */
  close(): void {
    const connection = this.#connection
    this.#connection = null
    connection?.then(
      ({ client }) => client.close(),
      () => undefined
    )
  }

  get #base(): string {
    return this.init.bridges[0] ?? ''
  }

  async #connect(): Promise<Connection> {
    const connection = await this.#opened()
    const { keys, signer } = connection
    if (await keys.mayHaveChanged()) await keys.settle()
    if (signer === this.components.vault.owner) return connection
    // Who else was told of the new key meanwhile may have connected with it.
    if (this.#connection !== null && (await this.#connection) === connection) this.close()
    return await this.#opened()
  }

  async #opened(): Promise<Connection> {
    const opening = (this.#connection ??= this.#open())
    try {
      return await opening
    } catch (error) {
      if (this.#connection === opening) this.#connection = null
      throw error
    }
  }

  async #open(): Promise<Connection> {
    const { vault, clock, primitives } = this.components
    const http = new Http(this.components, { base: this.#base })
    const info = await readNetwork(http)
    const { verifier, random } = primitives
    const keys = new AccountKeys(
      { http, clock, verifier, vault, random, ledger: this.#provenOn(info.network, http) },
      info
    )
    await keys.settle()
    const signer = vault.owner
    const identity = {
      network: info.network,
      account: keys.account,
      signer,
      viewKey: viewKeyFrom(vault.viewKey),
      bridge: info.bridge
    }
    return { info, keys, signer, client: new PekkaClient(this.components, { base: this.#base, identity }) }
  }

  /** Whoever asks brings the token of the account that it is about. */
  #provenOn(network: Uint8Array, http: Http): ProvenLedger {
    if (this.#ledger === null || !equalBytes(this.#ledger.network, network)) {
      const { vault, primitives } = this.components
      const components = { http, verifier: primitives.verifier, token: async () => '' }
      this.#ledger = { network, proven: new ProvenLedger(components, network, vault.seen.of(network)) }
    }
    return this.#ledger.proven
  }

  /** For what nobody else can sign beside. @throws PekkaError SIGNATURES_MISSING, or the ledger's refusal or failure */
  async #send(body: Body): Promise<void> {
    const acted = await (await this.#connect()).keys.act(body)
    if (acted.status === 'partial') {
      throw new PekkaError('SIGNATURES_MISSING', { have: acted.signatures.length, need: acted.policy.threshold })
    }
  }
}
