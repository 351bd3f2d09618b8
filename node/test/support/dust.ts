import {
  accountId,
  CREDIT,
  encodeSigned,
  sha256,
  signTransaction,
  transactionId,
  u32,
  type Genesis,
  type LedgerAccess,
  type Policy,
  type Signer,
  type Transaction
} from '@pekka/node/protocol'
import { createSigner } from '@pekka/node/host/crypto'

/** Accounts with nothing behind them that send as many worthless transactions as they can. */

/** Keys of tests alone. */
const signerOf = (at: number): Signer => createSigner(sha256(u32(0xd057_0000 + at)))
const policyOf = (at: number): Policy => ({ threshold: 1, keys: [signerOf(at).publicKey] })

/** The genesis with `accounts` more accounts, a credit each. */
export const withDust = (genesis: Genesis, accounts: number): Genesis => ({
  ...genesis,
  accounts: [
    ...genesis.accounts,
    ...Array.from({ length: accounts }, (_, at) => ({ policy: policyOf(at), balance: CREDIT }))
  ]
})

/** Transfers of a millionth of a credit, of all accounts in turn, signed and encoded. */
export async function makeDust(network: Uint8Array, accounts: number, count: number): Promise<Uint8Array[]> {
  const heads = new Map<number, Uint8Array>()
  const made: Uint8Array[] = []
  for (let at = 0; at < count; at++) {
    const sender = at % accounts
    const transaction: Transaction = {
      v: 1,
      network,
      account: accountId(policyOf(sender)),
      key: null,
      sequence: Math.floor(at / accounts),
      previous: heads.get(sender) ?? null,
      parents: [network],
      expiry: Date.now() + 600_000,
      body: { kind: 'transfer', to: accountId(policyOf((sender + 1) % accounts)), amount: 1n }
    }
    heads.set(sender, transactionId(transaction))
    made.push(encodeSigned(await signTransaction(transaction, [signerOf(sender)])))
  }
  return made
}

/** What became of the dust: how many of each outcome, refused ones by their code. */
export type DustTally = Record<string, number>

/**
 * Sends dust at a rate, whether or not what came before has been answered, and resolves once all of it has.
 * @param perSecond transactions a second
 */
export async function sendDust(
  ledger: LedgerAccess,
  dust: readonly Uint8Array[],
  perSecond: number
): Promise<DustTally> {
  const tally: DustTally = {}
  const began = performance.now()
  const answers: Promise<void>[] = []
  for (let sent = 0; sent < dust.length;) {
    const due = Math.min(dust.length, Math.ceil(((performance.now() - began) / 1_000) * perSecond))
    for (; sent < due; sent++) {
      const answer = ledger.submit(dust[sent] ?? new Uint8Array()).then(
        outcome => (outcome.status === 'applied' ? 'applied' : outcome.code),
        (error: unknown) => `error: ${String(error)}`
      )
      answers.push(answer.then(what => void (tally[what] = (tally[what] ?? 0) + 1)))
    }
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  await Promise.all(answers)
  return tally
}
