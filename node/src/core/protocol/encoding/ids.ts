import { CID } from 'multiformats/cid'
import { create as createMultihash } from 'multiformats/hashes/digest'
import { fromHex, toHex } from './bytes.js'
import { PekkaError } from '../errors.js'
import { sha256, taggedHash } from './hash.js'

/** Ids are 32 bytes inside, hexadecimal in JSON; content (transactions, blobs) is addressed by CIDv1 at the API. */

const DAG_CBOR = 0x71
const RAW = 0x55
const SHA2_256 = 0x12

/** An id that its creator chose: H(account ‖ 16 random bytes), known before anything is sealed (R13). */
export const objectId = (account: Uint8Array, nonce: Uint8Array): Uint8Array =>
  taggedHash('pekka/object/v1', account, nonce)

/** Hash of content: SHA-256, so that it is the multihash of a CID. */
export const contentHash = (bytes: Uint8Array): Uint8Array => sha256(bytes)

/** CIDv1 of a content hash: `dag-cbor` for transactions and policies, `raw` for blobs. */
export const toCid = (hash: Uint8Array, codec: 'dag-cbor' | 'raw'): string =>
  CID.createV1(codec === 'raw' ? RAW : DAG_CBOR, createMultihash(SHA2_256, hash)).toString()

/** The 32 bytes behind a CIDv1 (dag-cbor or raw, sha2-256) or behind 64 hexadecimal digits. */
export function parseContentId(text: string): Uint8Array {
  if (/^[0-9a-f]{64}$/.test(text)) return fromHex(text)
  try {
    const cid = CID.parse(text)
    if (cid.version === 1 && cid.multihash.code === SHA2_256 && (cid.code === RAW || cid.code === DAG_CBOR)) {
      return Uint8Array.from(cid.multihash.digest)
    }
  } catch {
    // Not a CID: refused below.
  }
  throw new PekkaError('SCHEMA_MISMATCH', { issue: 'not a content id' })
}

/** The first hexadecimal digits of an id, as people see it: `7c1e…`. */
export const shortId = (id: Uint8Array, digits = 8): string => toHex(id).slice(0, digits)
