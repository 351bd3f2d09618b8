import {
  PekkaError,
  asPekkaError,
  equalBytes,
  isPekkaError,
  networkSchema,
  type AccountView,
  type Clock,
  type Primitives
} from '@pekka/node/protocol'
import { Http, PekkaClient, type FetchLike } from '@pekka/node/client'
import { Signal, type ISignal } from '@lumino/signaling'
import type { KeyStore } from '../crypto/index.js'
import { addressesFor, bridgeAddressesFor, shownAddress } from './addresses.js'
import { FRESH_CODE_MS, PROBE_MS, RENEW_BEFORE_MS, RETRY_MS, UNPAIRED_RETRY_MS, WALLET_NAME } from './constants.js'
import type { PageOption } from './page-option.js'
import type { LiveDoor } from './socket.js'
import { pair, readGrant, vouched, type Grant } from './pairing.js'

/** Where this page stands with its bridge. `since`, `at` and `retryAt`: ms since 1970. */
export type ConnectionState =
  | { status: 'connecting' }
  | { status: 'connected'; address: string; since: number }
  /** It was connected, or a bridge is known, and nothing answers now; tried again by itself. */
  | { status: 'off'; reason: string; since: number; retryAt: number | null }
  /** Nobody has paired this browser profile, or the key has run out and no fresh code is to be had. */
  | { status: 'unpaired'; reason: string }

export interface ConnectionComponents {
  fetch: FetchLike
  live: (base: string) => LiveDoor
  primitives: Primitives
  keys: KeyStore
  clock: Clock
  /** The wallet's word in the page that is open; undefined where Lab wasn't started by PEKKA. */
  option: () => PageOption | undefined
  /** The same from a page that is fetched anew, with a fresh code. */
  freshOption: (signal: AbortSignal) => Promise<PageOption | undefined>
}

/** What a pairing is answered with that holds no more. */
const GRANTED_ANEW = ['DELEGATE_UNKNOWN', 'DELEGATE_EXPIRED', 'ACCOUNT_UNKNOWN', 'SIGNATURE_INVALID']

export interface ConnectionInit {
  /** Lab's base address. */
  labBase: string
  /** The setting: `auto` or an address. */
  bridge: string
}

/**
 * The page's one connection to a bridge: finds its address, pairs with the wallet where needed, and keeps a client whose socket
 * reconnects by itself. Pairing and signing in show who this profile is; nothing that costs is signed here.
 */
export class Connection {
  #state: ConnectionState = { status: 'connecting' }
  #client: PekkaClient | null = null
  #door: LiveDoor | null = null
  #grant: Grant | null = null
  #account: AccountView | null = null
  #accountAt = 0
  #run = new AbortController()
  #wake: (() => void) | null = null
  #seenAt: number | null = null
  readonly #changed = new Signal<this, ConnectionState>(this)
  readonly #accountChanged = new Signal<this, AccountView>(this)
  readonly #clientChanged = new Signal<this, PekkaClient | null>(this)

  constructor(
    private readonly components: ConnectionComponents,
    private readonly init: ConnectionInit
  ) {}

  get state(): ConnectionState {
    return this.#state
  }

  /** Told once per change of {@link state}. */
  get changed(): ISignal<this, ConnectionState> {
    return this.#changed
  }

  /** The client of the bridge that was found; it stays while the connection is off, since it comes back by itself. */
  get client(): PekkaClient | null {
    return this.#client
  }

  get clientChanged(): ISignal<this, PekkaClient | null> {
    return this.#clientChanged
  }

  /** Money and lanes as the bridge said last, and when. */
  get account(): { view: AccountView; at: number } | null {
    return this.#account ? { view: this.#account, at: this.#accountAt } : null
  }

  get accountChanged(): ISignal<this, AccountView> {
    return this.#accountChanged
  }

  /** What this browser's key may spend, and until when. */
  get grant(): Grant | null {
    return this.#grant
  }

  get setting(): string {
    return this.init.bridge
  }

  /** When the bridge was last heard of, ms; null: never in this page. */
  get seenAt(): number | null {
    return this.#state.status === 'connected' ? this.components.clock.now() : this.#seenAt
  }

  start(): void {
    const signal = this.#run.signal
    void this.#keep(signal)
  }

  /** Begins again, e.g. with another address. */
  restart(bridge: string): void {
    this.stop()
    this.#run = new AbortController()
    this.init.bridge = bridge
    this.#set({ status: 'connecting' })
    this.start()
  }

  stop(): void {
    this.#run.abort()
    this.#drop()
  }

  /** Tries now instead of at the next turn. */
  retry(): void {
    if (this.#state.status === 'off') this.#door?.retry()
    this.#wake?.()
  }

  /** Pairs with a code that the user pasted. @throws PekkaError PAIRING_FAILED, WALLET_UNREACHABLE */
  async pairWith(wallet: string, code: string): Promise<void> {
    await this.#pair({ wallet, code }, this.#run.signal)
    this.restart(this.init.bridge)
  }

  /** A new grant for this browser's key: the user asked for it, or the old one ran out. @throws PekkaError */
  async renew(): Promise<void> {
    const option = await this.components.freshOption(this.#run.signal)
    if (!option) throw new PekkaError('PAIRING_FAILED')
    this.#grant = await this.#pair(option, this.#run.signal)
  }

  async #keep(signal: AbortSignal): Promise<void> {
    for (let round = 0; !signal.aborted; round++) {
      try {
        await this.#connect(signal)
        return
      } catch (error) {
        if (signal.aborted) return
        const { code, message } = asPekkaError(error)
        if (code === 'PAIRING_FAILED') {
          this.#set({ status: 'unpaired', reason: this.#unpairedReason() })
          await this.#pause(UNPAIRED_RETRY_MS, signal)
        } else {
          const wait = RETRY_MS[Math.min(round, RETRY_MS.length - 1)] ?? 0
          const since = this.#state.status === 'off' ? this.#state.since : this.components.clock.now()
          this.#set({ status: 'off', reason: message, since, retryAt: this.components.clock.now() + wait })
          await this.#pause(wait, signal)
        }
      }
    }
  }

  #unpairedReason(): string {
    if (this.#grant && this.#grant.expiry <= this.components.clock.now()) return 'Signed out: the key has expired.'
    return 'This browser is not connected to a wallet yet.'
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const { keys, clock } = this.components
    const kept = await keys.keys(WALLET_NAME)
    let grant = readGrant(kept.grant)
    this.#grant = grant ?? null
    const stale = !grant || !kept.view || grant.expiry - RENEW_BEFORE_MS <= clock.now()
    if (stale) grant = await this.#pairByPage(signal)
    let found = await this.#findBridge(grant, signal)
    // The profile was paired with another network, e.g. of another home on the same port.
    if (found === 'other-network') {
      grant = await this.#pairByPage(signal)
      found = await this.#findBridge(grant, signal)
    }
    if (!grant || found === 'other-network') throw new PekkaError('NETWORK_MISMATCH')
    try {
      await this.#open(found, grant)
    } catch (error) {
      // Revoked, a ledger that was reset, or an account that has other keys since: the wallet grants anew.
      if (!isPekkaError(error) || !GRANTED_ANEW.includes(error.code)) throw error
      grant = await this.#pairByPage(signal)
      await this.#open(found, grant)
    }
  }

  /** Pairs by the code that the wallet wrote into the page; a fresh page where that one is used up. */
  async #pairByPage(signal: AbortSignal): Promise<Grant> {
    const option = this.components.option()
    if (option) {
      try {
        return await this.#pair(option, signal)
      } catch (error) {
        if (!isPekkaError(error) || error.code !== 'PAIRING_FAILED') throw error
      }
    }
    // Another page may have used the same code a moment ago; the next one is written within milliseconds.
    let used = option?.code
    for (const wait of [...FRESH_CODE_MS, null]) {
      const fresh = await this.components.freshOption(signal)
      if (!fresh) break
      if (fresh.code !== used) {
        try {
          return await this.#pair(fresh, signal)
        } catch (error) {
          if (!isPekkaError(error) || error.code !== 'PAIRING_FAILED') throw error
          used = fresh.code
        }
      }
      if (wait !== null) await this.#pause(wait, signal)
      signal.throwIfAborted()
    }
    throw new PekkaError('PAIRING_FAILED')
  }

  async #pair(option: Pick<PageOption, 'wallet' | 'code'>, signal: AbortSignal): Promise<Grant> {
    let last: unknown = new PekkaError('WALLET_UNREACHABLE')
    for (const address of addressesFor(this.init.labBase, option.wallet)) {
      try {
        return await pair(this.components, address, option.code, signal)
      } catch (error) {
        // An address that leads elsewhere answers in another language; the code is not spent by that.
        if (isPekkaError(error) && ['PAIRING_FAILED', 'ORIGIN_REFUSED'].includes(error.code)) throw error
        last = error
      }
    }
    throw last
  }

  async #findBridge(grant: Grant | undefined, signal: AbortSignal): Promise<string | 'other-network'> {
    const { bridge, labBase } = this.init
    const named = bridge === 'auto' ? [this.components.option()?.bridge, ...(grant?.bridges ?? [])] : [bridge]
    const addresses = named.flatMap(address => (address === undefined ? [] : bridgeAddressesFor(labBase, address)))
    let last: unknown = new PekkaError('PAIRING_FAILED')
    let other = false
    for (const address of new Set(addresses)) {
      try {
        const http = new Http(this.components, { base: address })
        const probe = AbortSignal.any([signal, AbortSignal.timeout(PROBE_MS)])
        const info = await http.request('GET', '/v1/network', networkSchema, { signal: probe })
        if (grant && equalBytes(info.network, grant.network) && equalBytes(info.bridge, grant.bridgeKey)) return address
        other = true
      } catch (error) {
        signal.throwIfAborted()
        last = isPekkaError(error) ? error : new PekkaError('BRIDGE_UNREACHABLE', { address: shownAddress(address) })
      }
    }
    if (other) return 'other-network'
    throw last
  }

  async #open(base: string, grant: Grant): Promise<void> {
    const { keys, primitives, clock, fetch, live } = this.components
    const { signer, view } = await keys.keys(WALLET_NAME)
    if (!view) throw new PekkaError('PAIRING_FAILED')
    const { network, account, bridgeKey } = grant
    const door = live(base)
    const client = new PekkaClient(
      { fetch, live: door.open, primitives, clock, exclusive: work => keys.exclusive(WALLET_NAME, work) },
      { base, identity: { network, account, signer, viewKey: view, bridge: bridgeKey } }
    )
    const accountView = await client.account()
    if (!(await vouched(this.components, grant, accountView))) throw new PekkaError('SIGNATURE_INVALID')
    this.#drop()
    this.#client = client
    this.#door = door
    this.#grant = grant
    this.#setAccount(accountView)
    client.live.watch({
      account: view => this.#setAccount(view),
      connection: state => {
        if (this.#client !== client) return
        const now = clock.now()
        if (state.status === 'connected') {
          this.#set({ status: 'connected', address: base, since: now })
        } else if (state.status === 'off') {
          if (this.#state.status === 'connected') this.#seenAt = now
          const since = this.#state.status === 'off' ? this.#state.since : now
          this.#set({ status: 'off', reason: 'The bridge does not answer.', since, retryAt: null })
        }
      }
    })
    this.#clientChanged.emit(client)
    client.live.open()
  }

  #setAccount(view: AccountView): void {
    this.#account = view
    this.#accountAt = this.components.clock.now()
    this.#accountChanged.emit(view)
  }

  #drop(): void {
    if (!this.#client) return
    this.#client.close()
    this.#client = null
    this.#door = null
    this.#clientChanged.emit(null)
  }

  #set(state: ConnectionState): void {
    this.#state = state
    this.#changed.emit(state)
  }

  #pause(ms: number, signal: AbortSignal): Promise<void> {
    return new Promise(resolve => {
      const done = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', done)
        this.#wake = null
        resolve()
      }
      const timer = setTimeout(done, ms)
      signal.addEventListener('abort', done)
      this.#wake = done
    })
  }
}
