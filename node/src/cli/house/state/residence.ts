import { readFile } from 'node:fs/promises'
import { holderOf, tryHold } from '@pekka/node/setup/hold'
import type { Steps } from '@pekka/node/setup/steps'
import { PekkaError } from '@pekka/node/protocol'
import { connectHouse, Control, type HouseKind, type HouseStatus } from '../control.js'
import { HANDOVER_MS } from '../constants.js'
import { openDevnet } from './devnet.js'
import { House, type HouseAddress, type HouseInit } from '../house.js'
import { removeLeftovers } from '../processes/leftovers.js'
import { drawFirst, type OutsideInit } from './outside.js'
import { controlSocket, type HousePlaces } from './places.js'
import { makeSocketFolder, removeSocketFolder } from '../sockets.js'
import { stampVersion } from './version.js'

export interface ResidenceComponents {
  places: HousePlaces
  steps: Steps
  say: (line: string) => void
  version: string
}

export interface ResidenceInit {
  kind: HouseKind
  env: NodeJS.ProcessEnv
  /** JupyterLab, once the home is ours. */
  lab?: () => Promise<HouseInit['lab']>
  /** IP address at which other machines may join. */
  listen?: string | undefined
  /** How many witnesses a network that is made now has; see `openDevnet`. */
  witnesses?: number | undefined
  /** A network that others keep. */
  outside?: OutsideInit | undefined
}

/** Signals that end a residence. */
export interface Stops {
  signal: AbortSignal
  hurry: AbortSignal
}

/** How long a temporary network waits for its first user, ms: the one that asked for it connects within milliseconds. */
const FIRST_USER_MS = 10_000

/**
 * Lives in a PEKKA_HOME: takes its lock, clears what a killed predecessor left, runs the network until it is to end, and leaves
 * nothing behind. Only one process can do so at a time.
 *
 * @param open called once everything serves
 */
export async function reside(
  components: ResidenceComponents,
  init: ResidenceInit,
  stops: Stops,
  open: (address: HouseAddress) => void
): Promise<void> {
  const { places, say } = components
  const lock = await takeLock(places, init.kind, say, stops.signal)
  const ended = new AbortController()
  const end = AbortSignal.any([stops.signal, ended.signal])
  const told = { pid: process.pid, kind: init.kind }
  const control = new Control(
    { ...told, state: 'starting' },
    { stop: () => ended.abort(), users: count => onUsers(count) }
  )
  let idle: NodeJS.Timeout | undefined
  let users = 0
  const onUsers = (count: number): void => {
    users = count
    clearTimeout(idle)
    if (count === 0 && init.kind === 'temporary') ended.abort()
  }
  let house: House | undefined
  try {
    const left = await removeLeftovers(places)
    if (left.length > 0) say(`Ended what an earlier start left running: ${left.join(', ')}`)
    const aside = await stampVersion(places, components.version)
    if (aside !== undefined)
      say(`The practice network is of another version of PEKKA; it was moved to ${aside}. The wallet stays.`)
    await makeSocketFolder(places.sockets)
    await control.listen(controlSocket(places))
    const devnet = await openDevnet(places, { witnesses: init.witnesses, outside: init.outside })
    house = new House(
      { places, devnet, steps: components.steps, say },
      { env: init.env, lab: await init.lab?.(), listen: init.listen }
    )
    const address = await house.start(end)
    if (devnet.outside !== null) await drawFirst(address.wallet.socket, devnet, say, end)
    end.throwIfAborted()
    control.tell({ ...told, state: 'ready', address })
    await lock.tell({ address: address.lab ?? address.bridge })
    // whoever asked for it may be connected since before it was ready
    if (init.kind === 'temporary' && users === 0) idle = setTimeout(() => ended.abort(), FIRST_USER_MS)
    open(address)
    await new Promise<void>(resolve => {
      if (end.aborted) resolve()
      else end.addEventListener('abort', () => resolve(), { once: true })
    })
    control.tell({ ...told, state: 'stopping' })
  } catch (error) {
    if (end.aborted) return
    control.tell({ ...told, state: 'failed', reason: error instanceof Error ? error.message : String(error) })
    throw error
  } finally {
    clearTimeout(idle)
    await house?.stop(stops.hurry)
    await control.close()
    await removeSocketFolder(places.sockets)
    await lock.release()
  }
}

type Lock = NonNullable<Awaited<ReturnType<typeof tryHold>>>

/** The lock of the home. Where `pekka run` holds it for its own time, its end is waited for. */
async function takeLock(
  places: HousePlaces,
  kind: HouseKind,
  say: (line: string) => void,
  signal: AbortSignal
): Promise<Lock> {
  let told = false
  const deadline = Date.now() + HANDOVER_MS
  for (;;) {
    signal.throwIfAborted()
    const lock = await tryHold(places.lock)
    if (lock !== undefined) return lock
    const status = await statusOf(places)
    if (status?.state === 'ready' && status.kind === 'up')
      throw new PekkaError('ALREADY_RUNNING', {
        pid: status.pid,
        address: (await labUrl(places)) ?? status.address.bridge
      })
    const holding = await holderOf(places.lock)
    const waits = status?.kind === 'temporary' || Date.now() < deadline
    if (!waits)
      throw new PekkaError('ALREADY_RUNNING', { pid: holding?.pid ?? 0, address: 'an address it has not told yet' })
    if (!told && kind === 'up' && holding !== undefined)
      say(`Process ${holding.pid} uses this home; waiting for its end.`)
    told = true
    await new Promise(resolve => setTimeout(resolve, 200))
  }
}

/** What the house that runs here says of itself now; undefined if none answers. */
export async function statusOf(places: HousePlaces): Promise<HouseStatus | undefined> {
  const link = await connectHouse(controlSocket(places))
  const status = await link?.until(() => true)
  link?.close()
  return status
}

/** JupyterLab's address with its token, for the user's eyes. */
export const labUrl = (places: HousePlaces): Promise<string | undefined> =>
  readFile(labUrlFile(places), 'utf8').then(
    text => text.trim(),
    () => undefined
  )

/** Readable by the user alone, as the folder is; gone with it when the network stops. */
export const labUrlFile = (places: HousePlaces): string => `${places.sockets}/lab-url`
