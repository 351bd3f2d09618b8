import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { DEVNET_FORMAT } from '../constants.js'
import type { HousePlaces } from './places.js'

/**
 * Puts the version's stamp on PEKKA_HOME. The state of an embedded network that another version wrote is moved aside, for it may mean
 * something else today; the wallet's keys keep their meaning and stay. Returns where the old state went, if there was any.
 */
export async function stampVersion(places: HousePlaces, version: string): Promise<string | undefined> {
  await mkdir(places.home, { recursive: true, mode: 0o700 })
  const found: unknown = await readFile(places.version, 'utf8').then(JSON.parse, () => undefined)
  const stamp = found !== null && typeof found === 'object' ? (found as { pekka?: unknown; devnet?: unknown }) : {} // fields are checked where used
  const same = stamp.devnet === DEVNET_FORMAT && stamp.pekka === version
  let aside: string | undefined
  if (!same && existsSync(places.devnet)) {
    aside = await freeName(`${places.devnet}-of-${typeof stamp.pekka === 'string' ? stamp.pekka : 'unknown'}`)
    await rename(places.devnet, aside)
  }
  if (!same) await writeFile(places.version, `${JSON.stringify({ pekka: version, devnet: DEVNET_FORMAT })}\n`)
  await mkdir(places.devnet, { recursive: true, mode: 0o700 })
  return aside
}

async function freeName(name: string): Promise<string> {
  for (let count = 1; ; count++) {
    const path = count === 1 ? name : `${name}-${count}`
    if (!existsSync(path)) return path
  }
}
