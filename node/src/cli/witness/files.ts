import { readFile } from 'node:fs/promises'
import {
  decodeCanonical,
  genesisSchema,
  networkId,
  PekkaError,
  toHex,
  type Genesis
} from '../../core/protocol/index.js'

/** Largest genesis that is read, bytes: ten thousand accounts and a hundred witnesses take 1 MiB. */
const MAX_GENESIS_BYTES = 8 << 20

/** @throws PekkaError USAGE */
export const readText = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((cause: unknown) => {
    throw new PekkaError('USAGE', { issue: `The file can’t be read: ${path}.` }, { cause })
  })

export interface GenesisFile {
  bytes: Uint8Array
  genesis: Genesis
  /** Id of the network, hex. */
  network: string
}

/** @throws PekkaError USAGE: it isn't there, or no genesis */
export async function readGenesis(path: string): Promise<GenesisFile> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new PekkaError('USAGE', { issue: `The genesis can’t be read: ${path}.` }, { cause })
  })
  try {
    if (bytes.length > MAX_GENESIS_BYTES) throw new TypeError('too large')
    const plain = new Uint8Array(bytes)
    const genesis = genesisSchema.parse(decodeCanonical(plain))
    return { bytes: plain, genesis, network: toHex(networkId(genesis)) }
  } catch (cause) {
    throw new PekkaError(
      'USAGE',
      { issue: `${path} is no genesis of this version, as "pekka witness genesis" writes it.` },
      { cause }
    )
  }
}
