import { fromHex } from './bytes.js'

/**
 * The byte pre-check of the one signature rule: S below the group order, A and R canonical and none of the points of
 * small order. After it every cofactorless verifier we use answers alike (ledger.md §3.2: without it tweetnacl, node
 * and sodium disagree on 31 of 600 edge vectors, with it on none).
 */
export function acceptableSignature(publicKey: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const r = signature.subarray(0, 32)
  const s = signature.subarray(32)
  return below(s, ORDER) && acceptablePoint(publicKey) && acceptablePoint(r)
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

function acceptablePoint(point: Uint8Array): boolean {
  const y = point.slice()
  y[31] = (y[31] ?? 0) & 0x7f
  return below(y, PRIME) && !SMALL_ORDER.some(small => small.every((byte, i) => byte === y[i]))
}

/** a < b for little-endian numbers of 32 bytes. */
function below(a: Uint8Array, b: Uint8Array): boolean {
  for (let i = 31; i >= 0; i--) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}
