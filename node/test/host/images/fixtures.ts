import { access, constants } from 'node:fs/promises'
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
