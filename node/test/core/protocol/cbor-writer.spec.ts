import assert from 'node:assert/strict'
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import { decodeCanonical, decodeCbor, encodeCanonical, encodeCbor } from '@pekka/node/protocol'
import { tries } from '../../support/effort.js'

/** Edges of every form an integer can take, and what lies around them. */
const sizes = [
  23,
  24,
  255,
  256,
  65_535,
  65_536,
  2 ** 32 - 1,
  2 ** 32,
  Number.MAX_SAFE_INTEGER - 1,
  Number.MAX_SAFE_INTEGER
]
const integers = sizes.flatMap(n => [n, -n])
const bigs = [0n, 23n, 24n, 2n ** 53n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n].flatMap(n => [n, -n - 1n])

const leaf = fc.oneof(
  fc.constant(null),
  fc.boolean(),
  fc.maxSafeInteger(),
  fc.constantFrom(...integers),
  fc.constantFrom(...bigs),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 300 }),
  fc.uint8Array({ maxLength: 300 })
)
const key = fc.oneof(
  fc.string({ maxLength: 30 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.constantFrom('a', 'b', 'aa')
)
const values = (leaves: fc.Arbitrary<unknown>) =>
  fc.letrec(tie => ({
    any: fc.oneof({ depthSize: 'medium' }, leaves, tie('list'), tie('record')),
    list: fc.array(tie('any'), { maxLength: 30 }),
    record: fc.dictionary(key, tie('any'), { maxKeys: 30 })
  })).any

const floats = fc.oneof(leaf, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(-0, 2 ** 60, 1.5))

describe('protocol: writing CBOR', () => {
  it('gives the bytes that the library gives', () => {
    const some = { numRuns: tries(50, 100) }
    const alike = (encode: (value: unknown) => Uint8Array) => (value: unknown) =>
      assert.deepEqual(encode(value), plain(dagCbor.encode(value)))
    fc.assert(fc.property(values(leaf), alike(encodeCanonical)), some)
    fc.assert(fc.property(values(floats), alike(encodeCbor)), some)
  }).timeout(120_000)

  it('gives the same bytes whatever the order in which keys were put', () => {
    const record = fc.dictionary(key, leaf, { maxKeys: 20 })
    fc.assert(
      fc.property(record, one => {
        const turned = Object.fromEntries(Object.entries(one).reverse())
        assert.deepEqual(encodeCanonical(turned), encodeCanonical(one))
      })
    )
  })

  it('writes what it reads, byte for byte', () => {
    fc.assert(
      fc.property(values(leaf), value => {
        const bytes = encodeCanonical(value)
        assert.deepEqual(encodeCanonical(decodeCanonical(bytes)), bytes)
      })
    )
  })

  it('keeps what it gave: a later value does not write into an earlier one', () => {
    const first = encodeCbor({ text: 'first' })
    encodeCbor({ text: 'other' })
    assert.deepEqual(decodeCbor(first), { text: 'first' })
  })

  it('takes large byte strings, long lists and large objects', () => {
    const numbers = (length: number): number[] => Array.from({ length }, (_, i) => i)
    const wide = Object.fromEntries(numbers(500).map(i => [`key ${i}`, i]))
    const frames = { kind: 'frames', frames: [new Uint8Array(70_000).fill(1), new Uint8Array(16 << 10)], wide }
    for (const value of [frames, numbers(70_000), wide, 'ä'.repeat(100_000), [new Uint8Array(16_383)]])
      assert.deepEqual(encodeCbor(value), plain(dagCbor.encode(value)))
  })

  it('goes on after thousands of shapes of objects', () => {
    for (let i = 0; i < 3000; i++) encodeCbor({ [`one ${i}`]: 1, [`b${i}`]: 2 })
    const value = { 'one 2999': 1, b2999: 2 }
    assert.deepEqual(encodeCbor(value), plain(dagCbor.encode(value)))
  })

  const circle: unknown[] = []
  circle.push(circle)
  let deep: unknown = null
  for (let i = 0; i < 80; i++) deep = [deep]
  for (const [name, value] of Object.entries({
    'a float': 1.5,
    'not a number': NaN,
    'no value': { a: undefined },
    'a function': [() => 1],
    'an integer of more than 64 bits': 2n ** 64n,
    'what holds itself': circle,
    'what is nested too deeply': deep,
    'a map with keys that are no text': new Map([[1, 2]])
  }))
    it(`refuses ${name} where bytes are signed`, () => assert.throws(() => encodeCanonical(value)))

  it('refuses where a float is allowed what the library refuses', () => {
    for (const value of [NaN, Infinity, undefined, [undefined], Symbol('s'), circle, 2n ** 64n])
      assert.throws(() => encodeCbor(value))
  })

  it('leaves to the library what is no plain object', () => {
    class Point {
      constructor(
        readonly y: number,
        readonly x: number
      ) {}
    }
    const values = [new Point(1, 2), { at: new Point(1, 2) }, new Map([['b', 1]]), [new Uint16Array([1, 2])], deep]
    for (const value of values) assert.deepEqual(encodeCbor(value), plain(dagCbor.encode(value)))
  })
})

/** The library may give a Buffer. */
const plain = (bytes: Uint8Array): Uint8Array => Uint8Array.from(bytes)
