import assert from 'node:assert/strict'
import { PekkaError, encodeCbor } from '@pekka/node/protocol'
import { RequestLimit } from '../../src/api/index.js'
import { LedgerQueries } from '../../src/stream/ledger-query.js'

const ASKED = encodeCbor({ path: '/v1/ledger/commits', query: {} })

describe('questions about the ledger over a socket', () => {
  it('are answered so many at a time for one connection, and no more', async () => {
    const page = Promise.withResolvers<string>()
    let asked = 0
    const answer = (): Promise<string> => (asked++, page.promise)
    const queries = new LedgerQueries({ answer, limit: { take: async () => {} }, check: () => {} }, '127.0.0.1')
    const first = Array.from({ length: 16 }, () => queries.answer(ASKED))
    await assert.rejects(queries.answer(ASKED), { code: 'RATE_LIMITED' })
    page.resolve('page')
    assert.deepEqual(await Promise.all(first), Array(16).fill('page'))
    assert.equal(asked, 16)
    assert.equal(await queries.answer(ASKED), 'page')
  })

  it('count in the limit of their address, also what is no question at all', async () => {
    const limit = new RequestLimit(100, 3)
    const answer = async (): Promise<string> => 'page'
    const queries = new LedgerQueries({ answer, limit, check: () => {} }, '192.0.2.1')
    assert.equal(await queries.answer(ASKED), 'page')
    await assert.rejects(queries.answer(Uint8Array.of(1)), { code: 'SCHEMA_MISMATCH' })
    assert.equal(await queries.answer(ASKED), 'page')
    await assert.rejects(queries.answer(ASKED), { code: 'RATE_LIMITED' })
    await assert.rejects(limit.take('192.0.2.1'), { code: 'RATE_LIMITED' })
    await limit.take('192.0.2.2')
    await limit.take('127.0.0.1')
  })

  it('are refused once the connection’s token has ended', async () => {
    const check = (): void => {
      throw new PekkaError('TOKEN_INVALID')
    }
    const answer = (): Promise<never> => assert.fail('answered')
    const queries = new LedgerQueries({ answer, limit: { take: async () => {} }, check }, '127.0.0.1')
    await assert.rejects(queries.answer(ASKED), { code: 'TOKEN_INVALID' })
  })
})
