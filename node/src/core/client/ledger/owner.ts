import {
  PekkaError,
  accountId,
  accountViewSchema,
  encodeSigned,
  equalBytes,
  isPekkaError,
  ledgerTimeSchema,
  outcomeSchema,
  signTransaction,
  signingMessage,
  toHex,
  transactionId,
  verifySignatures,
  type AccountView,
  type Body,
  type Clock,
  type Policy,
  type SignedTransaction,
  type Signer,
  type Transaction,
  type Verifier
} from '../../protocol/index.js'
import { outcomeError } from '../client.js'
import { TokenSource } from '../credentials.js'
import { Lane, createExclusive } from './lane.js'
import type { Http } from '../transport.js'

/**
 * The owner's side of an account: transfers, keys, guardians, the registry of images. Its key never leaves the process that holds it.
 * Where one key suffices a transaction is sent at once; where the policy wants more it comes back for the others to sign.
 */

export interface OwnerComponents {
  http: Http
  clock: Clock
  verifier: Verifier
}

export interface OwnerInit {
  network: Uint8Array
  /** The bridge's key. */
  bridge: Uint8Array
  account: Uint8Array
  /** One of the keys of the account's policy. */
  signer: Signer
}

/** A transaction with some of its signatures. */
export interface PartlySigned {
  transaction: Transaction
  signatures: SignedTransaction['signatures']
}

export type Acted =
  | { status: 'applied'; id: Uint8Array }
  /** `policy`: who must sign. */
  | ({ status: 'partial'; policy: Policy } & PartlySigned)

/** How long others have to sign, ms: a week. It is void sooner where the account does something else meanwhile. */
export const SIGNING_MS = 7 * 24 * 3_600_000

export class OwnerAccount {
  readonly tokens: TokenSource
  readonly lane: Lane

  constructor(
    private readonly components: OwnerComponents,
    private readonly init: OwnerInit
  ) {
    this.tokens = new TokenSource({ ...components, identity: init })
    this.lane = new Lane(
      { ...components, tokens: this.tokens, identity: init, exclusive: createExclusive() },
      { owner: true }
    )
  }

  /** @throws PekkaError ACCOUNT_UNKNOWN, KEY_NOT_OWNER */
  async view(): Promise<AccountView> {
    const { account } = this.init
    try {
      return await this.#read().catch((error: unknown) => {
        if (!isPekkaError(error) || error.code !== 'TOKEN_INVALID') throw error
        // The bridge ends tokens of keys that have left the account, among others.
        this.tokens.drop()
        return this.#read()
      })
    } catch (error) {
      if (!isPekkaError(error) || error.code !== 'DELEGATE_UNKNOWN') throw error
      throw new PekkaError('KEY_NOT_OWNER', { account: toHex(account) }, { cause: error })
    }
  }

  async #read(): Promise<AccountView> {
    const path = `/v1/accounts/${toHex(this.init.account)}`
    return await this.components.http.request('GET', path, accountViewSchema, { token: await this.tokens.get() })
  }

  /**
   * Brings the account into being by itself, where it isn't there: with this key alone, on a network that allows it.
   * @throws PekkaError ACCOUNT_UNKNOWN where somebody else has to open it
   */
  async ensure(): Promise<AccountView> {
    try {
      return await this.view()
    } catch (error) {
      if (!isPekkaError(error) || error.code !== 'ACCOUNT_UNKNOWN') throw error
    }
    const { network, account, signer } = this.init
    const policy: Policy = { threshold: 1, keys: [signer.publicKey] }
    // Another policy's account can only be opened by that policy.
    if (!equalBytes(accountId(policy), account)) throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(account) })
    const { timestamp } = await this.components.http.request('GET', '/v1/ledger/time', ledgerTimeSchema)
    const transaction: Transaction = {
      ...{ v: 1, network, account, key: null, sequence: 0, previous: null },
      parents: [network],
      expiry: timestamp + 60_000,
      body: { kind: 'open-account', policy, deposit: 0n }
    }
    await submitSigned(this.components.http, await signTransaction(transaction, [signer]))
    this.lane.forget()
    return await this.view()
  }

  /**
   * Sends what this key alone may, and gives back what others must sign too.
   * @throws PekkaError ACCOUNT_UNKNOWN, KEY_NOT_OWNER, and what the ledger answers
   */
  async act(body: Body): Promise<Acted> {
    const { policy } = await this.view()
    this.#refuseStranger(policy)
    if (policy.threshold > 1) {
      return { status: 'partial', policy, ...(await this.lane.prepare(body, SIGNING_MS)) }
    }
    // Another process may have signed since; most of what an owner signs isn't tried twice.
    this.lane.forget()
    const id = await this.lane.send(body, signed => submitSigned(this.components.http, signed))
    return { status: 'applied', id }
  }

  /** The bridge may still know the key from before. */
  #refuseStranger({ keys }: Policy): void {
    const { account, signer } = this.init
    if (keys.some(key => equalBytes(key, signer.publicKey))) return
    throw new PekkaError('KEY_NOT_OWNER', { account: toHex(account) })
  }

  /**
   * Adds this key's signature to what others made, once it is sure that it can still be carried out.
   * @throws PekkaError NETWORK_MISMATCH, KEY_NOT_OWNER, SIGNATURE_INVALID, LANE_SEQUENCE, TRANSACTION_EXPIRED
   */
  async sign({ transaction, signatures }: PartlySigned): Promise<PartlySigned & { policy: Policy }> {
    const { network, account, signer } = this.init
    if (!equalBytes(transaction.network, network)) throw new PekkaError('NETWORK_MISMATCH')
    if (transaction.key !== null || !equalBytes(transaction.account, account)) throw new PekkaError('SIGNATURE_INVALID')
    const [{ policy, lanes }, { timestamp }] = await Promise.all([
      this.view(),
      this.components.http.request('GET', '/v1/ledger/time', ledgerTimeSchema)
    ])
    this.#refuseStranger(policy)
    if (transaction.expiry < timestamp) throw new PekkaError('TRANSACTION_EXPIRED')
    const sequence = lanes.find(({ key }) => key === null)?.sequence ?? 0
    if (transaction.sequence !== sequence) throw new PekkaError('LANE_SEQUENCE', { expected: sequence })
    if (signatures.length > 0 && !(await verifySignatures({ transaction, signatures }, this.components.verifier))) {
      throw new PekkaError('SIGNATURE_INVALID')
    }
    const others = signatures.filter(({ key }) => !equalBytes(key, signer.publicKey))
    const signature = await signer.sign(signingMessage(transaction))
    return { transaction, policy, signatures: [...others, { key: signer.publicKey, signature }] }
  }
}

/**
 * Resolves with its id when the bridge says that it is applied: with what it is, not with what the bridge calls it.
 * @throws PekkaError of the ledger's refusal or failure
 */
export async function submitSigned(http: Http, signed: SignedTransaction): Promise<Uint8Array> {
  const outcome = await http.request('POST', '/v1/transactions', outcomeSchema, {
    body: { transaction: encodeSigned(signed) }
  })
  if (outcome.status !== 'applied') throw outcomeError(outcome)
  return transactionId(signed.transaction)
}
