import { readFile, rm } from 'node:fs/promises'
import { replaceFile } from '../../../host/files/index.js'
import { lives, startTime, type Holder } from '@pekka/node/setup/hold'
import { killGroup } from './child.js'
import { STOP_GRACE_MS } from '../constants.js'
import type { HousePlaces } from '../state/places.js'

/** Writes down which children run, for the start after a `kill -9`. */
export const recordChildren = (places: HousePlaces, children: Record<string, Holder>): Promise<void> =>
  replaceFile(places.children, JSON.stringify(children), { flush: false })

/**
 * Ends what an earlier house left running, and removes its sockets. Call it with the lock held: then nobody else's are meant.
 * Returns the names of what still ran.
 */
export async function removeLeftovers(places: HousePlaces): Promise<string[]> {
  const recorded: Record<string, Holder> = await readFile(places.children, 'utf8').then(JSON.parse, () => ({}))
  const alive = Object.entries(recorded).filter(([, child]) => lives(child))
  for (const [, child] of alive) killGroup(child, 'SIGTERM')
  const deadline = Date.now() + STOP_GRACE_MS
  while (Date.now() < deadline && alive.some(([, child]) => lives(child)))
    await new Promise(resolve => setTimeout(resolve, 100))
  for (const child of Object.values(recorded)) {
    // A leader that ended may have left members of its group. Its number can't be a stranger's as long as the group exists.
    if (lives(child) || startTime(child.pid) === undefined) killGroup(child, 'SIGKILL')
  }
  await Promise.all([rm(places.children, { force: true }), rm(places.sockets, { recursive: true, force: true })])
  return alive.map(([name]) => name)
}
