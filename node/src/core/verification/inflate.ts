/**
 * Inflates a zlib stream (RFC 1950, 1951) of which the size is known beforehand. Small and pure: pictures are digested in
 * the browser and on providers alike, and neither may trust the other's decoder. Never writes more than `size` bytes.
 */

const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258
]
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0]
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145,
  8193, 12289, 16385, 24577
]
const DISTANCE_EXTRA = [
  0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13
]
/** Order in which the lengths of the code for code lengths are stored. */
const CODE_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
const MAX_BITS = 15
const MASK = (1 << MAX_BITS) - 1

/** What `inflate` was given is not a zlib stream of the size it should have. */
export class NotDeflated extends Error {}

/** A canonical Huffman code as one table: index = the next 15 bits as they come, value = symbol << 4 | length. */
class Code {
  readonly table = new Uint16Array(1 << MAX_BITS)

  constructor(lengths: ArrayLike<number>) {
    const counts = new Uint16Array(MAX_BITS + 1)
    for (let i = 0; i < lengths.length; i++) {
      const length = lengths[i] ?? 0
      counts[length] = (counts[length] ?? 0) + 1
    }
    counts[0] = 0
    const next = new Uint16Array(MAX_BITS + 2)
    for (let bits = 1; bits <= MAX_BITS; bits++) next[bits + 1] = ((next[bits] ?? 0) + (counts[bits] ?? 0)) << 1
    for (let symbol = 0; symbol < lengths.length; symbol++) {
      const length = lengths[symbol] ?? 0
      if (length === 0) continue
      const code = next[length] ?? 0
      next[length] = code + 1
      if (code >> length !== 0) throw new NotDeflated('a code with too many words')
      const entry = (symbol << 4) | length
      for (let at = reverse(code, length); at < 1 << MAX_BITS; at += 1 << length) this.table[at] = entry
    }
  }

  /** @returns symbol << 4 | length, 0 where the bits are no word of the code */
  look(bits: number): number {
    return this.table[bits & MASK] ?? 0
  }
}

function reverse(code: number, length: number): number {
  let out = 0
  for (let i = 0; i < length; i++) out |= ((code >> i) & 1) << (length - 1 - i)
  return out
}

let fixedCodes: [Code, Code] | null = null
function fixed(): [Code, Code] {
  const lengths = Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8))
  fixedCodes ??= [new Code(lengths), new Code(new Uint8Array(30).fill(5))]
  return fixedCodes
}

class Inflater {
  #at = 0
  #bits = 0
  #count = 0
  #written = 0

  constructor(
    private readonly input: Uint8Array,
    private readonly out: Uint8Array
  ) {}

  run(): void {
    // Two bytes of zlib: method 8 without a dictionary.
    const [first = 0, second = 0] = this.input
    if ((first & 15) !== 8 || (second & 32) !== 0 || (first * 256 + second) % 31 !== 0) throw new NotDeflated('no zlib')
    this.#at = 2
    for (let last = false; !last;) {
      last = this.#take(1) === 1
      const kind = this.#take(2)
      if (kind === 0) this.#stored()
      else if (kind === 1) this.#block(...fixed())
      else if (kind === 2) this.#block(...this.#codes())
      else throw new NotDeflated('an unknown block')
    }
    if (this.#written !== this.out.length) throw new NotDeflated('another size')
  }

  #fill(count: number): void {
    while (this.#count < count) {
      // Zeros behind the end: a code may be looked up with fewer bits than the table has.
      this.#bits |= (this.input[this.#at] ?? 0) << this.#count
      if (this.#at > this.input.length + 4) throw new NotDeflated('cut off')
      this.#at++
      this.#count += 8
    }
  }

  #take(count: number): number {
    if (count === 0) return 0
    this.#fill(count)
    const value = this.#bits & ((1 << count) - 1)
    this.#bits >>>= count
    this.#count -= count
    return value
  }

  #symbol(code: Code): number {
    this.#fill(MAX_BITS)
    const entry = code.look(this.#bits)
    const length = entry & 15
    if (length === 0) throw new NotDeflated('no word of the code')
    this.#bits >>>= length
    this.#count -= length
    return entry >> 4
  }

  #stored(): void {
    // Whole bytes that were read ahead are given back.
    this.#at -= this.#count >> 3
    this.#bits = this.#count = 0
    const { input, out } = this
    const size = (input[this.#at] ?? 0) | ((input[this.#at + 1] ?? 0) << 8)
    const check = (input[this.#at + 2] ?? 0) | ((input[this.#at + 3] ?? 0) << 8)
    this.#at += 4
    if ((size ^ check) !== 0xffff || this.#at + size > input.length || this.#written + size > out.length)
      throw new NotDeflated('a stored block that does not fit')
    out.set(input.subarray(this.#at, this.#at + size), this.#written)
    this.#at += size
    this.#written += size
  }

  #codes(): [Code, Code] {
    const literals = this.#take(5) + 257
    const distances = this.#take(5) + 1
    const ordered = this.#take(4) + 4
    const lengths = new Uint8Array(19)
    for (let i = 0; i < ordered; i++) lengths[CODE_ORDER[i] ?? 0] = this.#take(3)
    const code = new Code(lengths)
    const all = new Uint8Array(literals + distances)
    for (let i = 0; i < all.length;) {
      const symbol = this.#symbol(code)
      if (symbol < 16) {
        all[i++] = symbol
        continue
      }
      if (symbol === 16 && i === 0) throw new NotDeflated('a repetition of nothing')
      const value = symbol === 16 ? (all[i - 1] ?? 0) : 0
      const times = symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7)
      if (i + times > all.length) throw new NotDeflated('too many lengths')
      all.fill(value, i, i + times)
      i += times
    }
    return [new Code(all.subarray(0, literals)), new Code(all.subarray(literals))]
  }

  /** The hot loop: state in local variables, written back at its end. */
  #block(literals: Code, distances: Code): void {
    const { out, input } = this
    const [words, far] = [literals.table, distances.table]
    let [at, bits, count, written] = [this.#at, this.#bits, this.#count, this.#written]
    for (;;) {
      while (count < MAX_BITS) {
        bits |= (input[at++] ?? 0) << count
        count += 8
      }
      if (at > input.length + 4) throw new NotDeflated('cut off')
      const entry = words[bits & MASK] ?? 0
      if ((entry & 15) === 0) throw new NotDeflated('no word of the code')
      bits >>>= entry & 15
      count -= entry & 15
      const symbol = entry >> 4
      if (symbol < 256) {
        if (written >= out.length) throw new NotDeflated('too long')
        out[written++] = symbol
        continue
      }
      if (symbol === 256) break
      // A length and a distance have 5 + 15 + 13 bits at most: each part is filled up by itself.
      const [lengthBits, lengthBase] = [LENGTH_EXTRA[symbol - 257] ?? 0, LENGTH_BASE[symbol - 257] ?? 0]
      while (count < MAX_BITS + 5) {
        bits |= (input[at++] ?? 0) << count
        count += 8
      }
      const length = lengthBase + (bits & ((1 << lengthBits) - 1))
      bits >>>= lengthBits
      count -= lengthBits
      const step = far[bits & MASK] ?? 0
      if ((step & 15) === 0) throw new NotDeflated('no word of the code')
      bits >>>= step & 15
      count -= step & 15
      const distanceBits = DISTANCE_EXTRA[step >> 4] ?? 0
      while (count < distanceBits) {
        bits |= (input[at++] ?? 0) << count
        count += 8
      }
      const distance = (DISTANCE_BASE[step >> 4] ?? 0) + (bits & ((1 << distanceBits) - 1))
      bits >>>= distanceBits
      count -= distanceBits
      if (lengthBase === 0 || distance === 0 || distance > written || written + length > out.length)
        throw new NotDeflated('a copy that does not fit')
      // Byte by byte: source and target may overlap.
      for (let i = 0; i < length; i++, written++) out[written] = out[written - distance] ?? 0
    }
    this.#at = at
    this.#bits = bits
    this.#count = count
    this.#written = written
  }
}

/** @throws NotDeflated where `bytes` is no zlib stream of exactly `size` bytes. The checksum isn't looked at. */
export function inflate(bytes: Uint8Array, size: number): Uint8Array {
  const out = new Uint8Array(size)
  new Inflater(bytes, out).run()
  return out
}
