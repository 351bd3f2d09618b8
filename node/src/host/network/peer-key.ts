import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, rename } from 'node:fs/promises'
import { dirname } from 'node:path'
import { generateKeyPair, privateKeyFromProtobuf, privateKeyToProtobuf } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'

/**
 * Reads the key a host is known by, or makes it. The file holds the libp2p protobuf form of an Ed25519 private key and
 * can be read by its owner only.
 *
 * @throws the file system's own error where the file is there and can't be read, and what the library says of a file
 * that isn't a key: a damaged key is never replaced by itself, the host's identity would change unseen.
 */
export async function loadPeerKey(file: string): Promise<PrivateKey> {
  let bytes: Uint8Array
  try {
    bytes = await readFile(file)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return await createPeerKey(file)
  }
  return privateKeyFromProtobuf(bytes)
}

async function createPeerKey(file: string): Promise<PrivateKey> {
  const key = await generateKeyPair('Ed25519')
  await mkdir(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomBytes(6).toString('hex')}`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(privateKeyToProtobuf(key))
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(draft, file)
  return key
}
