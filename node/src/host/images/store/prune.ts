import { openSync } from 'node:fs'
import { readdir, readFile, readlink, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { randomUUID } from 'node:crypto'
import { leftoverPrefix, listTrees, type BuiltTree } from '../build/tree.js'

/**
 * What the next build of an image does with a tree: it keeps that of the definition as it is now, the newest of an older one (so that
 * going back one step costs nothing) and those that a process uses; it removes the rest.
 */
export type Standing = 'current' | 'previous' | 'in-use' | 'removable'

/** One descriptor per tree that this process was handed. */
const held = new Map<string, number>()

/**
 * Marks a tree as used by this process until the process ends, however it ends: an open descriptor is the mark, so that nothing needs to
 * be cleaned up. Sandboxes need no mark, their mounts tell.
 */
export function holdTree(tree: BuiltTree): void {
  if (!held.has(tree.root)) held.set(tree.root, openSync(join(tree.root, '../image.json'), 'r'))
}

/** The standing of all trees of one image. `trees`: the newest first. */
export async function standingsOf(
  trees: readonly BuiltTree[],
  currentDigest: string | undefined
): Promise<{ tree: BuiltTree; standing: Standing }[]> {
  const older = trees.filter(tree => tree.digest !== currentDigest)
  const used = older.length > 1 ? await treesInUse(older) : new Set<BuiltTree>()
  return trees.map(tree => {
    if (tree.digest === currentDigest) return { tree, standing: 'current' }
    if (tree === older[0]) return { tree, standing: 'previous' }
    return { tree, standing: used.has(tree) ? 'in-use' : 'removable' }
  })
}

/** Removes what is removable of an image, and returns it. Safe beside other builds: each tree goes with one rename. */
export async function pruneTrees(images: string, name: string, currentDigest: string): Promise<BuiltTree[]> {
  const trees = (await listTrees(images)).filter(tree => tree.name === name)
  const standings = await standingsOf(trees, currentDigest)
  const removed: BuiltTree[] = []
  for (const { tree, standing } of standings) {
    if (standing !== 'removable') continue
    // The name of a leftover: if this process is killed now, the next build removes it.
    const aside = join(images, `${leftoverPrefix(name)}${randomUUID()}`)
    const isOurs = await rename(dirname(tree.root), aside).then(
      () => true,
      () => false
    )
    if (!isOurs) continue
    await rm(aside, { recursive: true, force: true })
    removed.push(tree)
  }
  return removed
}

/**
 * The trees that some process has open, stands in, or has mounted. Processes that we may not look into belong to other users, whose
 * home this isn't.
 */
async function treesInUse(trees: readonly BuiltTree[]): Promise<Set<BuiltTree>> {
  const used = new Set<BuiltTree>()
  const marks = trees.map(tree => ({
    tree,
    folder: dirname(tree.root),
    mount: `/${basename(dirname(tree.root))}/root`
  }))
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue
    const links = await linksOf(`/proc/${pid}`)
    // Of a bind mount the fourth field names what is bound, as a path in its own file system.
    const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')
    for (const { tree, folder, mount } of marks) {
      if (mounts.includes(mount) || links.some(link => link.startsWith(`${folder}/`))) used.add(tree)
    }
  }
  return used
}

async function linksOf(process: string): Promise<string[]> {
  const descriptors = await readdir(`${process}/fd`).catch(() => [])
  const paths = [`${process}/cwd`, `${process}/root`, ...descriptors.map(one => `${process}/fd/${one}`)]
  return Promise.all(paths.map(path => readlink(path).catch(() => '')))
}
