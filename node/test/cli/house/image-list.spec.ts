import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createVerifier, readSigner, systemClock } from '@pekka/node/host/crypto'
import { createImageStore } from '@pekka/node/host/images'
import {
  decodeCanonical,
  fromHex,
  genesisSchema,
  signImageList,
  toHex,
  verifyImageList,
  type ImageList,
  type ImageRef
} from '@pekka/node/protocol'
import { openDevnet, type Devnet } from '../../../src/cli/house/state/devnet.js'
import { imageKey, inOrderOf, mergeImages } from '../../../src/cli/house/state/image-list.js'
import { housePlaces } from '../../../src/cli/house/state/places.js'

const image = (name: string, fill: number): ImageRef => ({ name, digest: new Uint8Array(32).fill(fill) })

describe('the list of images of an embedded network', () => {
  let home: string
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-images-'))
  })
  afterEach(() => rm(home, { recursive: true, force: true }))

  /** As a client checks it: with the keys that the genesis names. */
  async function checked({ genesis, images, network }: Devnet): Promise<ImageList> {
    const { images: signers } = genesisSchema.parse(decodeCanonical(new Uint8Array(await readFile(genesis))))
    assert.ok(signers && images)
    return await verifyImageList(
      new Uint8Array(await readFile(images)),
      { network: fromHex(network), signers },
      createVerifier()
    )
  }

  it('is signed at its first start by the key that its genesis names, and has what this checkout defines', async () => {
    const devnet = await openDevnet(housePlaces(home, {}))
    const list = await checked(devnet)
    const log = { info: () => undefined, warn: () => undefined }
    const definitions = join(import.meta.dirname, '../../../../sandbox-images')
    const store = createImageStore({ uv: async () => 'uv', log }, { home, definitions })
    const defined = await Promise.all((await store.names()).map(async name => `${name} ${await store.digest(name)}`))
    assert.deepEqual(list.images.map(({ name, digest }) => `${name} ${toHex(digest)}`).sort(), defined.sort())
  })

  it('stays as it is while nothing changes, and is made anew where it doesn’t hold', async () => {
    const places = housePlaces(home, {})
    const first = await openDevnet(places)
    const { madeAt } = await checked(first)
    assert.equal((await checked(await openDevnet(places))).madeAt, madeAt)
    // As after an update of the checkout: what it defines is looked at again, and is still the same.
    await utimes(first.images ?? '', 0, 0)
    assert.equal((await checked(await openDevnet(places))).madeAt, madeAt)
    assert.notEqual((await stat(first.images ?? '')).mtimeMs, 0)
    await writeFile(first.images ?? '', 'broken')
    const again = await checked(await openDevnet(places))
    assert.equal(again.images.length > 0, true)
  })

  it('is looked at anew where another checkout of the same home made it, however new it is', async () => {
    const places = housePlaces(home, {})
    const devnet = await openDevnet(places)
    const list = await checked(devnet)
    const less = { ...list, madeAt: systemClock.now(), images: [image('base', 1)] }
    await writeFile(devnet.images ?? '', await signImageList(less, [await readSigner(imageKey(places))]))
    assert.equal((await checked(await openDevnet(places))).images.length, 1, 'its own isn’t looked at again')
    const note = join(places.devnet, 'images.json')
    await writeFile(note, JSON.stringify({ definitions: '/elsewhere', order: [] }))
    const again = await checked(await openDevnet(places))
    assert.equal(again.images.length, list.images.length + 1)
    // And is noted: the version of before is the oldest.
    const { order } = JSON.parse(await readFile(note, 'utf8')) as { order: string[] }
    assert.equal(order.length, again.images.length)
    assert.equal(order[0], `base ${toHex(image('base', 1).digest)}`)
  })

  it('drops the version that was defined longest ago, though the list itself is sorted by digest', async () => {
    const places = housePlaces(home, {})
    const devnet = await openDevnet(places)
    const list = await checked(devnet)
    const signer = await readSigner(imageKey(places))
    let images: ImageRef[] = []
    let order: string[] = []
    // Each version's digest is below that of the one before.
    for (let fill = 20; fill > 10; fill--) {
      const merged = mergeImages(inOrderOf(order, images), [image('base', fill)])
      order = merged.map(({ name, digest }) => `${name} ${toHex(digest)}`)
      await writeFile(devnet.images ?? '', await signImageList({ ...list, images: merged }, [signer]))
      images = (await checked(devnet)).images
    }
    assert.deepEqual(
      images.map(({ digest }) => digest[0]),
      [11, 12, 13, 14, 15, 16, 17, 18]
    )
    // One whose note wasn't written is the newest.
    assert.deepEqual(inOrderOf([order[7] ?? ''], images)[0]?.digest[0], 11)
  })

  it('keeps versions of before, of each image no more than eight', () => {
    const [one, two] = [image('base', 1), image('base', 2)]
    assert.deepEqual(mergeImages([one], [two]), [one, two])
    assert.deepEqual(mergeImages([one, two], [two]), [one, two])
    const many = Array.from({ length: 8 }, (_, i) => image('base', i + 1))
    const other = image('biology', 1)
    assert.deepEqual(mergeImages([...many, other], [image('base', 99)]), [...many.slice(1), other, image('base', 99)])
  })
})
