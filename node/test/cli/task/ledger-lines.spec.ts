import assert from 'node:assert/strict'
import { type TransactionSummary } from '@pekka/node/protocol'
import { accountLines, transactionLine } from '../../../src/cli/task/ledger-lines.js'

const id = (byte: number): Uint8Array => new Uint8Array(32).fill(byte)

const transfer: TransactionSummary = {
  id: id(1),
  place: { index: 12, position: 3 },
  timestamp: Date.UTC(2026, 10, 23, 4, 5, 6, 789),
  account: id(0xab),
  key: null,
  sequence: 0,
  previous: null,
  parents: [id(2)],
  kind: 'transfer',
  code: null,
  tasks: [],
  to: id(0xcd),
  amount: 1_500_000n
}

describe('a transaction in a line', () => {
  it('says when, where, what, by whom and how much', () => {
    assert.equal(
      transactionLine(transfer),
      '2026-11-23 04:05:06       12-3  transfer          by abababab  1.50 credits, to cdcdcdcd'
    )
  })

  it('says why one failed, and names its task or how many they are', () => {
    const offer = { ...transfer, kind: 'offer', to: null, amount: null, tasks: [id(7)], code: 'FUNDS_MISSING' }
    assert.match(transactionLine(offer), /offer {13}by abababab {2}task 07070707, failed: FUNDS_MISSING$/)
    assert.match(transactionLine({ ...offer, tasks: [id(7), id(8)], code: null }), / 2 tasks$/)
  })
})

describe('an account in lines', () => {
  it('says what is free, on hold and bonded, and who signs', () => {
    const lines = accountLines({
      account: id(1),
      policy: { threshold: 2, keys: [id(1), id(2), id(3)] },
      balance: 2_000_000n,
      locked: 0n,
      bond: 5_000_000n,
      bondReserved: 0n,
      unbonding: [{ amount: 1_000_000n, at: 5 }],
      faucetDrawn: 0n,
      lanes: 4
    })
    assert.equal(lines.length, 5)
    assert.match(
      lines.join('\n'),
      /2\S* credits free[\s\S]*deposit 5[\s\S]*1\S* credits of its deposit on their way back/
    )
    assert.match(lines.at(-1) ?? '', /2 of 3 keys sign for it; 4 delegates/)
  })
})
