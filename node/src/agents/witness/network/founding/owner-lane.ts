import {
  accountId,
  compareBytes,
  encodeSigned,
  fromOutcome,
  signTransaction,
  witnessVouchMessage,
  type Body,
  type LedgerAccess,
  type Policy,
  type Signer
} from '@pekka/node/protocol'

/** How long a transaction may wait to be ordered, ms. */
const LIFE_MS = 60_000

export interface OwnerLaneComponents {
  ledger: Pick<LedgerAccess, 'time' | 'account' | 'submit'>
  /** The block key. */
  signer: Signer
  /** The one key of the account that stakes on it. */
  owner: Signer
}

/** Lane 0 of the account that stakes on a witness: a transaction now and then, one after the other. */
export class OwnerLane {
  readonly policy: Policy
  readonly account: Uint8Array

  constructor(private readonly components: OwnerLaneComponents) {
    this.policy = { threshold: 1, keys: [components.owner.publicKey] }
    this.account = accountId(this.policy)
  }

  /** Adds stake, and registers ends of hash chains by epoch. @throws PekkaError of the refusal or failure */
  async stake(amount: bigint, chains: { epoch: number; tip: Uint8Array }[], signal?: AbortSignal): Promise<void> {
    const { ledger, signer } = this.components
    const { network } = await ledger.time(signal)
    const witnessSignature = await signer.sign(witnessVouchMessage(network, this.account))
    await this.send({ kind: 'stake', amount, witness: signer.publicKey, witnessSignature, chains }, signal)
  }

  /** Takes stake back. @throws PekkaError of the refusal or failure */
  async unstake(amount: bigint, signal?: AbortSignal): Promise<void> {
    await this.send({ kind: 'unstake', amount, witness: this.components.signer.publicKey }, signal)
  }

  /** Resolves once it is applied. @throws PekkaError of the refusal or failure; LEDGER_UNREACHABLE */
  async send(body: Body, signal?: AbortSignal): Promise<void> {
    const { ledger, owner } = this.components
    const [{ network, parents, timestamp }, view] = await Promise.all([
      ledger.time(signal),
      ledger.account(this.account, signal)
    ])
    // An account that opens itself begins with sequence 0 before it exists.
    const lane = view?.lanes.find(({ key }) => key === null)
    const previous = lane?.previous ?? null
    const signed = await signTransaction(
      {
        v: 1,
        network,
        account: this.account,
        key: null,
        sequence: lane?.sequence ?? 0,
        previous,
        parents: previous === null ? [...parents].sort(compareBytes) : [previous],
        expiry: timestamp + LIFE_MS,
        body
      },
      [owner]
    )
    const outcome = await ledger.submit(encodeSigned(signed), signal)
    if (outcome.status !== 'applied') throw fromOutcome(outcome)
  }
}
