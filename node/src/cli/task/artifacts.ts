import { constants, type Stats } from 'node:fs'
import { lstat, mkdir, open, rename, rm } from 'node:fs/promises'
import { randomBytes } from 'node:crypto'
import { join, relative } from 'node:path'
import type { TaskFollower } from '../../core/client/index.js'
import { MAX_FILES, PekkaError, asPekkaError, collide, isTravelPath, type EventOf } from '../../core/protocol/index.js'

export type ReturnedFile = EventOf<'files'>['files'][number]

/** Where a file that came back was put, or why it wasn't. */
export interface Placed {
  name: string
  size: number
  /** Path on this disk; null where it isn't here. */
  path: string | null
  /** For people; null where it is here. */
  why: string | null
}

export interface PlaceInit {
  /** Folder for what came back; made where it isn't there. */
  folder: string
  /** Where the program itself would have written: only files that its code names literally go there, and only new ones. */
  beside?: { folder: string; names: ReadonlySet<string> }
}

/**
 * Writes the files of a task, which come from a machine that is trusted with nothing: regular files only, at plain relative
 * paths, through no link, over no file that is there, never executable, and only whole (hash and size as the machine fixed them).
 *
 * A name that the machine made up is put into the task's own folder: beside a program, a new `numpy.py` would run at its next start.
 */
export async function placeFiles(
  follower: Pick<TaskFollower, 'open'>,
  files: readonly ReturnedFile[],
  { folder, beside }: PlaceInit
): Promise<Placed[]> {
  const safe = files.slice(0, MAX_FILES).filter(({ name }) => isTravelPath(name))
  const mixed = collide(safe.map(({ name }) => name))
  const placed: Placed[] = []
  const seen = new Set<string>()
  for (const file of files) {
    const { name, size } = file
    const not = (why: string): number => placed.push({ name, size, path: null, why })
    if (!isTravelPath(name)) not('its name can’t be a file’s here')
    else if (file.parts === undefined || file.hash === undefined) not('too large to come back')
    else if (mixed && seen.has(name.normalize('NFC').toLowerCase())) not('another file has that name')
    else {
      seen.add(name.normalize('NFC').toLowerCase())
      try {
        const near =
          beside !== undefined && beside.names.has(name) && !name.split('/').some(part => part.startsWith('.'))
        const path = (near ? await write(follower, file, beside.folder) : null) ?? (await write(follower, file, folder))
        if (path === null) not('a file of that name is there already')
        else placed.push({ name, size, path, why: null })
      } catch (error) {
        not(reasonOf(error))
      }
    }
  }
  return placed
}

/** @returns where it stands now; null where something stands there already */
async function write(follower: Pick<TaskFollower, 'open'>, file: ReturnedFile, root: string): Promise<string | null> {
  const path = join(root, file.name)
  if (!(await makeFolders(root, file.name)) || (await look(path)) !== null) return null
  // Under another name until it is whole.
  const draft = join(path, '..', `.pekka-${randomBytes(6).toString('hex')}`)
  const handle = await open(
    draft,
    constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
    0o644
  )
  try {
    try {
      for await (const part of follower.open(file)) await handle.writeFile(part)
    } finally {
      await handle.close()
    }
    // Between the look above and here somebody may have made one: a rename would replace it.
    const target = await open(
      path,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o644
    )
    await target.close()
    await rename(draft, path)
    return path
  } catch (error) {
    await rm(draft, { force: true })
    if (error instanceof Error && 'code' in error && error.code === 'EEXIST') return null
    throw error
  }
}

/** Makes the folders of a path; false where one of them is a link or a file. */
async function makeFolders(root: string, name: string): Promise<boolean> {
  await mkdir(root, { recursive: true })
  let folder = root
  for (const part of name.split('/').slice(0, -1)) {
    folder = join(folder, part)
    const there = await look(folder)
    if (there === null) await mkdir(folder)
    else if (!there.isDirectory()) return false
  }
  return true
}

const look = (path: string): Promise<Stats | null> => lstat(path).catch(() => null)

function reasonOf(error: unknown): string {
  if (error instanceof PekkaError) return error.message
  const code = error instanceof Error && 'code' in error ? String(error.code) : null
  return code === 'ENOSPC'
    ? 'the disk is full'
    : code === null
      ? asPekkaError(error).message
      : `it can’t be written (${code})`
}

/** Where files of a task go when nobody said: a folder of its own. */
export const RESULTS = 'pekka-results'

/** `result.csv, plot.png` as people find them from where they are. */
export const shownPath = (path: string, from: string): string => {
  const near = relative(from, path)
  return near === '' || near.startsWith('..') ? path : near
}
