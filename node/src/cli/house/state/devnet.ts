import { mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { replaceFile } from '../../../host/files/index.js'
import {
  accountId,
  decodeCanonical,
  encodeCanonical,
  equalBytes,
  genesisSchema,
  networkId,
  PekkaError,
  toHex,
  type Policy
} from '@pekka/node/protocol'
import { openVault } from '@pekka/node/agents/wallet'
import { random, systemClock } from '@pekka/node/host/crypto'
import { createDevnetGenesis } from '@pekka/node/ledger'
import { PROVIDERS } from '../constants.js'
import { imageKey, listImages } from './image-list.js'
import { makeKey } from './keys.js'
import { joinOutside, type Outside, type OutsideInit } from './outside.js'
import { folderOf, type HousePlaces } from './places.js'
import { committeeDevnet, witnessFiles, type WitnessFiles } from '../processes/witnesses.js'

/** What the processes of an embedded network have in common. */
export interface Devnet {
  /** Id of the network, hex: the hash of its genesis. */
  network: string
  /** File with the canonical bytes of the genesis. */
  genesis: string
  /** Who orders, of this home: one alone, or a committee; nobody where others keep the ledger. */
  witnesses: readonly WitnessFiles[]
  /** Addresses of the witnesses of a network that others keep; null: a practice network of this home's own. */
  outside: readonly string[] | null
  /** Key file of each provider's account. */
  providers: Readonly<Record<string, string>>
  /** File with the signed list of the network's images; undefined where its genesis, from before there were any, names nobody for it. */
  images: string | undefined
}

export interface DevnetInit {
  /** How many witnesses a network that is made now has; undefined: one, or as many as the one that is there has. */
  witnesses?: number | undefined
  /** A network that others keep: path of its genesis, and addresses of its witnesses. Said once, it holds for later starts. */
  outside?: OutsideInit | undefined
}

/**
 * The network of this home. The first start makes it: keys for its witnesses and the providers, and a genesis that gives the wallet's
 * account its practice credits and the providers what they bond.
 *
 * Throws where the genesis that is there belongs to another wallet: its credits would be out of reach; and where it has another number
 * of witnesses than was asked for: who orders is fixed with it.
 */
export async function openDevnet(
  places: HousePlaces,
  { witnesses: wanted, outside }: DevnetInit = {}
): Promise<Devnet> {
  const joined = await joinOutside(places, outside)
  if (joined !== null) {
    if (wanted !== undefined)
      throw new PekkaError('USAGE', {
        issue: 'Others keep the ledger of this network: --witnesses is for one of your own.'
      })
    return await openOutside(places, joined)
  }
  const genesis = join(places.devnet, 'genesis.cbor')
  const providers = Object.fromEntries(PROVIDERS.map(name => [name, join(folderOf(places, name), 'account.key')]))
  const vault = await openVault(places.home, random)
  const bytes = await readFile(genesis).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return create({
      ...{
        genesis,
        witnesses: witnessFiles(places, wanted ?? 1),
        providers: Object.values(providers),
        demo: vault.policy
      },
      images: imageKey(places)
    })
  })
  const content = genesisSchema.parse(decodeCanonical(new Uint8Array(bytes)))
  const own = vault.accountOn(networkId(content))
  // An account that the wallet took over later, as "pekka account use" does, was proved on this very network.
  const isGenesis = content.accounts.some(({ policy }) => equalBytes(accountId(policy), own))
  if (!isGenesis && !vault.knows(networkId(content)))
    throw new Error('The practice network belongs to another wallet. "pekka reset" makes one for this wallet.')
  const count = content.agreement === undefined ? 1 : content.witnesses.length
  if (wanted !== undefined && wanted !== count)
    throw new PekkaError('USAGE', {
      issue: `The practice network of this home has ${count} ${count === 1 ? 'witness' : 'witnesses'}. "pekka reset" removes it; the next start makes another.`
    })
  const network = toHex(networkId(content))
  const images = await listImages(places, content, network)
  return { network, genesis, witnesses: witnessFiles(places, count), outside: null, providers, images }
}

/** A network that others keep: its machines' accounts and its users' open themselves, or the genesis has them. */
async function openOutside(places: HousePlaces, { path, genesis, network, witnesses }: Outside): Promise<Devnet> {
  const providers = Object.fromEntries(PROVIDERS.map(name => [name, join(folderOf(places, name), 'account.key')]))
  await Promise.all(Object.values(providers).map(makeKey))
  const own = await makeKey(imageKey(places))
  const { images: signers } = genesis
  // Somebody else's list comes from them; the ledger's registry needs none.
  const lists = signers !== undefined && signers.threshold === 1 && signers.keys.some(key => equalBytes(key, own))
  const images = lists ? await listImages(places, genesis, network) : undefined
  return { network, genesis: path, witnesses: [], outside: witnesses, providers, images }
}

/** The genesis is written last: where it stands, all its keys do. */
async function create(init: {
  genesis: string
  witnesses: readonly WitnessFiles[]
  providers: string[]
  demo: Policy
  /** Key file of who lists the images. */
  images: string
}): Promise<Uint8Array> {
  const { witnesses } = init
  const [first] = witnesses
  if (first === undefined) throw new TypeError('a network has a witness')
  const providers = await Promise.all(init.providers.map(makeKey))
  const images = await makeKey(init.images)
  const base = createDevnetGenesis({
    createdAt: systemClock.now(),
    nonce: random.bytes(16),
    witness: await makeKey(first.blockKey),
    demo: init.demo,
    providers: providers.map(key => ({ threshold: 1, keys: [key] })),
    images: { threshold: 1, keys: [images] }
  })
  const bytes = encodeCanonical(witnesses.length === 1 ? base : await committeeDevnet(base, witnesses))
  await mkdir(dirname(init.genesis), { recursive: true, mode: 0o700 })
  await replaceFile(init.genesis, bytes)
  return bytes
}
