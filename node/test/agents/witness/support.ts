import {
  CREDIT,
  encodeCanonical,
  encodeSigned,
  accountId,
  signTransaction,
  transactionId,
  type Body,
  type Genesis,
  type LedgerAccess,
  type Parameters,
  type Policy,
  type Signer,
  type Transaction,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { createDevnetGenesis } from '@pekka/node/ledger'
import { createSigner } from '@pekka/node/host/crypto'
import { randomBytes } from 'node:crypto'

/** A network of its own with real keys: one witness, a demo account, two provider accounts. */
export interface TestNetwork {
  genesis: Genesis
  bytes: Uint8Array
  witnessSeed: Uint8Array
  witness: Signer
  demo: Sender
  providers: [Sender, Sender]
}

export const seed = (): Uint8Array => new Uint8Array(randomBytes(32))

export function createTestNetwork(parameters?: Parameters, images?: Policy): TestNetwork {
  const witnessSeed = seed()
  const witness = createSigner(witnessSeed)
  const keys = [createSigner(seed()), createSigner(seed()), createSigner(seed())] as const
  const policies = keys.map(({ publicKey }) => ({ threshold: 1, keys: [publicKey] }))
  const [demo, ...providers] = policies
  if (demo === undefined) throw new TypeError('no demo account')
  const genesis = createDevnetGenesis({
    createdAt: Date.now(),
    nonce: new Uint8Array(randomBytes(16)),
    witness: witness.publicKey,
    demo,
    providers,
    parameters,
    ...(images !== undefined && { images })
  })
  const senderOf = (signer: Signer) => new Sender(accountId({ threshold: 1, keys: [signer.publicKey] }), null, signer)
  return {
    genesis,
    bytes: encodeCanonical(genesis),
    witnessSeed,
    witness,
    demo: senderOf(keys[0]),
    providers: [senderOf(keys[1]), senderOf(keys[2])]
  }
}

/** One lane: signs transactions one after another. */
export class Sender {
  #sequence: number | null = null
  #previous: Uint8Array | null = null

  constructor(
    readonly account: Uint8Array,
    readonly key: Uint8Array | null,
    readonly signer: Signer
  ) {}

  /** Reads the lane's head, as after a restart. */
  forget(): void {
    this.#sequence = null
  }

  async sign(
    ledger: LedgerAccess,
    body: Body,
    change: Partial<Transaction> = {}
  ): Promise<{ bytes: Uint8Array; transaction: Transaction }> {
    const { network, parents, timestamp } = await ledger.time()
    if (this.#sequence === null) {
      const view = await ledger.account(this.account)
      const lane = view?.lanes.find(({ key }) =>
        key === null ? this.key === null : this.key !== null && Buffer.compare(key, this.key) === 0
      )
      this.#sequence = lane?.sequence ?? 0
      this.#previous = lane?.previous ?? null
    }
    const transaction: Transaction = {
      v: 1,
      network,
      account: this.account,
      key: this.key,
      sequence: this.#sequence,
      previous: this.#previous,
      parents,
      expiry: timestamp + 60_000,
      body,
      ...change
    }
    const signed = await signTransaction(transaction, [this.signer])
    this.#sequence = transaction.sequence + 1
    this.#previous = transactionId(transaction)
    return { bytes: encodeSigned(signed), transaction }
  }

  async send(ledger: LedgerAccess, body: Body): Promise<TransactionOutcome> {
    const { bytes } = await this.sign(ledger, body)
    return await ledger.submit(bytes)
  }
}

export const faucet = (credits = 1n): Body => ({ kind: 'faucet', amount: credits * CREDIT })
