import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import {
  PekkaError,
  decodeCbor,
  encodeCbor,
  equalBytes,
  toHex,
  tokenMessage,
  type AccountView,
  type Clock,
  type LedgerAccess,
  type Verifier
} from '@pekka/node/protocol'
import { CHALLENGE_MS, MAX_CHALLENGES, TOKEN_MS } from './constants.js'

/** What a token lets its holder see (R38). */
export interface Grant {
  account: Uint8Array
  /** The lane it sees; null: the owner's, which sees all of the account. */
  lane: Uint8Array | null
  expires: number
}

export interface TokensComponents {
  ledger: LedgerAccess
  verifier: Verifier
  clock: Clock
  /** This bridge's key: what is signed names it. */
  bridge: Uint8Array
  table: TokenTable
}

/** Where hashes of tokens survive a restart. */
export interface TokenTable {
  get(key: string): Promise<Uint8Array | undefined>
  put(key: string, value: Uint8Array): Promise<void>
  del(key: string): Promise<void>
  iterator(range: { gte: string; lt: string }): AsyncIterable<[string, Uint8Array]>
}

interface Challenge {
  account: Uint8Array
  key: Uint8Array
  expires: number
}

interface Kept extends Grant {
  /** SHA-256 of the token. */
  hash: Uint8Array
  /** Key that signed for it: a delegate or one of the policy. */
  key: Uint8Array
}

/** Issues tokens for signed challenges. Kept are hashes only, so that what is on the disk opens nothing. */
export class Tokens {
  readonly #challenges = new Map<string, Challenge>()
  readonly #known = new Map<string, Kept>()
  readonly #ended = new Set<(grant: Grant) => void>()

  private constructor(private readonly components: TokensComponents) {}

  static async open(components: TokensComponents): Promise<Tokens> {
    const tokens = new Tokens(components)
    const now = components.clock.now()
    for await (const [key, bytes] of components.table.iterator({ gte: 'token/', lt: 'token0' })) {
      // This process wrote it.
      const kept = decodeCbor(bytes) as Kept
      if (kept.expires > now) tokens.#known.set(key, kept)
      else await components.table.del(key)
    }
    return tokens
  }

  challenge(account: Uint8Array, key: Uint8Array): { challenge: Uint8Array; expires: number } {
    const now = this.components.clock.now()
    for (const [name, { expires }] of this.#challenges) {
      if (expires > now && this.#challenges.size < MAX_CHALLENGES) break
      this.#challenges.delete(name)
    }
    const challenge = new Uint8Array(randomBytes(32))
    const expires = now + CHALLENGE_MS
    this.#challenges.set(toHex(challenge), { account, key, expires })
    return { challenge, expires }
  }

  /**
   * @param request the challenge, signed (tokenMessage) by a delegate's key for its lane, by a key of the policy for all
   * @throws PekkaError TOKEN_INVALID, SIGNATURE_INVALID, ACCOUNT_UNKNOWN, DELEGATE_UNKNOWN, DELEGATE_EXPIRED
   */
  async issue(request: {
    challenge: Uint8Array
    account: Uint8Array
    key: Uint8Array
    signature: Uint8Array
  }): Promise<{ token: string; expires: number; scope: 'lane' | 'owner' }> {
    const { ledger, verifier, clock, bridge } = this.components
    const open = this.#challenges.get(toHex(request.challenge))
    this.#challenges.delete(toHex(request.challenge))
    const now = clock.now()
    if (open === undefined || open.expires <= now) throw new PekkaError('TOKEN_INVALID')
    if (!equalBytes(open.account, request.account) || !equalBytes(open.key, request.key))
      throw new PekkaError('TOKEN_INVALID')
    const message = tokenMessage(bridge, request.challenge, request.account, request.key)
    if (!(await verifier.verify(request.key, message, request.signature))) throw new PekkaError('SIGNATURE_INVALID')
    const account = await ledger.account(request.account)
    if (account === null) throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(request.account) })
    const until = mayHold(account, request.key, now)
    const owner = until === 'owner'
    const expires = Math.min(now + TOKEN_MS, owner ? Infinity : until)
    const token = randomBytes(32).toString('base64url')
    const hash = hashOf(token)
    const kept: Kept = {
      hash,
      key: request.key,
      account: request.account,
      lane: owner ? null : request.key,
      expires
    }
    await this.components.table.put(tableKey(hash), encodeCbor(kept))
    this.#known.set(tableKey(hash), kept)
    return { token, expires, scope: owner ? 'owner' : 'lane' }
  }

  /** @throws PekkaError TOKEN_INVALID */
  check(token: string | undefined): Grant {
    if (token === undefined || token.length > 128) throw new PekkaError('TOKEN_INVALID')
    const hash = hashOf(token)
    const kept = this.#known.get(tableKey(hash))
    if (kept === undefined || !timingSafeEqual(kept.hash, hash)) throw new PekkaError('TOKEN_INVALID')
    if (kept.expires <= this.components.clock.now()) {
      this.#end(kept)
      throw new PekkaError('TOKEN_INVALID')
    }
    return kept
  }

  /** Told when a token ends before its holder lets go: its sockets must go too. */
  onEnd(listener: (grant: Grant) => void): void {
    this.#ended.add(listener)
  }

  /** An account changed: tokens of keys that were revoked end now. */
  recheck(account: AccountView): void {
    const now = this.components.clock.now()
    for (const kept of [...this.#known.values()]) {
      if (!equalBytes(kept.account, account.account)) continue
      try {
        const until = mayHold(account, kept.key, now)
        if ((until === 'owner') === (kept.lane === null)) continue
      } catch {
        // No longer a key of this account: the token ends, below.
      }
      this.#end(kept)
    }
  }

  /** Accounts that hold tokens, each once. */
  accounts(): Uint8Array[] {
    return [...new Map([...this.#known.values()].map(({ account }) => [toHex(account), account])).values()]
  }

  /** Whether an account holds a token. */
  holds(account: Uint8Array): boolean {
    for (const kept of this.#known.values()) if (equalBytes(kept.account, account)) return true
    return false
  }

  #end(kept: Kept): void {
    this.#known.delete(tableKey(kept.hash))
    void this.components.table.del(tableKey(kept.hash)).catch(() => undefined)
    for (const listener of this.#ended) listener(kept)
  }
}

/** What a key may see: all (`owner`), or its lane until it expires. */
function mayHold(account: AccountView, key: Uint8Array, now: number): number | 'owner' {
  if (account.policy.keys.some(one => equalBytes(one, key))) return 'owner'
  const lane = account.lanes.find(one => one.key !== null && equalBytes(one.key, key))
  const delegate = lane?.delegate ?? null
  if (delegate === null) throw new PekkaError('DELEGATE_UNKNOWN')
  if (delegate.expiry <= now) throw new PekkaError('DELEGATE_EXPIRED')
  return delegate.expiry
}

const hashOf = (token: string): Uint8Array => new Uint8Array(createHash('sha256').update(token).digest())
const tableKey = (hash: Uint8Array): string => `token/${toHex(hash)}`
