import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import {
  Http,
  LedgerImageRegistry,
  OwnerAccount,
  ProvenLedger,
  SignedImageRegistry,
  readNetwork,
  type Acted,
  type ImageStanding
} from '../../core/client/index.js'
import {
  PekkaError,
  accountId,
  decodeCanonical,
  equalBytes,
  fromHex,
  genesisSchema,
  isPekkaError,
  retireReasonSchema,
  type Body,
  type ImageContent,
  type ImageRef
} from '../../core/protocol/index.js'
import { createVerifier, readSigner, systemClock } from '../../host/crypto/index.js'
import type { ImageStore } from '../../host/images/index.js'
import { readId, report, withWallet } from '../account/signing.js'
import type { CliContext } from '../context.js'
import { imageKey } from '../house/state/image-list.js'
import { runningNetwork } from '../house/network.js'
import { housePlaces } from '../house/state/places.js'

/** `pekka image propose`, `approve`, `retire`: what registrars say on the ledger; and what the ledger says of images that are here. */

interface RegistrarOptions {
  key?: string
  account?: string
  out?: string
}

/** What a command needs of the images that are built here. */
export interface RegistryInit {
  store: () => ImageStore
  /** Where the definitions are. */
  definitions: string
}

const KEY = ['--key <file>', 'key file of a registrar; default: this practice network’s own, else the wallet'] as const
const ACCOUNT = ['--account <id>', 'the registrar’s account; default: the one that begins with that key'] as const
const OUT = ['--out <file>', 'where a transaction goes that others must sign too'] as const

/** Adds the registrars' commands to `pekka image`. */
export function registerRegistry(image: Command, context: CliContext, { store, definitions }: RegistryInit): void {
  const named =
    (kind: 'image-propose' | 'image-approve', done: string) => async (name: string, options: RegistrarOptions) => {
      const built = await contentOf(store(), definitions, name)
      await report(context, await asRegistrar(context, options, { kind, ...built }), done, options.out)
    }
  image
    .command('propose')
    .description('as a registrar: say on the ledger what an environment that is built here is')
    .argument('<name>', 'e.g. chemistry')
    .option(...KEY)
    .option(...ACCOUNT)
    .option(...OUT)
    .action(named('image-propose', 'Proposed. It is listed once enough registrars say the same.'))
  image
    .command('approve')
    .description('as a registrar: say the same of what you built yourself')
    .argument('<name>', 'e.g. chemistry')
    .option(...KEY)
    .option(...ACCOUNT)
    .option(...OUT)
    .action(named('image-approve', 'Approved. It is listed once enough registrars say the same.'))
  image
    .command('retire')
    .description('as a registrar: say that an environment isn’t to be used any more, for ever')
    .argument('<name>', 'the version that this checkout defines, or a whole digest')
    .requiredOption('--reason <text>', 'why, in a sentence: buyers read it')
    .option(...KEY)
    .option(...ACCOUNT)
    .option(...OUT)
    .action(async (name: string, options: RegistrarOptions & { reason: string }) => {
      const digest = /^[0-9a-f]{64}$/i.test(name) ? readId(name) : fromHex(await store().digest(name))
      const reason = retireReasonSchema.safeParse(options.reason)
      if (!reason.success) throw new PekkaError('USAGE', { issue: '--reason wants one line of up to 200 characters.' })
      const acted = await asRegistrar(context, options, { kind: 'image-retire', digest, reason: reason.data })
      await report(context, acted, 'Said. It is retired once enough registrars say so.', options.out)
    })
}

/** What was built here under the name, as registrars say it. @throws PekkaError IMAGE_NOT_BUILT, USAGE */
async function contentOf(
  store: ImageStore,
  definitions: string,
  name: string
): Promise<{ digest: Uint8Array; content: ImageContent }> {
  const tree = await store.get(name)
  if (tree === undefined) throw new PekkaError('IMAGE_NOT_BUILT', { image: name })
  if (tree.debianChanges.length > 0) {
    throw new PekkaError('USAGE', {
      issue: `${name} was built with other Debian packages than its lock names, so nobody else builds the same. Lock it anew first.`
    })
  }
  const locks = ['requirements.lock', 'debian.lock'].map(async file =>
    sha256(await readFile(join(definitions, name, file)))
  )
  const content = { name, contentDigest: fromHex(tree.contentDigest), locks: await Promise.all(locks) }
  return { digest: fromHex(tree.digest), content }
}

const sha256 = (bytes: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(bytes).digest())

/** Has a registrar say something: by a key file, or by this home's wallet. */
async function asRegistrar(context: CliContext, { key, account }: RegistrarOptions, body: Body): Promise<Acted> {
  const other = account === undefined ? null : readId(account)
  const file = key ?? imageKey(housePlaces(context.home, context.env))
  const signer = await readSigner(file).catch((error: unknown) => {
    if (key !== undefined)
      throw new PekkaError('USAGE', { issue: `No key can be read from ${file}.` }, { cause: error })
    return null
  })
  return await withWallet(context, async (wallet, bridge) => {
    const http = new Http({ fetch }, { base: bridge })
    const info = await readNetwork(http)
    const { images } = genesisSchema.parse(decodeCanonical(info.genesis))
    const listed = signer !== null && images?.keys.some(one => equalBytes(one, signer.publicKey)) === true
    // Another network's key may lie about from before.
    if (signer === null || (key === undefined && !listed)) return await wallet.act(body, other)
    const own = accountId({ threshold: 1, keys: [signer.publicKey] })
    const { network, bridge: bridgeKey } = info
    const owner = new OwnerAccount(
      { http, clock: systemClock, verifier: createVerifier() },
      { network, bridge: bridgeKey, account: other ?? own, signer }
    )
    await owner.ensure()
    return await owner.act(body)
  })
}

/** What the network that runs here says of images; null: none runs, or it can’t be asked. */
export async function standingsHere(context: CliContext, images: readonly ImageRef[]): Promise<ImageStanding[] | null> {
  const address = await runningNetwork(context).catch((error: unknown) => {
    if (isPekkaError(error) && error.code === 'USAGE') return null
    throw error
  })
  if (address === null) return null
  try {
    return await standingsAt(address.bridge, images)
  } catch (error) {
    if (!isPekkaError(error)) throw error
    // What is built here is of interest all the same.
    context.say(`The network could not be asked what it lists: ${error.message}`)
    return null
  }
}

async function standingsAt(bridge: string, images: readonly ImageRef[]): Promise<ImageStanding[]> {
  const http = new Http({ fetch }, { base: bridge })
  const { network } = await readNetwork(http)
  const verifier = createVerifier()
  // Neither the registry nor the list wants a token.
  const ledger = new ProvenLedger({ http, verifier, token: async () => '' }, network)
  const list = new SignedImageRegistry(
    { verifier, clock: systemClock, network: fresh => ledger.anchor(fresh) },
    network
  )
  return await new LedgerImageRegistry({ ledger, clock: systemClock, list }).standings(images)
}
