import {
  OwnerAccount,
  createExclusive,
  joinSigned,
  makesCheckpoints,
  submitSigned,
  type Acted,
  type Http,
  type OwnerComponents,
  type PartlySigned,
  type ProvenLedger
} from '../../core/client/index.js'
import {
  PekkaError,
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
  ledger: Pick<ProvenLedger, 'account' | 'anchor' | 'newest' | 'transaction'>
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
    const read = () => ledger.account(account, { token: () => owner.tokens.get(), notBefore })
    const row = await read()
      .catch((error: unknown) => {
        if (!isPekkaError(error) || error.code !== 'TOKEN_INVALID') throw error
        // The bridge was started again, or ends what a key had that has left the account.
        owner.tokens.drop()
        return read()
      })
      .catch(tellTheWay)
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
    if (acted.status !== 'applied') return acted
    await this.#confirm(acted.id)
    // Another owner may have taken the new key out again since.
    if (!(await this.#settle())) throw new PekkaError('KEY_NOT_OWNER', { account: toHex(this.account) })
    return acted
  }

  /** @throws PekkaError KEY_NOT_OWNER, SIGNATURES_MISSING, PROOF_INVALID, KEYS_UNPROVEN, and what the ledger answers */
  async act(body: Body, account = this.account): Promise<Acted> {
    const owner = this.of(account)
    if (equalBytes(account, this.account)) await owner.ensure()
    const acted = await owner.act(body)
    if (acted.status === 'applied' && body.kind === 'set-policy') await this.#confirm(acted.id)
    return acted
  }

  /**
   * Other keys for an account count as done when the ledger proves the transaction that sets them: a bridge may have kept it to itself. Not
   * by the account's row, which this wallet's key may not be shown any more, and which another owner may have changed again since.
   */
  async #confirm(id: Uint8Array): Promise<void> {
    const { ledger, vault } = this.components
    if (!(await this.#provesApplied(id))) throw untold()
    // None shows a later life of this wallet the keys from before.
    await vault.seen.note(this.info.network, ledger.newest)
  }

  /**
   * Whether a transaction was applied, by proof; true too where the network makes no checkpoints, as its genesis says: there the bridge's
   * word must do. One that was just carried out is in none yet: a witness waits for it, and it is asked for again for a while.
   * @throws PekkaError PROOF_INVALID, KEYS_UNPROVEN
   */
  async #provesApplied(id: Uint8Array): Promise<boolean> {
    const { ledger } = this.components
    const ask = async (): Promise<boolean> => {
      const { genesis } = await ledger.anchor()
      return !makesCheckpoints(genesis) || (await ledger.transaction(id)).code === null
    }
    for (let round = 1; ; round++) {
      try {
        return await within(ANSWER_MS, ask())
      } catch (error) {
        if (isPekkaError(error) && error.code === 'PROOF_INVALID') throw error
        // A refusal, no answer and an answer without a proof are one: all that there is, is the bridge's word.
        if (round >= PROOF_ROUNDS) throw new PekkaError('KEYS_UNPROVEN', {}, { cause: error })
      }
      await new Promise<void>(resolve => setTimeout(() => resolve(), round * PROOF_PAUSE_MS))
    }
  }

  async sign(partly: PartlySigned): Promise<PartlySigned & { policy: Policy }> {
    return await this.of(partly.transaction.account).sign(partly)
  }

  /** @throws PekkaError SIGNATURES_MISSING, PROOF_INVALID, KEYS_UNPROVEN, and what the ledger answers */
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
    if (transaction.body.kind === 'set-policy') await this.#confirm(id)
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

/** What is older than this wallet has seen may also be of a ledger that its own people have set back: they are told what to do. */
function tellTheWay(error: unknown): never {
  if (!isPekkaError(error) || typeof error.data['seen'] !== 'number') throw error
  const { issue, index, seen } = error.data
  const way = 'If the ledger itself was set back, e.g. from a backup: "pekka account forget-seen"'
  throw new PekkaError(
    'PROOF_INVALID',
    { issue: `${String(issue)} (commit ${String(index)} after ${seen}). ${way}` },
    { cause: error }
  )
}

const untold = (): PekkaError =>
  new PekkaError('PROOF_INVALID', { issue: 'the bridge tells of new keys that the ledger does not have' })

/** How old a proof may be by which the wallet signs, ms. A committee makes a checkpoint each 5 s; the rest is for clocks that differ. */
const RECENT_MS = 120_000

/** How often the proof of new keys is asked for, and the first pause between, ms; each is longer by as much. Some three seconds in all. */
const PROOF_ROUNDS = 4
const PROOF_PAUSE_MS = 500

/** How long one answer is waited for, ms: a witness itself waits up to 8 s for a checkpoint. */
const ANSWER_MS = 12_000

/** @throws PekkaError PROOF_MISSING when it takes longer; what was asked for ends by itself */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new PekkaError('PROOF_MISSING')), ms)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Accounts whose tokens and lanes are kept at hand. */
const MAX_OWNERS = 64
