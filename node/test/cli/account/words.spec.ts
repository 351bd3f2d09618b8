import assert from 'node:assert/strict'
import { joinSigned, readTransactionFile, writeTransactionFile, type PartlySigned } from '@pekka/node/client'
import { CREDIT, signTransaction, toHex, verifySignatures, type Body, type Transaction } from '@pekka/node/protocol'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { readDelay } from '../../../src/cli/account/recovery.js'
import { describeBody, transactionWords } from '../../../src/cli/account/words.js'

const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const [a, b] = [createSigner(bytes(1)), createSigner(bytes(2))]

const transactionOf = (body: Body): Transaction => ({
  ...{ v: 1, network: bytes(9), account: bytes(8), key: null, sequence: 4, previous: bytes(7) },
  parents: [bytes(7)],
  expiry: 1_800_000_000_000,
  body
})
const payment = transactionOf({ kind: 'transfer', to: bytes(5), amount: (CREDIT * 5n) / 2n })

const partly = async (transaction: Transaction, ...signers: (typeof a)[]): Promise<PartlySigned> => ({
  transaction,
  signatures: (await signTransaction(transaction, signers)).signatures
})

describe('what an owner is shown before it is signed', () => {
  it('is who is paid and how much, by whose account and until when', () => {
    assert.deepEqual(transactionWords(payment), [
      `account ${'08'.repeat(32)}`,
      `  pays 2.5 credits to ${'05'.repeat(32)}`,
      '  number 4 of its transactions, void after 2027-01-15 08:00 UTC'
    ])
  })

  it('is the exact amount, however small', () => {
    const body: Body = { kind: 'transfer', to: bytes(5), amount: 1_000_001n }
    assert.match(describeBody(body), /^pays 1\.000001 credits/)
  })

  it('names every key that is to have a say, whole', () => {
    const policy = { threshold: 2, keys: [a.publicKey, b.publicKey] }
    for (const body of [
      { kind: 'set-policy', policy },
      { kind: 'recover', account: bytes(3), policy }
    ] satisfies Body[]) {
      const words = describeBody(body)
      for (const { publicKey } of [a, b]) assert.ok(words.includes(toHex(publicKey)), words)
      assert.match(words, /2 of 2 keys/)
    }
    const recovery = { guardians: bytes(6), delayMs: 3 * 86_400_000 }
    assert.match(describeBody({ kind: 'set-recovery', recovery }), /0606.* 3 days after it says so/)
  })
})

describe('the file of a transaction that several sign', () => {
  it('holds the very bytes and signatures, of nobody too', async () => {
    for (const made of [await partly(payment, a, b), { transaction: payment, signatures: [] }]) {
      assert.deepEqual(readTransactionFile(writeTransactionFile(made)), made)
    }
    const joined = joinSigned([await partly(payment, a), await partly(payment, b), await partly(payment, a)])
    assert.equal(joined.signatures.length, 2)
    assert.ok(await verifySignatures(joined, createVerifier()))
  })

  it('is refused where it is another one, or none', async () => {
    const text = writeTransactionFile(await partly(payment, a))
    const odd = { code: 'TRANSACTION_FILE' }
    for (const wrong of ['', '{}', text.replace('"v": 1', '"v": 2'), text.slice(0, -20), text.replace('pekka/', '')])
      assert.throws(() => readTransactionFile(wrong), odd)
    const other = transactionOf({ kind: 'transfer', to: bytes(5), amount: CREDIT })
    assert.throws(
      () =>
        joinSigned([
          { transaction: payment, signatures: [] },
          { transaction: other, signatures: [] }
        ]),
      odd
    )
    assert.throws(() => joinSigned([]), odd)
  })
})

describe('a recovery’s delay', () => {
  it('is read in days, hours and minutes, within what the ledger takes', () => {
    assert.deepEqual(
      ['3d', '12h', '30min', '1min', '90d'].map(readDelay),
      [259_200_000, 43_200_000, 1_800_000, 60_000, 7_776_000_000]
    )
    for (const odd of ['', '3', 'd', '0d', '91d', '-1d', '1.5d', '3 weeks'])
      assert.throws(() => readDelay(odd), { code: 'USAGE' })
  })
})
