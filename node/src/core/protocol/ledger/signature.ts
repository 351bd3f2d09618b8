import { fromHex } from '../encoding/bytes.js'

/**
 * The byte pre-check of the one signature rule: S below the group order, A and R canonical and none of the points of
 * small order. After it every cofactorless verifier we use answers alike (ledger.md §3.2: without it tweetnacl, node
 * and sodium disagree on 31 of 600 edge vectors, with it on none).
 */
export function acceptableSignature(publicKey: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  return below(signature, 32, 0xff, ORDER) && acceptablePoint(publicKey) && acceptablePoint(signature)
}

/** Group order L = 2^252 + 27742317777372353535851937790883648493, little-endian (RFC 8032 §5.1). */
const ORDER = fromHex('edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010')
/** Field prime p = 2^255 − 19, little-endian. */
const PRIME = fromHex('edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f')

/** y coordinates (sign bit cleared) of the 8 points whose order divides the cofactor, in canonical form. */
const SMALL_ORDER = [
  '0100000000000000000000000000000000000000000000000000000000000000',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  '0000000000000000000000000000000000000000000000000000000000000000',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05'
].map(fromHex)

/** Of the point in the first 32 bytes, whatever its sign bit. Views of small arrays would cost more than all of this. */
function acceptablePoint(point: Uint8Array): boolean {
  return below(point, 0, 0x7f, PRIME) && !SMALL_ORDER.some(small => isAt(point, small))
}

/** a < b for little-endian numbers of 32 bytes: a stands at `from`, `top` masks its last byte. */
function below(a: Uint8Array, from: number, top: number, b: Uint8Array): boolean {
  for (let i = 31; i >= 0; i--) {
    const difference = ((a[from + i] ?? 0) & (i === 31 ? top : 0xff)) - (b[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

/** Whether `point` is `y`, sign bit aside. */
function isAt(point: Uint8Array, y: Uint8Array): boolean {
  for (let i = 0; i < 31; i++) if (point[i] !== y[i]) return false
  return ((point[31] ?? 0) & 0x7f) === y[31]
}
