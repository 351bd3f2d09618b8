import { sha256 } from '../../protocol/index.js'

/** SHA-256 as trees need it; a machine with a faster one hands it in (host/crypto). */
export interface Hashing {
  /** SHA-256 of anything. */
  hash(bytes: Uint8Array): Uint8Array
  /** SHA-256 of each 64 bytes of `pairs`: 32 bytes for each, in order. */
  hashPairs(pairs: Uint8Array): Uint8Array
}

/** Pure JavaScript, for tests and browsers. */
export const scriptHashing: Hashing = {
  hash: sha256,
  hashPairs(pairs) {
    const out = new Uint8Array(pairs.length / 2)
    for (let from = 0; from < pairs.length; from += 64) out.set(sha256(pairs.subarray(from, from + 64)), from / 2)
    return out
  }
}
