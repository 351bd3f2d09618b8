import { readFile, readdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import {
  equalBytes,
  fromHex,
  signImageList,
  toHex,
  verifyImageList,
  type Genesis,
  type ImageList,
  type ImageRef,
  type ImageSigners
} from '@pekka/node/protocol'
import { createVerifier, readSigner, systemClock } from '@pekka/node/host/crypto'
import { createImageStore, type ImageStore } from '@pekka/node/host/images'
import { ROOT } from '@pekka/node/setup/places'
import { replaceFile } from '../../../host/files/index.js'
import type { HousePlaces } from './places.js'

/** Versions of one image that stay listed: a machine that joined may be some releases behind. */
const KEPT_VERSIONS = 8

const DEFINITIONS = join(ROOT, 'sandbox-images')

/** Key file of who lists the images of an embedded network: its genesis names the public half. */
export const imageKey = (places: HousePlaces): string => join(places.devnet, 'images.key')

/**
 * Signs the list of the embedded network's images anew where this checkout defines others than it has: what a definition will be is known before
 * anything is built. Returns the list's file for the bridge; undefined where the genesis names nobody who lists images.
 */
export async function listImages(places: HousePlaces, genesis: Genesis, network: string): Promise<string | undefined> {
  if (genesis.images === undefined) return undefined
  const file = join(places.devnet, 'images.cbor')
  const trust = { network: fromHex(network), signers: genesis.images }
  const before = await readList(file, trust)
  const beside = await readBeside(places)
  // A fifth of a second of every start otherwise. Another checkout's definitions may be older than the list and still not be on it.
  if (before !== undefined && beside.definitions === DEFINITIONS && (await isNewer(file, DEFINITIONS))) return file
  const defined = await definedImages(
    createImageStore(
      { uv: async () => 'uv', log: { info: () => undefined, warn: () => undefined } },
      { home: places.home, definitions: DEFINITIONS }
    )
  )
  const images = mergeImages(inOrderOf(beside.order, before?.images ?? []), defined)
  const note: Beside = { definitions: DEFINITIONS, order: images.map(nameOf) }
  if (before !== undefined && defined.every(image => before.images.some(isSame(image)))) {
    await writeBeside(places, note)
    const now = systemClock.now() / 1000
    await utimes(file, now, now)
    return file
  }
  const list: ImageList = {
    kind: 'pekka/image-list',
    v: 1,
    network: trust.network,
    // Never before the last one, whatever the clock says.
    madeAt: Math.max(systemClock.now(), (before?.madeAt ?? 0) + 1),
    images
  }
  const signer = await readSigner(imageKey(places))
  await replaceFile(file, await signImageList(list, [signer]), { mode: 0o644 })
  await writeBeside(places, note)
  return file
}

/** What stands beside the list, unsigned, for whoever makes the next one: nobody else reads it. */
const besideSchema = z.object({
  /** Whose definitions were looked at last. */
  definitions: z.string(),
  /** The images of the list, those that were defined longest ago first; the list itself is sorted by digest. */
  order: z.array(z.string())
})
type Beside = z.infer<typeof besideSchema>

const besideFile = (places: HousePlaces): string => join(places.devnet, 'images.json')

/** Nothing known where there is none, as in a home from before, or none that can be read: then all is looked at anew. */
async function readBeside(places: HousePlaces): Promise<Beside> {
  try {
    return besideSchema.parse(JSON.parse(await readFile(besideFile(places), 'utf8')))
  } catch {
    return { definitions: '', order: [] }
  }
}

const writeBeside = (places: HousePlaces, beside: Beside): Promise<void> =>
  replaceFile(besideFile(places), `${JSON.stringify(beside)}\n`, { mode: 0o644 })

const nameOf = ({ name, digest }: ImageRef): string => `${name} ${toHex(digest)}`

/** Images by time, as noted beside the list. Those that aren't noted come last: the list was signed and its note not written. */
export const inOrderOf = (order: readonly string[], images: readonly ImageRef[]): ImageRef[] =>
  images
    .map(image => ({ image, place: order.indexOf(nameOf(image)) }))
    .map(({ image, place }) => ({ image, place: place < 0 ? order.length : place }))
    .sort((a, b) => a.place - b.place)
    .map(({ image }) => image)

/** Whether a file was written after everything in a folder was put there. */
async function isNewer(file: string, folder: string): Promise<boolean> {
  const { mtimeMs } = await stat(file)
  const entries = await readdir(folder, { recursive: true })
  // `ctime`: a file that was moved or copied here keeps its time of writing.
  const times = await Promise.all(entries.map(async entry => (await stat(join(folder, entry))).ctimeMs))
  return times.every(time => time < mtimeMs)
}

async function definedImages(store: ImageStore): Promise<ImageRef[]> {
  const names = await store.names()
  return await Promise.all(names.map(async name => ({ name, digest: fromHex(await store.digest(name)) })))
}

const isSame = (a: ImageRef) => (b: ImageRef) => a.name === b.name && equalBytes(a.digest, b.digest)

/** The images of before, oldest first, and what is defined now at their end; of each name no more than {@link KEPT_VERSIONS}. */
export function mergeImages(before: readonly ImageRef[], defined: readonly ImageRef[]): ImageRef[] {
  const all = [...before.filter(image => !defined.some(isSame(image))), ...defined]
  // What is defined now is the last to go.
  const kept = (image: ImageRef): boolean => {
    const ofName = all.filter(({ name }) => name === image.name)
    return ofName.slice(-KEPT_VERSIONS).some(isSame(image))
  }
  return all.filter(kept)
}

/** What the last start signed; undefined where there is none, or none that holds: then it is made anew. */
async function readList(
  file: string,
  trust: { network: Uint8Array; signers: ImageSigners }
): Promise<ImageList | undefined> {
  try {
    return await verifyImageList(new Uint8Array(await readFile(file)), trust, createVerifier())
  } catch {
    return undefined
  }
}
