import { isPekkaError, toHex, type Clock, type ImageRef, type ImageRow } from '../../protocol/index.js'
import { imageSignersOf, type ImageRegistry, type ImageStanding } from './image-registry.js'
import type { ProvenLedger } from './proven-ledger.js'

export interface LedgerImagesComponents {
  ledger: Pick<ProvenLedger, 'anchor' | 'images'>
  clock: Clock
  /** Who is asked about digests that the ledger says nothing of. */
  list: ImageRegistry
}

/** What was read is good for this long, ms: a click needn't wait for it, and a retired image is noticed within minutes. The ledger refuses it at once. */
const GOOD_MS = 10 * 60_000
/** Older than this it is read again beside, ms. */
const FRESH_MS = 60_000
/** Digests that are remembered at most: machines may offer any number of their own making. */
const MAX_KNOWN = 1_024

interface Known {
  at: number
  row: ImageRow | null
}

/**
 * The ledger's registry of images, by proof: the bridge is believed nothing. What it approved is listed and what it retired is refused,
 * whatever a list says; where it says nothing (or nothing is decided), the signed list does.
 */
export class LedgerImageRegistry implements ImageRegistry {
  readonly #known = new Map<string, Known>()

  constructor(private readonly components: LedgerImagesComponents) {}

  async standings(images: readonly ImageRef[]): Promise<ImageStanding[]> {
    const { ledger, list } = this.components
    const { genesis } = await ledger.anchor()
    // Nobody registers images there; the list knows as much and needs no proof for it.
    if (imageSignersOf(genesis) === undefined) return await list.standings(images)
    const rows = await this.#rows(images)
    const open = images.filter((_, i) => !isDecided(rows[i]))
    const decided = images.map((image, i) => decisionOf(image, rows[i]))
    const listed =
      open.length === 0
        ? []
        : await list.standings(open).catch((error: unknown) => {
            // A network may do without a list; then who offers something else must not keep anybody from what the ledger lists.
            if (isPekkaError(error) && error.code === 'IMAGE_LIST_INVALID' && decided.includes('listed')) return []
            throw error
          })
    return images.map((image, i) => decided[i] ?? listed[open.indexOf(image)] ?? 'unlisted')
  }

  async #rows(images: readonly ImageRef[]): Promise<(ImageRow | null)[]> {
    const now = this.components.clock.now()
    const digests = new Map(images.map(({ digest }) => [toHex(digest), digest]))
    const older = (ms: number) => [...digests].filter(([id]) => now - (this.#known.get(id)?.at ?? -Infinity) > ms)
    const missing = older(GOOD_MS)
    const read = missing.length > 0 ? await this.#read(missing) : new Map<string, Known>()
    if (missing.length === 0) {
      const late = older(FRESH_MS)
      // What fails now is tried by the next who asks, and must not be good for ever.
      if (late.length > 0) this.#read(late).catch(() => undefined)
    }
    return images.map(({ digest }) => (read.get(toHex(digest)) ?? this.#known.get(toHex(digest)))?.row ?? null)
  }

  async #read(digests: readonly (readonly [string, Uint8Array])[]): Promise<Map<string, Known>> {
    const { ledger, clock } = this.components
    const at = clock.now()
    const rows = await ledger.images(digests.map(([, digest]) => digest))
    const read = new Map(digests.map(([id], i) => [id, { at, row: rows?.[i] ?? null }]))
    for (const [id, known] of read) {
      // The oldest goes first.
      this.#known.delete(id)
      this.#known.set(id, known)
    }
    for (const id of this.#known.keys()) {
      if (this.#known.size <= MAX_KNOWN) break
      this.#known.delete(id)
    }
    return read
  }
}

const isDecided = (row: ImageRow | null | undefined): boolean => row != null && row.state !== 'proposed'

/** What the ledger decided of a digest under a name; undefined: nothing. */
function decisionOf({ name }: ImageRef, row: ImageRow | null | undefined): ImageStanding | undefined {
  if (row == null || row.state === 'proposed') return undefined
  if (row.retired !== null) return { retired: row.retired.reason }
  // It stands for another name, and for no other.
  return row.record?.content.name === name ? 'listed' : 'unlisted'
}
