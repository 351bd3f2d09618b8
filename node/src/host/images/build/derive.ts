import { readdir, rename } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { CommandError, runCommand, type CommandOptions } from './process.js'

/**
 * Copies a tree by hard links, so that what two images have in common is on disk once. Nothing may write into a file of the copy from then
 * on, only replace it: the bytes belong to the other tree as well. Where the file system has no hard links the files are copied.
 *
 * Throws `CommandError`.
 *
 * @param to must not exist
 */
export async function linkTree(from: string, to: string, options: CommandOptions): Promise<void> {
  const copy = (...how: string[]): Promise<void> =>
    runCommand('cp', ['--archive', ...how, '--no-target-directory', from, to], options)
  try {
    await copy('--link')
  } catch (error) {
    if (!(error instanceof CommandError)) throw error
    options.onLine?.(`no hard links: ${error.message}; the files are copied`)
    await copy('--reflink=auto', '--force')
  }
}

/**
 * Moves all that is in `from` into `to`. What `to` has already stays and is not replaced: packages that an image adds never change
 * those of the image it extends. Resolves with the paths below `to` that were left out so, sorted.
 */
export async function mergeInto(from: string, to: string): Promise<string[]> {
  const left: string[] = []
  const walk = async (source: string, target: string): Promise<void> => {
    const there = new Map((await readdir(target, { withFileTypes: true })).map(entry => [entry.name, entry]))
    for (const entry of await readdir(source, { withFileTypes: true })) {
      const [path, place] = [join(source, entry.name), join(target, entry.name)]
      const present = there.get(entry.name)
      if (present === undefined) await rename(path, place)
      else if (present.isDirectory() && entry.isDirectory()) await walk(path, place)
      else left.push(relative(to, place))
    }
  }
  await walk(from, to)
  return left.sort()
}
