import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { replaceFile } from '../../files/index.js'
import { z } from 'zod'
import { PekkaError, encodeCanonical, fromHex, taggedHash, toHex } from '@pekka/node/protocol'
import { random, readSigner, verifyNow, writeSigner } from '@pekka/node/host/crypto'
import { withFileLock } from './file-lock.js'
import type { TreeRecord } from '../build/tree.js'

const hex32 = z.string().regex(/^[0-9a-f]{64}$/)

/** What the list says of one image: which content stands for its digest. */
const recordSchema = z.strictObject({ name: z.string(), digest: hex32, contentDigest: hex32 })
export type RegistryRecord = z.infer<typeof recordSchema>

const registrySchema = z.strictObject({
  format: z.literal(1),
  records: z.array(recordSchema),
  /** Who signed it: an ed25519 key, hex. */
  key: hex32,
  /** Over the hash of the records, hex. */
  signature: z.string().regex(/^[0-9a-f]{128}$/)
})

/** What of a tree is on the list. */
type Listed = Pick<TreeRecord, 'name' | 'digest' | 'contentDigest'>

const hashOf = (records: readonly RegistryRecord[]): Uint8Array =>
  taggedHash('pekka/image-registry/1', encodeCanonical({ records: records.map(one => ({ ...one })) }))

/**
 * The signed list of images that may be used: until the ledger's contract has it, each home keeps its own, signed by a key of its own at
 * every build. A tree that is on disk but not on the list, or has another content than the list says, is not used.
 *
 * It tells a tree that this home built from one that got there otherwise or was mixed up. It is no protection from whoever may write into
 * the home: they have the key as well.
 */
export class ImageRegistry {
  private readonly file: string
  private readonly keyFile: string
  /** Public half of the key: whoever may read the images may check the list. */
  private readonly publicFile: string

  /** @param images the folder `<home>/images` */
  constructor(private readonly images: string) {
    this.file = join(images, 'registry.json')
    this.keyFile = join(images, 'registry.key')
    this.publicFile = join(images, 'registry.pub')
  }

  /**
   * Throws IMAGE_NOT_REGISTERED where the list doesn't have the tree with this content, or its signature doesn't hold. A home without a
   * list, from before there were any, passes.
   */
  async check(tree: Listed): Promise<void> {
    const text = await readText(this.file)
    if (text === undefined) return
    const issue = await this.verified(text).then(
      records => issueOf(records, tree),
      (error: unknown) => (error instanceof Error ? error.message : String(error))
    )
    if (issue !== undefined) throw new PekkaError('IMAGE_NOT_REGISTERED', { image: tree.name, issue })
  }

  /** Whether the list, where it holds, has the digest of the tree with another content: the tree isn't what was built. */
  async contradicts(tree: Listed): Promise<boolean> {
    const text = await readText(this.file)
    const records = text === undefined ? [] : await this.verified(text).catch(() => [])
    return records.some(one => one.digest === tree.digest && one.contentDigest !== tree.contentDigest)
  }

  /** Puts a tree on the list, in place of what it said of the same digest, and signs it. Safe beside other builds. */
  async add({ name, digest, contentDigest }: Listed): Promise<void> {
    await withFileLock(join(this.images, '.registry.lock'), {}, async () => {
      const text = await readText(this.file)
      // A list that doesn't hold any more is begun anew: what else is here is built or registered again by its next build.
      const before = text === undefined ? [] : await this.verified(text).catch(() => [])
      const others = before.filter(one => one.digest !== digest)
      const records = [...others, { name, digest, contentDigest }].sort((a, b) => (a.digest < b.digest ? -1 : 1))
      const signer = await readSigner(this.keyFile).catch(async (error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error
        return await writeSigner(this.keyFile, random.bytes(32))
      })
      await writeFile(this.publicFile, `${toHex(signer.publicKey)}\n`)
      const signature = toHex(await signer.sign(hashOf(records)))
      const content = { format: 1, records, key: toHex(signer.publicKey), signature }
      await replaceFile(this.file, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o644 })
    })
  }

  private async verified(text: string): Promise<RegistryRecord[]> {
    const { records, key, signature } = registrySchema.parse(JSON.parse(text))
    if (key !== (await readFile(this.publicFile, 'utf8')).trim()) throw new Error('the list is signed by another key')
    if (!verifyNow(fromHex(key), hashOf(records), fromHex(signature))) throw new Error('the signature does not hold')
    return records
  }
}

function issueOf(records: readonly RegistryRecord[], tree: Listed): string | undefined {
  const record = records.find(one => one.name === tree.name && one.digest === tree.digest)
  if (record === undefined) return 'the list of images does not have it'
  return record.contentDigest === tree.contentDigest ? undefined : 'the list of images has another content'
}

const readText = (file: string): Promise<string | undefined> =>
  readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
