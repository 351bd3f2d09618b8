import { readFile, readdir, stat, utimes } from 'node:fs/promises'
import { join } from 'node:path'
import {
  equalBytes,
  fromHex,
  signImageList,
  verifyImageList,
  type Genesis,
  type ImageList,
  type ImageRef,
  type ImageSigners
} from '@pekka/node/protocol'
import { createVerifier, readSigner, systemClock } from '@pekka/node/host/crypto'
import { createImageStore, type ImageStore } from '@pekka/node/host/images'
import { ROOT } from '@pekka/node/setup/places'
import { replaceFile } from '../../host/files/index.js'
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
  // A fifth of a second of every start otherwise.
  if (before !== undefined && (await isNewer(file, DEFINITIONS))) return file
  const defined = await definedImages(
    createImageStore(
      { uv: async () => 'uv', log: { info: () => undefined, warn: () => undefined } },
      { home: places.home, definitions: DEFINITIONS }
    )
  )
  if (before !== undefined && defined.every(image => before.images.some(isSame(image)))) {
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
    images: mergeImages(before?.images ?? [], defined)
  }
  const signer = await readSigner(imageKey(places))
  await replaceFile(file, await signImageList(list, [signer]), { mode: 0o644 })
  return file
}

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

/** The images of before, in no order of time, and what is defined now; of each name no more than {@link KEPT_VERSIONS}. */
export function mergeImages(before: readonly ImageRef[], defined: readonly ImageRef[]): ImageRef[] {
  const all = [...before.filter(image => !defined.some(isSame(image))), ...defined]
  const inOrder = [...before, ...defined.filter(image => !before.some(isSame(image)))]
  // What is defined now is the last to go.
  const kept = (image: ImageRef): boolean => {
    const ofName = all.filter(({ name }) => name === image.name)
    return ofName.slice(-KEPT_VERSIONS).some(isSame(image))
  }
  return inOrder.filter(kept)
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
