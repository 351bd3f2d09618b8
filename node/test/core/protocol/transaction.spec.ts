import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import {
  decodeCanonical,
  decodeSigned,
  encodeCanonical,
  encodeSigned,
  fromHex,
  objectId,
  parseContentId,
  signTransaction,
  toCid,
  toHex,
  transactionId,
  verifiedId
} from '@pekka/node/protocol'
import { verifyTransaction } from '@pekka/node/ledger'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { makeVectors } from './transaction-vectors.js'

const path = new URL('../../../../docs/vectors/transactions.json', import.meta.url)

interface Vectors {
  objects: { account: string; nonce: string; id: string }[]
  transactions: { name: string; canonical: string; id: string; signed: string }[]
  refused: { name: string; bytes: string; code: string }[]
}

describe('protocol: transactions (docs/vectors/transactions.json)', () => {
  // PEKKA_WRITE_VECTORS=1 writes them anew, after a change of format that was meant.
  const read = (): string => readFileSync(path, 'utf8')
  const vectors = (): Vectors => JSON.parse(read()) as Vectors

  it('bytes, ids, signatures and commits are what they were', async () => {
    const text = `${JSON.stringify(await makeVectors(), null, 2)}\n`
    if (process.env['PEKKA_WRITE_VECTORS']) writeFileSync(path, text)
    assert.deepEqual(JSON.parse(text), JSON.parse(read()))
  })

  it('every signed transaction is read, verified, and encodes back to itself', async () => {
    for (const { signed, id } of vectors().transactions) {
      const read = await verifyTransaction(fromHex(signed), createVerifier())
      assert.equal(toHex(read.id), id)
      assert.equal(toHex(encodeSigned(read)), signed)
    }
  })

  it('the id is of the canonical bytes without signatures', () => {
    for (const { canonical, signed, id } of vectors().transactions) {
      const { transaction } = decodeSigned(fromHex(signed))
      assert.equal(toHex(transactionId(transaction)), id)
      assert.equal(toHex(encodeCanonical(transaction)), canonical)
    }
  })

  it('the id is the same from the bytes it came in, and with any number of signatures', async () => {
    const verifier = createVerifier()
    for (const { signed, id } of vectors().transactions) {
      const { transaction } = decodeSigned(fromHex(signed))
      for (let count = 1; count <= 16; count++) {
        const signers = Array.from({ length: count }, (_, i) => createSigner(new Uint8Array(32).fill(i + 1)))
        const made = await signTransaction(transaction, signers)
        const bytes = encodeSigned(made)
        for (const given of [bytes, undefined]) {
          const found = await verifiedId(decodeSigned(bytes), verifier, given)
          assert.equal(found === null ? null : toHex(found), id)
        }
        const other = { transaction, signatures: [...made.signatures, ...made.signatures].slice(0, count + 1) }
        await assert.rejects(verifiedId(other, verifier, bytes), TypeError, 'bytes of something else')
        assert.equal(await verifiedId(other, verifier), null, 'a key that signs twice')
      }
    }
  })

  it('what must be refused is refused with its code', async () => {
    for (const { name, bytes, code } of vectors().refused) {
      await assert.rejects(verifyTransaction(fromHex(bytes), createVerifier()), { code }, name)
    }
  })

  it('one changed byte anywhere is refused', async () => {
    const [first] = vectors().transactions
    assert.ok(first)
    const good = fromHex(first.signed)
    for (let at = 0; at < good.length; at++) {
      const bad = good.slice()
      bad[at] = (bad[at] ?? 0) ^ 1
      await assert.rejects(verifyTransaction(bad, createVerifier()), `byte ${at}`)
    }
  })

  it('object ids follow from account and nonce', () => {
    for (const { account, nonce, id } of vectors().objects)
      assert.equal(toHex(objectId(fromHex(account), fromHex(nonce))), id)
  })
})

describe('protocol: canonical encoding', () => {
  for (const [name, hex] of [
    ['a float', 'fb3ff8000000000000'],
    ['a half float', 'f93c00'],
    ['undefined', 'f7'],
    ['an integer in too many bytes', '1817'],
    ['keys out of order', 'a2616201616101'],
    ['a key twice', 'a2616101616102'],
    ['an indefinite string', '7f6161ff'],
    ['a tag', 'c100'],
    ['something behind the end', '0000'],
    ['nothing', '']
  ] as const) {
    it(`refuses ${name}`, () => {
      assert.throws(() => decodeCanonical(fromHex(hex)), { code: 'ENCODING_NOT_CANONICAL' })
    })
  }

  it('refuses what is nested too deeply, without running out of stack', () => {
    assert.throws(() => decodeCanonical(fromHex('81'.repeat(100_000) + '00')), { code: 'ENCODING_NOT_CANONICAL' })
  })

  it('sorts keys by length, then by bytes', () => {
    assert.equal(toHex(encodeCanonical({ bb: 1, a: 2, c: 3 })), 'a361610261630362626201')
  })

  it('keeps amounts beyond 2^53 exactly', () => {
    const amount = 2n ** 63n + 1n
    assert.equal(decodeCanonical(encodeCanonical(amount)), amount)
  })

  it('refuses numbers that are no whole numbers', () => {
    for (const value of [0.5, NaN, Infinity, 2 ** 53]) assert.throws(() => encodeCanonical({ value }))
  })
})

describe('protocol: content ids', () => {
  const hash = fromHex('ab'.repeat(32))

  it('are read as CIDv1 and as hexadecimal', () => {
    for (const codec of ['raw', 'dag-cbor'] as const) assert.deepEqual(parseContentId(toCid(hash, codec)), hash)
    assert.deepEqual(parseContentId('ab'.repeat(32)), hash)
  })

  it('refuse anything else', () => {
    for (const text of [
      '',
      'ab',
      'QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWnPbdG',
      'bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi'
    ]) {
      assert.throws(() => parseContentId(text), { code: 'SCHEMA_MISMATCH' }, text)
    }
  })
})
