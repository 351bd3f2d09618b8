import {
  OwnerAccount,
  createExclusive,
  joinSigned,
  submitSigned,
  type Acted,
  type Http,
  type OwnerComponents,
  type PartlySigned,
  type ProvenLedger
} from '../../core/client/index.js'
import {
  PekkaError,
  encodeCanonical,
  equalBytes,
  isPekkaError,
  toHex,
  type AccountRow,
  type Body,
  type NetworkInfo,
  type Policy,
  type Random,
  type Signer
} from '../../core/protocol/index.js'
import type { Vault } from './vault.js'

/**
 * The keys of the wallet's accounts: what needs the owner's signature, and the change of the key itself. A new key signs from the moment
 * that the ledger proves it, never on a bridge's word: a key that was put away too early could be the only one.
 */

export interface AccountKeysComponents extends OwnerComponents {
  http: Http
  vault: Vault
  random: Random
  /** The one that is kept: it refuses proofs from before what it has seen. */
  ledger: Pick<ProvenLedger, 'account' | 'newest'>
}

export class AccountKeys {
  readonly #owners = new Map<string, OwnerAccount>()
  /** One change of the key at a time. */
  readonly #alone = createExclusive()

  constructor(
    private readonly components: AccountKeysComponents,
    private readonly info: Pick<NetworkInfo, 'network' | 'bridge'>
  ) {}

  get account(): Uint8Array {
    return this.components.vault.accountOn(this.info.network)
  }

  /** An account with this wallet's key; its own by default. */
  of(account = this.account, signer: Signer = this.components.vault.owner): OwnerAccount {
    const name = `${toHex(account)}/${toHex(signer.publicKey)}`
    const known = this.#owners.get(name)
    if (known !== undefined) return known
    const { network, bridge } = this.info
    const owner = new OwnerAccount(this.components, { network, bridge, account, signer })
    // Accounts that one person signs for; a process that asks for more of them starts over.
    if (this.#owners.size >= MAX_OWNERS) this.#owners.clear()
    this.#owners.set(name, owner)
    return owner
  }

  /**
   * An account's row, proved, and never from before what this wallet has seen, in an earlier life too.
   * @param notBefore see {@link ProvenLedger.account}
   * @throws PekkaError PROOF_INVALID, PROOF_MISSING, KEY_NOT_OWNER
   */
  async proven(owner: OwnerAccount, account = this.account, notBefore = 0): Promise<AccountRow | null> {
    const { ledger, vault } = this.components
    const row = await ledger.account(account, { token: () => owner.tokens.get(), notBefore })
    await vault.seen.note(this.info.network, ledger.newest)
    return row
  }

  /** From when a proof must be that something is signed by. */
  get #recent(): number {
    return this.components.clock.now() - RECENT_MS
  }

  /**
   * Whether a rotation that others had to sign may have ended: the account goes on without this wallet's key. It's the bridge's word, at
   * the price of no proof; {@link settle} says whether it's true.
   */
  async mayHaveChanged(): Promise<boolean> {
    const { vault } = this.components
    if (vault.nextOn(this.info.network) === null) return false
    try {
      const { policy } = await this.of().view()
      return !policy.keys.some(key => equalBytes(key, vault.owner.publicKey))
    } catch (error) {
      if (isPekkaError(error) && error.code === 'KEY_NOT_OWNER') return true
      if (isPekkaError(error) && error.code === 'ACCOUNT_UNKNOWN') return false
      throw error
    }
  }

  /**
   * Ends a rotation that was under way when the wallet stopped, or that others had to sign.
   * @returns whether the key has changed
   */
  async settle(): Promise<boolean> {
    return await this.#alone(() => this.#settle())
  }

  async #settle(): Promise<boolean> {
    const { vault } = this.components
    const next = vault.nextOn(this.info.network)
    if (next === null) return false
    for (const signer of [next, vault.owner]) {
      const row = await this.#rowBy(signer)
      if (row === null) continue
      const has = (key: Signer): boolean => row.policy.keys.some(own => equalBytes(own, key.publicKey))
      if (!has(next) || has(vault.owner)) return false
      await vault.takeNext(this.info.network, next)
      this.#owners.clear()
      return true
    }
    return false
  }

  /** The account as one of two keys may see it; null: that key may not, or there is no such account. */
  async #rowBy(signer: Signer): Promise<AccountRow | null> {
    try {
      return await this.proven(this.of(this.account, signer))
    } catch (error) {
      if (isPekkaError(error) && ['DELEGATE_UNKNOWN', 'ACCOUNT_UNKNOWN'].includes(error.code)) return null
      throw error
    }
  }

  /**
   * A new key in the place of this wallet's, in the account's policy; all else of the policy stays. Where others must sign it comes back for
   * them, and the new key signs from then on.
   * @throws PekkaError KEY_NOT_OWNER, ACCOUNT_UNKNOWN, PROOF_INVALID, PROOF_MISSING, and what the ledger answers
   */
  async rotate(): Promise<Acted> {
    return await this.#alone(() => this.#rotate())
  }

  async #rotate(): Promise<Acted> {
    const { vault, random } = this.components
    const owner = this.of()
    await owner.ensure()
    // By proof: what is signed here names all keys of the account, and a bridge would like to be one of them.
    const row = await this.proven(owner, this.account, this.#recent)
    if (row === null) throw new PekkaError('ACCOUNT_UNKNOWN', { account: toHex(this.account) })
    const { policy } = row
    const mine = (key: Uint8Array): boolean => equalBytes(key, vault.owner.publicKey)
    if (!policy.keys.some(mine)) throw new PekkaError('KEY_NOT_OWNER', { account: toHex(this.account) })
    const next = await vault.makeNext(random, this.info.network)
    const rotated: Policy = { ...policy, keys: policy.keys.map(key => (mine(key) ? next.publicKey : key)) }
    const acted = await owner.act({ kind: 'set-policy', policy: rotated })
    if (acted.status === 'applied' && !(await this.#settle())) {
      throw untold()
    }
    return acted
  }

  /** @throws PekkaError KEY_NOT_OWNER, SIGNATURES_MISSING, and what the ledger answers */
  async act(body: Body, account = this.account): Promise<Acted> {
    const owner = this.of(account)
    if (equalBytes(account, this.account)) await owner.ensure()
    const acted = await owner.act(body)
    if (acted.status === 'applied') await this.#confirm(owner, account, body)
    return acted
  }

  /**
   * Other keys for an account count as done when the ledger shows them: a bridge may have kept the change to itself. That it has seen them
   * this wallet remembers, so that none can show a later life of it the keys from before.
   */
  async #confirm(owner: OwnerAccount, account: Uint8Array, body: Body): Promise<void> {
    if (body.kind !== 'set-policy') return
    const row = await this.proven(owner, account).catch((error: unknown) => {
      // This wallet's key may be none of them any more, and then it is shown nothing.
      if (isPekkaError(error) && error.code !== 'PROOF_INVALID') return null
      throw error
    })
    if (row !== null && !equalBytes(encodeCanonical(row.policy), encodeCanonical(body.policy))) throw untold()
  }

  async sign(partly: PartlySigned): Promise<PartlySigned & { policy: Policy }> {
    return await this.of(partly.transaction.account).sign(partly)
  }

  /** @throws PekkaError SIGNATURES_MISSING, and what the ledger answers */
  async submit(parts: readonly PartlySigned[]): Promise<Uint8Array> {
    const { transaction, signatures } = joinSigned(parts)
    const { policy } = await this.of(transaction.account).view()
    const counted = signatures.filter(({ key }) => policy.keys.some(own => equalBytes(own, key)))
    if (counted.length < policy.threshold) {
      throw new PekkaError('SIGNATURES_MISSING', { have: counted.length, need: policy.threshold })
    }
    const id = await submitSigned(this.components.http, { transaction, signatures: counted })
    const owner = this.of(transaction.account)
    owner.lane.forget()
    await this.#confirm(owner, transaction.account, transaction.body)
    return id
  }

  /**
   * From here on this wallet acts for another account, whose policy names its key: after a recovery, or where it is shared.
   * @throws PekkaError KEY_NOT_OWNER, PROOF_INVALID, PROOF_MISSING
   */
  async use(account: Uint8Array): Promise<void> {
    const { vault } = this.components
    const owner = this.of(account)
    await owner.view()
    const row = await this.proven(owner, account, this.#recent)
    if (row === null || !row.policy.keys.some(key => equalBytes(key, vault.owner.publicKey))) {
      throw new PekkaError('KEY_NOT_OWNER', { account: toHex(account) })
    }
    await vault.use(this.info.network, account)
  }
}

const untold = (): PekkaError =>
  new PekkaError('PROOF_INVALID', { issue: 'the bridge tells of new keys that the ledger does not have' })

/** How old a proof may be by which the wallet signs, ms. A committee makes a checkpoint each 5 s; the rest is for clocks that differ. */
const RECENT_MS = 120_000

/** Accounts whose tokens and lanes are kept at hand. */
const MAX_OWNERS = 64
