import assert from 'node:assert/strict'
import fc from 'fast-check'
import { z } from 'zod'
import { MAX_CREDITS, bytes16, bytes32, bytes64, bytesUpTo, credits, toHex, whole } from '@pekka/node/protocol'

/** The same rules as zod alone has them. */
const plainWhole = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER)
const plainCredits = z
  .union([plainWhole, z.bigint()])
  .transform(value => BigInt(value))
  .refine(value => value >= 0n && value <= MAX_CREDITS, 'amount out of range')
const plainBytes = (holds: (length: number) => boolean, message: string) =>
  z.custom<Uint8Array>(value => value instanceof Uint8Array && holds(value.length), message)

const pairs: Record<string, [z.ZodType, z.ZodType]> = {
  whole: [whole, plainWhole],
  credits: [credits, plainCredits],
  bytes16: [bytes16, plainBytes(length => length === 16, 'expected 16 bytes')],
  bytes32: [bytes32, plainBytes(length => length === 32, 'expected 32 bytes')],
  bytes64: [bytes64, plainBytes(length => length === 64, 'expected 64 bytes')],
  bytesUpTo: [bytesUpTo(33), plainBytes(length => length <= 33, 'expected at most 33 bytes')]
}

const numbers = [0, -0, -1, 0.5, NaN, Infinity, 2 ** 43, 2 ** 43 + 1, 2 ** 53 - 1, 2 ** 53, -(2 ** 53)]
const bigints = [0n, -1n, MAX_CREDITS, MAX_CREDITS + 1n, 1n << 63n]
const anything = fc.oneof(
  fc.constantFrom<unknown>(...numbers, ...bigints, null, undefined, '', '7', true, {}, [], new Uint16Array(32)),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  fc.uint8Array({ maxLength: 70 }),
  fc.constantFrom(16, 32, 33, 64).map(length => new Uint8Array(length)),
  fc.constantFrom(16, 32, 64).map(length => Buffer.alloc(length))
)

describe('the schemas of what most fields are', () => {
  for (const [name, [ours, plain]] of Object.entries(pairs)) {
    it(`take and refuse what zod’s own would, and say the same of it: ${name}`, () => {
      fc.assert(
        fc.property(anything, value => {
          for (const wrap of [(schema: z.ZodType) => schema, (schema: z.ZodType) => z.strictObject({ a: schema })]) {
            const input = wrap(ours) === ours ? value : { a: value }
            const [got, expected] = [wrap(ours), wrap(plain)].map(schema => schema.safeParse(input))
            assert.equal(got?.success, expected?.success)
            assert.deepEqual(got?.data, expected?.data)
            assert.deepEqual(got?.error?.issues, expected?.error?.issues)
          }
        }),
        { numRuns: 500 }
      )
    })
  }

  it('what is made of them has its own bounds, also beside null', () => {
    const attempt = whole.min(1).max(255)
    for (const [value, taken] of [
      [0, false],
      [1, true],
      [255, true],
      [256, false]
    ] as const)
      assert.equal(attempt.safeParse(value).success, taken)
    assert.equal(bytes32.nullable().parse(null), null)
    assert.equal(bytes32.nullable().safeParse(new Uint8Array(31)).success, false)
    assert.equal(credits.refine(price => price >= 1n).safeParse(0).success, false)
  })
})

describe('hexadecimal text', () => {
  it('is that of Node for any number of bytes, also of a view', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(5), (bytes, from) => {
        const view = bytes.subarray(from)
        assert.equal(toHex(view), Buffer.from(view).toString('hex'))
      })
    )
  })
})
