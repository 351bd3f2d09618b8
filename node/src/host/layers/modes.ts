import { chmod } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { eachOf } from './concurrency.js'
import type { SiteFile } from './wheel.js'

/** Whether this process makes files that others can't read. */
const isSecretive = (): boolean => (process.umask() & 0o055) !== 0

/** Folders between `folder` and its files, `folder` too. */
const foldersOf = (folder: string, paths: readonly string[]): string[] => {
  const found = new Set([folder])
  for (const path of paths) for (let at = dirname(path); at !== '.'; at = dirname(at)) found.add(join(folder, at))
  return [...found]
}

/** A sandbox's user is another one: it must be able to read whatever the umask is here. */
export async function openFolders(folder: string, paths: readonly string[]): Promise<void> {
  if (isSecretive()) await eachOf(foldersOf(folder, paths), each => chmod(each, 0o755))
}

/** As {@link openFolders}, and the files. */
export async function openFiles(folder: string, files: readonly SiteFile[]): Promise<void> {
  if (!isSecretive()) return
  await openFolders(
    folder,
    files.map(({ path }) => path)
  )
  await eachOf(files, ({ path, executable }) => chmod(join(folder, path), executable ? 0o755 : 0o644))
}
