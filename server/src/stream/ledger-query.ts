import { PekkaError, ledgerQuerySchema } from '@pekka/node/protocol'
import type { AnswerLedgerQuery, RequestLimit } from '../api/index.js'
import { MAX_LEDGER_QUERIES } from './constants.js'
import { unpack } from './packing.js'

export interface LedgerQueriesComponents {
  answer: AnswerLedgerQuery
  /** That of HTTP: who has used it up there has none left here. */
  limit: Pick<RequestLimit, 'take'>
  /** As at each HTTP request. @throws PekkaError TOKEN_INVALID */
  check: () => void
}

/** Answers one connection's questions about the ledger. */
export class LedgerQueries {
  #underWay = 0

  constructor(
    private readonly components: LedgerQueriesComponents,
    private readonly address: string
  ) {}

  /** @throws PekkaError SCHEMA_MISMATCH, TOKEN_INVALID, RATE_LIMITED, ROUTE_UNKNOWN, and as the route */
  async answer(packed: unknown): Promise<unknown> {
    const { answer, limit, check } = this.components
    if (this.#underWay >= MAX_LEDGER_QUERIES) throw new PekkaError('RATE_LIMITED')
    this.#underWay++
    try {
      await limit.take(this.address)
      check()
      const request = unpack(ledgerQuerySchema, packed)
      if (request === null) throw new PekkaError('SCHEMA_MISMATCH', { issue: 'query-ledger {path, query}' })
      return await answer(request)
    } finally {
      this.#underWay--
    }
  }
}
