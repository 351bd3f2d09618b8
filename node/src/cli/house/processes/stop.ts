import { holderOf, lives, tryHold } from '@pekka/node/setup/hold'
import { connectHouse } from '../control.js'
import { HANDOVER_MS } from '../constants.js'
import { removeLeftovers } from './leftovers.js'
import { controlSocket, type HousePlaces } from '../state/places.js'

/**
 * Stops the house of this home, if one runs, and ends what a killed one left. When this returns, nothing of it runs.
 * One that doesn't answer is ended by signals.
 */
export async function stopHouse(places: HousePlaces, signal: AbortSignal): Promise<void> {
  const running = await holderOf(places.lock)
  if (running !== undefined) {
    const link = await connectHouse(controlSocket(places))
    if (link === undefined) kill(running.pid, 'SIGTERM')
    else link.send({ op: 'stop' })
    const deadline = Date.now() + HANDOVER_MS
    while (lives(running) && Date.now() < deadline) {
      signal.throwIfAborted()
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    if (lives(running)) kill(running.pid, 'SIGKILL')
  }
  const lock = await tryHold(places.lock)
  // taken meanwhile: a new house runs, and it has cleared the leftovers itself
  if (lock === undefined) return
  await removeLeftovers(places)
  await lock.release()
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // it ended meanwhile
  }
}
