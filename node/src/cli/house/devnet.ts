import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { replaceFile } from '../../host/files/index.js'
import {
  accountId,
  decodeCanonical,
  encodeCanonical,
  equalBytes,
  genesisSchema,
  networkId,
  toHex,
  type Policy
} from '@pekka/node/protocol'
import { openVault } from '@pekka/node/agents/wallet'
import { random, readSigner, systemClock, writeSigner } from '@pekka/node/host/crypto'
import { createDevnetGenesis } from '@pekka/node/ledger'
import { PROVIDERS } from './constants.js'
import { imageKey, listImages } from './image-list.js'
import { folderOf, type HousePlaces } from './places.js'

/** What the processes of an embedded network have in common. */
export interface Devnet {
  /** Id of the network, hex: the hash of its genesis. */
  network: string
  /** File with the canonical bytes of the genesis. */
  genesis: string
  /** Key file of the witness's blocks. */
  blockKey: string
  /** Key file of each provider's account. */
  providers: Readonly<Record<string, string>>
  /** File with the signed list of the network's images; undefined where its genesis, from before there were any, names nobody for it. */
  images: string | undefined
}

/**
 * The network of this home. The first start makes it: keys for the witness and the providers, and a genesis that gives the wallet's
 * account its practice credits and the providers what they bond.
 *
 * Throws where the genesis that is there belongs to another wallet: its credits would be out of reach.
 */
export async function openDevnet(places: HousePlaces): Promise<Devnet> {
  const genesis = join(places.devnet, 'genesis.cbor')
  const blockKey = join(folderOf(places, 'witness'), 'block.key')
  const providers = Object.fromEntries(PROVIDERS.map(name => [name, join(folderOf(places, name), 'account.key')]))
  const vault = await openVault(places.home, random)
  const bytes = await readFile(genesis).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return create({
      ...{ genesis, blockKey, providers: Object.values(providers), demo: vault.policy },
      images: imageKey(places)
    })
  })
  const content = genesisSchema.parse(decodeCanonical(new Uint8Array(bytes)))
  if (!content.accounts.some(({ policy }) => equalBytes(accountId(policy), vault.account)))
    throw new Error('The practice network belongs to another wallet. "pekka reset" makes one for this wallet.')
  const network = toHex(networkId(content))
  const images = await listImages(places, content, network)
  return { network, genesis, blockKey, providers, images }
}

/** The genesis is written last: where it stands, all its keys do. */
async function create(init: {
  genesis: string
  blockKey: string
  providers: string[]
  demo: Policy
  /** Key file of who lists the images. */
  images: string
}): Promise<Uint8Array> {
  const witness = await makeKey(init.blockKey)
  const providers = await Promise.all(init.providers.map(makeKey))
  const images = await makeKey(init.images)
  const bytes = encodeCanonical(
    createDevnetGenesis({
      createdAt: systemClock.now(),
      nonce: random.bytes(16),
      witness,
      demo: init.demo,
      providers: providers.map(key => ({ threshold: 1, keys: [key] })),
      images: { threshold: 1, keys: [images] }
    })
  )
  await mkdir(dirname(init.genesis), { recursive: true, mode: 0o700 })
  await replaceFile(init.genesis, bytes)
  return bytes
}

/** The public key in a key file; one that an interrupted start left is kept. */
async function makeKey(path: string): Promise<Uint8Array> {
  const there = await readSigner(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  return (there ?? (await writeSigner(path, random.bytes(32)))).publicKey
}
