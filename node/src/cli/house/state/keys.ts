import { random, readSigner, writeSigner } from '@pekka/node/host/crypto'

/** The public key in a key file, which is made where there is none; one that an interrupted start left is kept. */
export async function makeKey(path: string): Promise<Uint8Array> {
  const there = await readSigner(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  return (there ?? (await writeSigner(path, random.bytes(32)))).publicKey
}
