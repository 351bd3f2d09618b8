import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { DIGEST_DIGITS, IMAGE_FORMAT } from '../constants.js'

const digest = z.string().regex(/^[0-9a-f]{64}$/)
const packages = z.array(z.object({ name: z.string(), version: z.string() }))

/** image.json beside a built tree. */
export const treeRecordSchema = z.strictObject({
  format: z.literal(IMAGE_FORMAT),
  name: z.string(),
  digest,
  contentDigest: digest,
  files: z.int(),
  bytes: z.int(),
  pythonVersion: z.string(),
  packages,
  debian: packages,
  debianChanges: z.array(z.object({ name: z.string(), locked: z.string().nullable(), taken: z.string().nullable() })),
  preload: z.array(z.string()),
  environment: z.record(z.string(), z.string()),
  /** Digest of what it took from registries: another definition with an equal one is built from this tree. */
  packagesDigest: digest.optional(),
  /** Whether the packages that it and what it extends ask for were imported in the build: not where bubblewrap can't be used. */
  imported: z.boolean().optional(),
  /** Which packages those were, and under which start-up and environment: what is made of this tree needn't import them again. */
  imports: z.object({ under: digest, packages: z.array(z.string()) }).optional(),
  /** The image that it was built on. */
  extends: z.string().optional(),
  builtAt: z.iso.datetime()
})

export type TreeRecord = z.infer<typeof treeRecordSchema>

/** A tree that stands on this machine, with its root folder. */
export type BuiltTree = TreeRecord & { root: string }

/** How folders of an image begin that don't count: a build under way or interrupted, a tree that is being removed. */
export const leftoverPrefix = (name: string): string => `.building-${name}.`

/** Folder of a built tree below `<home>/images`. */
export const treeFolder = (name: string, imageDigest: string): string =>
  `${name}-${imageDigest.slice(0, DIGEST_DIGITS)}`

/** Reads what stands beside a tree. Undefined where there is none, or of another format: it doesn't count as built then. */
export async function readTree(folder: string): Promise<BuiltTree | undefined> {
  const text = await readFile(join(folder, 'image.json'), 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  try {
    return { ...treeRecordSchema.parse(JSON.parse(text)), root: join(folder, 'root') }
  } catch {
    return undefined
  }
}

/** All built trees below `<home>/images`, by name, the newest first. */
export async function listTrees(images: string): Promise<BuiltTree[]> {
  const names = await readdir(images).catch(() => [])
  const trees = await Promise.all(names.filter(name => !name.startsWith('.')).map(name => readTree(join(images, name))))
  const key = (tree: TreeRecord): string => `${tree.name} `
  return trees
    .filter(tree => tree !== undefined)
    .sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : a.builtAt < b.builtAt ? 1 : -1))
}
