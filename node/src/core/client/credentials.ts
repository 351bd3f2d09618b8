import { challengeSchema, tokenMessage, tokenSchema, type Clock, type Signer, type ViewKey } from '../protocol/index.js'
import type { Http } from './transport.js'

/** Who a client is: a delegate of an account, with the key that reads the account's tasks. */
export interface Identity {
  network: Uint8Array
  account: Uint8Array
  signer: Signer
  viewKey: ViewKey
  /** The bridge's Ed25519 key. */
  bridge: Uint8Array
}

/** Renewed this long before it runs out, ms: longer than any request takes. */
const RENEW_BEFORE_MS = 60_000

/** The bearer token of one lane, renewed by signing a challenge (R38). */
export class TokenSource {
  #token: { token: string; expires: number } | null = null
  #pending: Promise<string> | null = null

  constructor(
    private readonly components: {
      http: Http
      clock: Clock
      identity: Pick<Identity, 'account' | 'signer' | 'bridge'>
      /** Signs as the account's owner, so that the token sees all lanes (R38); else the delegate signs. */
      owner?: OwnerSignature
    }
  ) {}

  /** A token that is good for a minute at least. */
  async get(): Promise<string> {
    if (this.#token && this.#token.expires - RENEW_BEFORE_MS > this.components.clock.now()) return this.#token.token
    this.#pending ??= this.#renew().finally(() => {
      this.#pending = null
    })
    return await this.#pending
  }

  /** Forgets the token, after the bridge refused it. */
  drop(): void {
    this.#token = null
  }

  async #renew(): Promise<string> {
    const { http, identity, owner } = this.components
    const { account, signer } = identity
    const key = owner?.key ?? signer.publicKey
    const { challenge } = await http.request('POST', '/v1/challenges', challengeSchema, { body: { account, key } })
    const signature = owner
      ? await owner.sign(challenge)
      : await signer.sign(tokenMessage(identity.bridge, challenge, account, key))
    this.#token = await http.request('POST', '/v1/tokens', tokenSchema, {
      body: { challenge, account, key, signature }
    })
    return this.#token.token
  }
}

/** A key of the account's policy, in the wallet: signs tokenMessage for a challenge. */
export interface OwnerSignature {
  key: Uint8Array
  sign(challenge: Uint8Array): Promise<Uint8Array>
}
