import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { ERRORS, PekkaError, asPekkaError, fromProblem, type ErrorEntry } from '@pekka/node/protocol'
import { ERRORS_PAGE, errorsPage } from '../../../../scripts/docs/errors.js'

describe('the catalogue of errors', () => {
  it('is what docs/errors.md shows (npm run docs:errors)', async () => {
    assert.equal(await readFile(ERRORS_PAGE, 'utf8'), errorsPage())
  })

  it('says in every entry what happened and what to do, in sentences', () => {
    for (const [code, { title, advice, status }] of Object.entries<ErrorEntry>(ERRORS)) {
      assert.match(code, /^[A-Z][A-Z_]+$/)
      assert.ok(title.length > 0 && advice.length > 0, code)
      assert.ok(status >= 400 && status < 600, code)
    }
  })

  it('crosses a wire as a problem document and comes back with code and data', () => {
    const error = new PekkaError('FUNDS_MISSING', { have: 20_000n, need: 500_000n })
    const back = fromProblem(JSON.parse(JSON.stringify(error.toProblem())))
    assert.equal(back.code, 'FUNDS_MISSING')
    assert.equal(back.message, 'You have 0.02 credits, this needs 0.50 credits.')
  })

  it('wraps what is not ours once and hides nothing', () => {
    const cause = new TypeError('x')
    const wrapped = asPekkaError(cause)
    assert.equal(wrapped.code, 'INTERNAL')
    assert.equal(wrapped.cause, cause)
    assert.equal(asPekkaError(wrapped), wrapped)
  })

  it('does not take an unknown code from a wire', () => {
    assert.equal(fromProblem({ code: '__proto__' }).code, 'INTERNAL')
    assert.equal(fromProblem({ code: 'toString' }).code, 'INTERNAL')
  })
})
