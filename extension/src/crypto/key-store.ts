import { viewKeyFrom } from '@pekka/node/protocol'
import type { Random, Signer, ViewKey } from '@pekka/node/protocol'
import { scriptSigner } from './fallback.js'
import type { Support } from './support.js'
import { importViewKey, webSigner, webSigningPair, webViewKey } from './webcrypto.js'

/** What a browser profile keeps for one wallet. */
export interface Keys {
  /** The delegate's key; the wallet grants to its public half. */
  signer: Signer
  /** False where the browser has no Ed25519 and the key is a seed that the page can read. */
  unreadable: boolean
  /** The account's view key, once paired. */
  view?: ViewKey
  /** What the wallet answered at pairing, as it was saved: the caller's schema reads it. */
  grant?: unknown
}

export interface KeyStoreComponents {
  indexedDB: IDBFactory
  /** `crypto.subtle` with what it can do; see support.ts. */
  support: Support
  random: Random
  /** `navigator.locks`; absent in pages that aren't secure contexts. */
  locks?: LockManager
}

interface KeyRecord {
  v: 1
  publicKey: Uint8Array
  sign: CryptoKey | { seed: Uint8Array }
  view?: CryptoKey | { secret: Uint8Array }
  grant?: unknown
}

const DATABASE = 'pekka'
const STORE = 'keys'

const settled = <T>(request: IDBRequest<T>): Promise<T> =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error ?? new Error('IndexedDB refused'))
  })

/**
 * Keys of a browser profile in IndexedDB, one record per wallet, shared by all tabs. Private keys are non-extractable: a script
 * in the page could use them, not take them away. Nothing is ever put into localStorage (B9).
 */
export class KeyStore {
  private database: Promise<IDBDatabase> | undefined
  private queue: Promise<unknown> = Promise.resolve()

  constructor(private readonly components: KeyStoreComponents) {}

  /** The keys for a wallet (any name, e.g. its account), made on first use. Two tabs that ask at once get the same. */
  async keys(wallet: string): Promise<Keys> {
    const known = await this.read(wallet)
    if (known !== undefined) return this.open(known)
    const fresh = await this.make()
    // Making a key can't happen inside a database transaction; whoever stores first wins, and both use that one.
    const stored = await this.change(wallet, before => before ?? fresh)
    return this.open(stored)
  }

  /** After pairing: the view key (its bytes are not kept by the caller) and the wallet's grant. */
  async pair(wallet: string, { viewSecret, grant }: { viewSecret: Uint8Array; grant: unknown }): Promise<Keys> {
    const { subtle } = this.components.support
    const view = subtle === undefined ? { secret: viewSecret.slice() } : await importViewKey(subtle, viewSecret)
    await this.keys(wallet)
    const stored = await this.change(wallet, before => {
      if (before === undefined) throw new Error('The keys were removed while pairing')
      return { ...before, view, grant }
    })
    return this.open(stored)
  }

  /** Takes everything of a wallet away. The delegate stays granted on the ledger until it is revoked or expires. */
  async forget(wallet: string): Promise<void> {
    const database = await this.opened()
    await settled(database.transaction(STORE, 'readwrite').objectStore(STORE).delete(wallet))
  }

  /**
   * Runs `work` alone among all tabs of the profile: a delegate's transactions form one chain, so only one may take the next
   * sequence number at a time. Without Web Locks it is alone in this page only; the lane then re-signs what clashes (R27).
   */
  async exclusive<T>(wallet: string, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    const { locks } = this.components
    if (locks !== undefined) {
      const options = signal === undefined ? {} : { signal }
      return await (locks.request(`pekka:lane:${wallet}`, options, work) as Promise<T>) // resolves with what `work` gave
    }
    const turn = this.queue.then(async () => {
      signal?.throwIfAborted()
      return await work()
    })
    this.queue = turn.catch(() => undefined)
    return await turn
  }

  /** Closes the database; keys that were given out go on working. */
  async close(): Promise<void> {
    const database = await this.database
    database?.close()
    this.database = undefined
  }

  private async make(): Promise<KeyRecord> {
    const { support, random } = this.components
    if (support.subtle !== undefined && support.ed25519) {
      const { privateKey, publicKey } = await webSigningPair(support.subtle)
      return { v: 1, publicKey, sign: privateKey }
    }
    const seed = random.bytes(32)
    return { v: 1, publicKey: scriptSigner(seed).publicKey, sign: { seed } }
  }

  private open({ sign, publicKey, view, grant }: KeyRecord): Keys {
    const { subtle } = this.components.support
    const signer = 'seed' in sign ? scriptSigner(sign.seed) : subtle && webSigner(subtle, sign, publicKey)
    if (signer === undefined) throw new Error('The saved key needs a secure page (https, or this machine)')
    const opened =
      view === undefined ? undefined : 'secret' in view ? viewKeyFrom(view.secret) : subtle && webViewKey(subtle, view)
    return {
      signer,
      unreadable: !('seed' in sign),
      ...(opened === undefined ? {} : { view: opened }),
      ...(grant === undefined ? {} : { grant })
    }
  }

  private async read(wallet: string): Promise<KeyRecord | undefined> {
    const database = await this.opened()
    // Only this class writes the store, and the version of the database tells the shape.
    return (await settled(database.transaction(STORE).objectStore(STORE).get(wallet))) as KeyRecord | undefined
  }

  private async change(wallet: string, update: (before: KeyRecord | undefined) => KeyRecord): Promise<KeyRecord> {
    const database = await this.opened()
    const store = database.transaction(STORE, 'readwrite').objectStore(STORE)
    const next = update((await settled(store.get(wallet))) as KeyRecord | undefined) // as in `read`
    await settled(store.put(next, wallet))
    return next
  }

  private async opened(): Promise<IDBDatabase> {
    this.database ??= new Promise((resolve, reject) => {
      const request = this.components.indexedDB.open(DATABASE, 1)
      request.onupgradeneeded = () => request.result.createObjectStore(STORE)
      request.onsuccess = () => resolve(request.result)
      request.onerror = () => reject(request.error ?? new Error('IndexedDB refused'))
    })
    return await this.database
  }
}
