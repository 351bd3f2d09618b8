import {
  PekkaError,
  decodeCanonical,
  equalBytes,
  genesisSchema,
  verifyImageList,
  type Clock,
  type ImageList,
  type ImageRef,
  type ImageSigners,
  type Verifier
} from '../../protocol/index.js'
import type { VerifiedAsk } from '../market.js'

/**
 * What a network says of an image: `listed` under its name by those whom the genesis names; `unlisted`: by nobody; `open`: this
 * network's genesis names nobody who would list images, so every digest passes; `retired`: not to be used any more, and why.
 */
export type ImageStanding = 'listed' | 'unlisted' | 'open' | { retired: string }

/** Whether a digest may stand for a name: by the ledger's registry ({@link LedgerImageRegistry}), or by the signed list. */
export interface ImageRegistry {
  /** In the order of `images`. @throws PekkaError IMAGE_LIST_INVALID, PROOF_INVALID, PROOF_MISSING, BRIDGE_UNREACHABLE */
  standings(images: readonly ImageRef[]): Promise<ImageStanding[]>
}

export interface SignedImageListComponents {
  verifier: Verifier
  clock: Clock
  /** The genesis, checked against the network's id, and the list as the bridge shows it; `fresh`: asked for anew. */
  network: (fresh: boolean) => Promise<{ genesis: Uint8Array; images: Uint8Array | null }>
}

/** A digest that isn't known is asked for again after this, ms: a list changes with releases. */
const PATIENCE_MS = 30_000

interface Known {
  /** When it was asked for anew; −∞: it was at hand. */
  at: number
  /** Undefined: the network's genesis names nobody who lists images. */
  list: ImageList | undefined
}

/**
 * The list of images that a network's own people signed. The bridge hands it on and is believed nothing: the keys stand in the genesis,
 * whose hash is the network's id, which came with the pairing.
 */
export class SignedImageRegistry implements ImageRegistry {
  #known: Promise<Known> | null = null
  #failed = false
  /** When the newest list that was seen was made: an older one is refused from then on. */
  #newest = 0

  constructor(
    private readonly components: SignedImageListComponents,
    private readonly network: Uint8Array
  ) {}

  async standings(images: readonly ImageRef[]): Promise<ImageStanding[]> {
    const standings: ImageStanding[] = []
    for (const image of images) standings.push(await this.standing(image))
    return standings
  }

  /** @throws PekkaError IMAGE_LIST_INVALID, PROOF_INVALID, BRIDGE_UNREACHABLE */
  async standing(image: ImageRef): Promise<'listed' | 'unlisted' | 'open'> {
    const known = await this.#read(false)
    if (known.list === undefined) return 'open'
    if (has(known.list, image)) return 'listed'
    if (this.components.clock.now() - known.at < PATIENCE_MS) return 'unlisted'
    const { list } = await this.#read(true)
    return list !== undefined && has(list, image) ? 'listed' : 'unlisted'
  }

  #read(fresh: boolean): Promise<Known> {
    if (this.#known !== null && !fresh) return this.#known
    const reading = this.#fetch(fresh || this.#failed)
    this.#known = reading
    this.#failed = false
    // What failed is tried again by the next who asks, with what the bridge shows then.
    reading.catch(() => {
      if (this.#known !== reading) return
      this.#known = null
      this.#failed = true
    })
    return reading
  }

  async #fetch(fresh: boolean): Promise<Known> {
    const { verifier, clock, network } = this.components
    const { genesis, images } = await network(fresh)
    // What was known already may be of any age.
    const at = fresh ? clock.now() : -Infinity
    const signers = imageSignersOf(genesis)
    if (signers === undefined) return { at, list: undefined }
    if (images === null) throw new PekkaError('IMAGE_LIST_INVALID', { issue: 'it shows none' })
    const list = await verifyImageList(images, { network: this.network, signers }, verifier)
    if (list.madeAt < this.#newest)
      throw new PekkaError('IMAGE_LIST_INVALID', { issue: 'it is older than what was shown before' })
    this.#newest = list.madeAt
    return { at, list }
  }
}

const has = ({ images }: ImageList, { name, digest }: ImageRef): boolean =>
  images.some(image => image.name === name && equalBytes(image.digest, digest))

/** Who lists the images of a network, as its checked genesis says; undefined: nobody does. */
export const imageSignersOf = (genesis: Uint8Array): ImageSigners | undefined =>
  genesisSchema.parse(decodeCanonical(genesis)).images

/**
 * Those of the asks whose image may be used under the wanted name; asks of other images stay as they are. Nothing is ever sealed for a
 * machine that offers something else under a known name.
 * @throws PekkaError IMAGE_RETIRED, IMAGE_UNLISTED: machines offer it, none as it is listed; what the registry throws
 */
export async function listedAsks(
  registry: ImageRegistry,
  asks: readonly VerifiedAsk[],
  image: string
): Promise<VerifiedAsk[]> {
  const wanted = asks.filter(({ ask }) => ask.image.name === image)
  const standings = await registry.standings(wanted.map(({ ask }) => ask.image))
  const refused = new Set(wanted.filter((_, i) => standings[i] !== 'listed' && standings[i] !== 'open'))
  if (refused.size === 0 || refused.size < wanted.length) return asks.filter(one => !refused.has(one))
  const retired = standings.find(standing => typeof standing === 'object')
  if (retired !== undefined) throw new PekkaError('IMAGE_RETIRED', { image, reason: retired.retired })
  throw new PekkaError('IMAGE_UNLISTED', { image })
}
