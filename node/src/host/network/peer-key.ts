import { randomBytes } from 'node:crypto'
import { generateKeyPairFromSeed } from '@libp2p/crypto/keys'
import type { PrivateKey } from '@libp2p/interface'
import { peerIdFromPrivateKey, peerIdFromString } from '@libp2p/peer-id'
import { readSigner, writeSigner } from '../crypto/index.js'

/**
 * Reads the key a host is known by, or makes it: a key file (`host/crypto`) of mode 0600.
 *
 * @throws what reading gives where the file is there and damaged: a key is never replaced by itself, the host's identity
 * would change unseen.
 */
export async function loadPeerKey(file: string): Promise<PrivateKey> {
  try {
    const { seed } = await readSigner(file)
    return await peerKeyFromSeed(seed)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
  }
  const seed = new Uint8Array(randomBytes(32))
  await writeSigner(file, seed)
  return await peerKeyFromSeed(seed)
}

/** The libp2p form of an Ed25519 seed (32 bytes). */
export const peerKeyFromSeed = (seed: Uint8Array): Promise<PrivateKey> => generateKeyPairFromSeed('Ed25519', seed)

/** The Ed25519 public key (32 bytes) that a peer id stands for, or null where it stands for another kind of key. */
export function publicKeyOfPeer(peer: string): Uint8Array | null {
  const id = peerIdFromString(peer)
  return id.type === 'Ed25519' ? id.publicKey.raw : null
}

/** The peer id that a host with this key has. */
export const peerIdOf = (key: PrivateKey): string => peerIdFromPrivateKey(key).toString()
