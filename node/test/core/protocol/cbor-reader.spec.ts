import assert from 'node:assert/strict'
import * as dagCbor from '@ipld/dag-cbor'
import fc from 'fast-check'
import {
  decodeCanonical,
  decodeCbor,
  decodeCborInPlace,
  encodeCanonical,
  encodeCbor,
  fromHex,
  isPekkaError
} from '@pekka/node/protocol'
import { tries } from '../../support/effort.js'

/** What reading gives, or that it is refused. */
type Outcome = { value: unknown } | 'refused'

function outcome(read: () => unknown): Outcome {
  try {
    return { value: read() }
  } catch (error) {
    // Whatever is wrong with bytes from outside, it is said in our words.
    if (isPekkaError(error)) assert.match(error.code, /^ENCODING_/)
    return 'refused'
  }
}

/** The library's canonical reading: it reads the bytes, and they are those that it writes for what it read. */
function byLibrary(bytes: Uint8Array): Outcome {
  return outcome(() => {
    const value: unknown = dagCbor.decode(bytes)
    assert.deepEqual(encodeCanonical(value), Uint8Array.from(bytes))
    return value
  })
}

/** The library drops a byte order mark that begins a text; we keep it. */
const mayHoldMark = (bytes: Uint8Array): boolean => Buffer.from(bytes).includes('\uFEFF')

function compare(bytes: Uint8Array): void {
  if (mayHoldMark(bytes)) return
  const read = outcome(() => decodeCbor(bytes))
  assert.deepEqual(
    read,
    outcome(() => dagCbor.decode(bytes))
  )
  assert.deepEqual(
    outcome(() => decodeCborInPlace(bytes)),
    read
  )
  assert.deepEqual(
    outcome(() => decodeCanonical(bytes)),
    byLibrary(bytes)
  )
}

const integers = [
  0,
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
const bigs = [2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n]
const leaf = fc.oneof(
  fc.constantFrom(null, true, false, ...integers, ...integers.map(n => -n - (n < Number.MAX_SAFE_INTEGER ? 1 : 0))),
  fc.constantFrom(...bigs, ...bigs.map(n => -n), ...bigs.map(n => -n - 1n)),
  fc.maxSafeInteger(),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 100 }),
  fc.uint8Array({ maxLength: 100 })
)
const key = fc.oneof(
  fc.string({ maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 30 }),
  fc.constantFrom('a', 'b', 'aa', '', '__proto__', '1', '0', 'constructor')
)
const value = fc.letrec(tie => ({
  any: fc.oneof({ depthSize: 'small' }, leaf, tie('list'), tie('record')),
  list: fc.array(tie('any'), { maxLength: 8 }),
  record: fc.dictionary(key, tie('any'), { maxKeys: 8 })
})).any

/** Bytes as a stranger may send them: of a value, with some changed, cut off, doubled or put in. */
const bent = fc
  .tuple(
    value,
    fc.array(fc.tuple(fc.nat(), fc.constantFrom('set', 'drop', 'put', 'cut', 'twice'), fc.nat(255)), { maxLength: 4 })
  )
  .map(([one, changes]) => {
    const bytes = [...encodeCbor(one)]
    for (const [place, how, byte] of changes) {
      const i = place % (bytes.length + 1)
      if (how === 'set') bytes[i] = byte
      else if (how === 'drop') bytes.splice(i, 1)
      else if (how === 'put') bytes.splice(i, 0, byte)
      else if (how === 'cut') bytes.length = i
      else bytes.splice(i, 0, ...bytes.slice(i, i + (byte % 40)))
    }
    return Uint8Array.from(bytes)
  })

/** Items out of which bytes are thrown together that are often almost right. */
const pieces = fc
  .array(
    fc.constantFrom(
      ...[
        '00',
        '17',
        '1800',
        '1817',
        '1818',
        '190001',
        '1900ff',
        '190100',
        '1a0000ffff',
        '1a00010000',
        '1b00000000ffffffff'
      ],
      ...['1b0000000100000000', '1b001fffffffffffff', '1b0020000000000000', '1bffffffffffffffff', '20', '37', '3818'],
      ...[
        '3b001ffffffffffffe',
        '3b001fffffffffffff',
        '3b0020000000000000',
        '3bffffffffffffffff',
        '40',
        '4161',
        '580161'
      ],
      ...[
        '60',
        '6161',
        '6162',
        '61ff',
        '63efbbbf',
        '64efbbbf61',
        '63efbfbd',
        '62c3a4',
        '780161',
        '695f5f70726f746f5f5f'
      ],
      ...[
        '80',
        '81',
        '82',
        '9800',
        'a0',
        'a1',
        'a2',
        'a3',
        'b800',
        '5f',
        '7f',
        '9f',
        'bf',
        'ff',
        'c0',
        'd82a',
        '1c',
        '1f'
      ],
      ...['f4', 'f5', 'f6', 'f7', 'f800', 'f818', 'f93c00', 'fa3f800000', 'fb3ff0000000000000', 'fb3ff8000000000000'],
      ...[
        'fb7ff0000000000000',
        'fb7ff8000000000000',
        'fb8000000000000000',
        '5b0000000100000000',
        '9affffffff',
        'bbffffffffffffffff'
      ]
    ),
    { maxLength: 12 }
  )
  .map(all => fromHex(all.join('')))

describe('protocol: reading CBOR', () => {
  const many = { numRuns: tries(300, 1_000) }

  it('gives what the library gives of what was written', () => {
    fc.assert(fc.property(value, one => compare(encodeCbor(one))))
  })

  it('takes, refuses and gives what the library does of bytes that were tampered with', () => {
    fc.assert(fc.property(bent, compare), { numRuns: tries(100, 300) })
    fc.assert(fc.property(pieces, compare), many)
    fc.assert(fc.property(fc.uint8Array({ maxLength: 12 }), compare), many)
  })

  it('keeps a byte order mark that begins a text or a key', () => {
    for (const value of ['\uFEFF', '\uFEFFname,mass', { '\uFEFF': '\uFEFFa' }, ['\uFEFF'.repeat(30)]]) {
      const bytes = encodeCanonical(value)
      assert.deepEqual(decodeCanonical(bytes), value)
      assert.deepEqual(decodeCbor(bytes), value)
      assert.deepEqual(decodeCborInPlace(bytes), value)
    }
  })

  it('knows a canonical form from each other form of the same value', () => {
    const forms: [canonical: string, ...others: string[]][] = [
      ['17', '1817'],
      ['1818', '190018'],
      ['a2616101616202', 'a2616202616101'],
      ['a261620262616101', 'a262616101616202'],
      ['63e4bda0', '7803e4bda0'],
      ['01', 'fb3ff0000000000000'],
      ['1b0020000000000000', 'fb4340000000000000']
    ]
    for (const [canonical, ...others] of forms) {
      assert.doesNotThrow(() => decodeCanonical(fromHex(canonical)), canonical)
      for (const other of others)
        assert.throws(() => decodeCanonical(fromHex(other)), { code: 'ENCODING_NOT_CANONICAL' })
    }
  })

  for (const [name, hex] of Object.entries({
    'a key that is there twice': 'a2616101616102',
    'a key that is there twice, among others out of order': 'a3616201616102616203',
    'two keys that are read as one text': 'a261fe01' + '61ff' + '02',
    'a text that is no UTF-8': '61ff',
    'a length that nothing follows': '9affffffff',
    'what follows the value': '0000',
    nothing: ''
  }))
    it(`refuses ${name} where bytes are signed`, () =>
      assert.throws(() => decodeCanonical(fromHex(hex)), { code: 'ENCODING_NOT_CANONICAL' }))

  it('refuses what is nested too deeply, and outlives it', () => {
    for (const depth of [64, 65, 66, 20_000]) {
      const bytes = new Uint8Array(depth + 1).fill(0x81)
      bytes[depth] = 0
      if (depth <= 64) assert.doesNotThrow(() => decodeCanonical(bytes))
      else assert.throws(() => decodeCanonical(bytes), { code: 'ENCODING_NOT_CANONICAL' })
    }
    assert.deepEqual(decodeCanonical(fromHex('8101')), [1])
  })

  it('gives byte strings that are the reader’s own, also out of a Buffer', () => {
    const bytes = Buffer.from(encodeCbor({ small: new Uint8Array(8).fill(1), large: new Uint8Array(9_000).fill(1) }))
    // As it was written above.
    const read = decodeCbor(bytes) as { small: Uint8Array; large: Uint8Array }
    bytes.fill(0)
    assert.ok(read.small.every(byte => byte === 1) && read.large.every(byte => byte === 1))
    assert.equal(Object.getPrototypeOf(read.small), Uint8Array.prototype)
  })

  it('keeps no key of a stranger in the way of another', () => {
    for (let i = 0; i < 5_000; i++) {
      const one = { [`key ${i}`]: i, [`k${i}`]: i }
      assert.deepEqual(decodeCanonical(encodeCanonical(one)), one)
    }
  })
})
