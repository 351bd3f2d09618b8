import { mkdir, readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { replaceFile } from '../files/index.js'
import { fromHex, toHex, type Signer } from '../../core/protocol/index.js'
import { createSigner } from './signing.js'

/** A key file: one line of JSON `{"v":1,"ed25519":"<32-byte seed, hex>"}`, mode 0600. */

export async function writeSigner(path: string, seed: Uint8Array): Promise<Signer> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await replaceFile(path, `${JSON.stringify({ v: 1, ed25519: toHex(seed) })}\n`)
  return createSigner(seed)
}

/** @throws the file system's error, or TypeError where the file is no key file. */
export async function readSigner(path: string): Promise<Signer & { seed: Uint8Array }> {
  const content: unknown = JSON.parse(await readFile(path, 'utf8'))
  if (
    content === null ||
    typeof content !== 'object' ||
    !('ed25519' in content) ||
    typeof content.ed25519 !== 'string'
  ) {
    throw new TypeError(`${path} is no key file`)
  }
  const seed = fromHex(content.ed25519)
  if (seed.length !== 32) throw new TypeError(`${path} is no key file`)
  return { ...createSigner(seed), seed }
}
