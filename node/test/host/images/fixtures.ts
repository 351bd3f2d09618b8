import { access, constants, mkdir, writeFile } from 'node:fs/promises'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../../../..')
export const DEFINITIONS = join(ROOT, 'sandbox-images')

/** Path of a program: what the variable says, else the first on PATH. Undefined where there is none. */
export async function findProgram(name: string, variable?: string): Promise<string | undefined> {
  const named = variable === undefined ? undefined : process.env[variable]
  if (named !== undefined) return named
  for (const folder of (process.env.PATH ?? '').split(delimiter)) {
    const path = join(folder, name)
    const found = await access(path, constants.X_OK).then(
      () => true,
      () => false
    )
    if (found) return path
  }
  return undefined
}

/** Skips a suite where a part of the system is missing; under CI that is a failure. */
export function skipWithout(context: Mocha.Context, missing: readonly string[]): void {
  if (missing.length === 0) return
  if (process.env.CI !== undefined) throw new Error(`missing: ${missing.join(', ')}`)
  console.log(`      left out, missing: ${missing.join(', ')}`)
  context.skip()
}

/** Puts a record where a built tree of that digest would stand, with an empty root. Returns the tree's folder. */
export async function placeTree(home: string, name: string, digest: string, builtAt: string): Promise<string> {
  const record = {
    ...{ format: 1, name, digest, contentDigest: digest, files: 1, bytes: 2_000_000, pythonVersion: '3.11.2' },
    ...{ packages: [], debian: [], debianChanges: [], preload: [], environment: {}, builtAt }
  }
  const folder = join(home, 'images', `${name}-${digest.slice(0, 12)}`)
  await mkdir(join(folder, 'root'), { recursive: true })
  await writeFile(join(folder, 'image.json'), JSON.stringify(record))
  return folder
}
