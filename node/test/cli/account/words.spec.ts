import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { credits, joinSigned, readTransactionFile, writeTransactionFile, type PartlySigned } from '@pekka/node/client'
import {
  CREDIT,
  DEVNET_PARAMETERS,
  OWNER_BODIES,
  signTransaction,
  toHex,
  verifySignatures,
  type AccountRow,
  type Body,
  type BodyOf,
  type OwnerAnswer,
  type Transaction
} from '@pekka/node/protocol'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { readDelay } from '../../../src/cli/account/recovery.js'
import { show } from '../../../src/cli/account/signing.js'
import { accountWords, delegatesWords, describeBody, transactionWords } from '../../../src/cli/account/words.js'
import { LANE_0_BODIES } from '../../../src/core/ledger/authorize.js'

const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const [a, b] = [createSigner(bytes(1)), createSigner(bytes(2))]

const transactionOf = (body: Body): Transaction => ({
  ...{ v: 1, network: bytes(9), account: bytes(8), key: null, sequence: 4, previous: bytes(7) },
  parents: [bytes(7)],
  expiry: 1_800_000_000_000,
  body
})
type OwnKind = (typeof OWNER_BODIES)[number] | 'cancel' | 'withdraw-ask'
const policy = { threshold: 1, keys: [bytes(11), bytes(12)] }
const image = { digest: bytes(13), content: { name: 'base', contentDigest: bytes(14), locks: [bytes(15), bytes(16)] } }
/** One of each that an owner may sign. No two byte strings of a body are the same. */
const BODIES: { [K in OwnKind]: BodyOf<K> } = {
  'open-account': { kind: 'open-account', policy, deposit: 3n },
  transfer: { kind: 'transfer', to: bytes(17), amount: 4n },
  'set-policy': { kind: 'set-policy', policy },
  'set-recovery': { kind: 'set-recovery', recovery: { guardians: bytes(18), delayMs: 60_000 } },
  recover: { kind: 'recover', account: bytes(19), policy },
  'cancel-recovery': { kind: 'cancel-recovery', account: bytes(20) },
  grant: { kind: 'grant', delegate: { key: bytes(21), cap: 5n, perTask: 6n, bodies: ['offer', 'cancel'], expiry: 7 } },
  revoke: { kind: 'revoke', key: bytes(22) },
  faucet: { kind: 'faucet', amount: 8n },
  'register-provider': {
    ...{ kind: 'register-provider', name: 'loft', operator: bytes(23), peerKey: bytes(24) },
    peerSignature: new Uint8Array(64).fill(25)
  },
  bond: { kind: 'bond', amount: 9n },
  unbond: { kind: 'unbond', amount: 10n },
  stake: {
    ...{ kind: 'stake', amount: 11n, witness: bytes(26), witnessSignature: new Uint8Array(64).fill(27) },
    chains: [
      { epoch: 41, tip: bytes(28) },
      { epoch: 42, tip: bytes(29) }
    ]
  },
  unstake: { kind: 'unstake', amount: 12n, witness: bytes(30) },
  cancel: { kind: 'cancel', task: bytes(31) },
  'withdraw-ask': { kind: 'withdraw-ask', ask: bytes(32) },
  'image-propose': { kind: 'image-propose', ...image },
  'image-approve': { kind: 'image-approve', ...image },
  'image-retire': { kind: 'image-retire', digest: bytes(33), reason: 'a wheel was withdrawn' }
}

/** What of a value can be looked for in a line: ids, amounts, names. */
function factsIn(value: unknown): string[] {
  if (value instanceof Uint8Array) return [toHex(value)]
  if (typeof value === 'bigint') return [credits(value)]
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(factsIn) : []
}

const payment = transactionOf({ kind: 'transfer', to: bytes(5), amount: (CREDIT * 5n) / 2n })

const partly = async (transaction: Transaction, ...signers: (typeof a)[]): Promise<PartlySigned> => ({
  transaction,
  signatures: (await signTransaction(transaction, signers)).signatures
})

describe('what an owner is shown before it is signed', () => {
  it('is who is paid and how much, by whose account and until when', () => {
    assert.deepEqual(transactionWords(payment), [
      `account ${'08'.repeat(32)}`,
      `  pays 2.50 credits to ${'05'.repeat(32)}`,
      '  number 4 of its transactions, void after 2027-01-15 08:00 UTC'
    ])
  })

  it('is the exact amount, however small', () => {
    const body: Body = { kind: 'transfer', to: bytes(5), amount: 1_000_001n }
    assert.match(describeBody(body), /^pays 1\.000001 credits/)
  })

  it('is all of what is signed: every id, amount and name of everything that an owner may sign', () => {
    assert.deepEqual(Object.keys(BODIES).sort(), [...LANE_0_BODIES].sort())
    for (const body of Object.values(BODIES)) {
      const { kind: _, ...content } = body
      const words = describeBody(body)
      for (const fact of factsIn(content)) assert.ok(words.includes(fact), `${body.kind}: ${fact} in ${words}`)
    }
    assert.match(describeBody(BODIES.stake), /epoch 41, .*epoch 42/)
  })

  it('is all of what no owner could sign, too', () => {
    assert.ok(describeBody({ kind: 'decline', task: bytes(3) }).includes('decline'))
    assert.match(describeBody({ kind: 'decline', task: bytes(3) }), /"task":/)
  })

  it('says no longer delay than it is', () => {
    const wait = (delayMs: number): string =>
      describeBody({ kind: 'set-recovery', recovery: { guardians: bytes(6), delayMs } })
    assert.match(wait(36 * 3_600_000), / 1 day 12 hours after/)
    assert.match(wait(3 * 86_400_000 - 60_000), / 2 days 23 hours 59 minutes after/)
    assert.match(wait(61_000), / 1 minute 1 second after/)
  })

  it('has words for whatever date a transaction may hold', () => {
    const never = { ...payment, expiry: Number.MAX_SAFE_INTEGER }
    assert.match(transactionWords(never)[2] ?? '', /void after 9999-12-31 23:59 UTC/)
    const delegate = { ...BODIES.grant.delegate, expiry: Number.MAX_SAFE_INTEGER }
    assert.match(describeBody({ kind: 'grant', delegate }), /until 9999-12-31 23:59 UTC/)
  })

  it('is shown by a command that is told to be quiet, too: it asks for a signature', () => {
    const written: string[] = []
    const stderr = new PassThrough()
    stderr.on('data', (chunk: Buffer) => written.push(chunk.toString()))
    show({ stderr }, { transaction: payment, signatures: [] })
    assert.match(written.join(''), /pays 2\.50 credits to 0505/)
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

describe('an account in words', () => {
  const row: AccountRow = {
    ...{ account: bytes(1), policy: { threshold: 1, keys: [bytes(2)] }, balance: CREDIT, locked: 2n * CREDIT },
    ...{ bond: 3n * CREDIT, bondReserved: 4n * CREDIT, unbonding: [{ amount: 5n * CREDIT, at: 1 }] },
    ...{ faucetDrawn: 0n, lanes: 1, opened: null },
    recovery: { guardians: bytes(3), delayMs: 86_400_000 },
    recovering: { policy: { threshold: 1, keys: [bytes(4)] }, at: 61_000 }
  }
  /** What a bridge says that would rather not have its user know. */
  const answer: OwnerAnswer = {
    view: {
      ...{ account: bytes(1), policy: { threshold: 1, keys: [bytes(9)] }, balance: 77n * CREDIT, locked: 77n * CREDIT },
      ...{ bond: 77n * CREDIT, bondReserved: 77n * CREDIT, unbonding: [], faucetDrawn: 0n, lanes: [] }
    },
    row,
    time: {
      ...{ network: bytes(5), index: 1, timestamp: 1000, contractTime: 1000, parents: [bytes(5)] },
      parameters: DEVNET_PARAMETERS
    },
    key: bytes(2),
    next: null
  }

  it('is what the ledger proves, whatever the bridge says', () => {
    const text = accountWords(answer).join('\n')
    assert.match(text, /1 credits free, 2 on hold/)
    assert.match(text, /deposit 3 credits, 4 of it for tasks under way, 5 on their way back/)
    assert.match(text, new RegExp(`${'02'.repeat(32)}  this wallet`))
    assert.match(text, new RegExp(`guardians ${'03'.repeat(32)}, 1 day to say no`))
    assert.match(text, new RegExp(`BEING RECOVERED in 1 minute to 1 of 1 key: ${'04'.repeat(32)}`))
    assert.match(text, /proved by the ledger, but for what delegates may do/)
    assert.ok(!text.includes('77') && !text.includes('09'.repeat(32)), text)
  })

  it('is the bridge’s word where nothing is proved, and says so', () => {
    const text = accountWords({ ...answer, row: null }).join('\n')
    assert.match(text, /77 credits free[^]*as the bridge says/)
  })
})

describe('what a rotation says of delegates', () => {
  it('is that none has lost its rights, where others must sign first and it was asked for', () => {
    assert.match(
      delegatesWords(2, 'must wait').join('\n'),
      /Nobody’s rights were taken away: .*2 delegates[^]*account revoke/
    )
    assert.match(delegatesWords(1, 'done').join('\n'), /taken from 1 delegate\./)
    assert.match(delegatesWords(2, 'unasked').join('\n'), /stay with 2 delegates[^]*rotate --revoke/)
    assert.deepEqual(delegatesWords(0, 'must wait'), [])
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
