import { spawn } from 'node:child_process'
import { PekkaError } from '@pekka/node/protocol'
import { startTime } from '@pekka/node/setup/hold'
import { MAIN } from '@pekka/node/setup/places'
import { StepError } from '@pekka/node/setup/steps'
import type { CliContext } from '../context.js'
import { connectHouse, type HouseLink } from './control.js'
import { HANDOVER_MS } from './constants.js'
import type { HouseAddress } from './house.js'
import { openLog } from './log.js'
import { controlSocket, housePlaces, logOf, type HousePlaces } from './state/places.js'

/** A network that a command uses. */
export interface OpenNetwork extends HouseAddress {
  /** Fires when the network ends under us. */
  gone: AbortSignal
  /** Lets go of it; one that was started for this command ends, and then nothing of it runs any more. */
  close: () => Promise<void>
}

/** How often a house that is coming up or going down is looked for, ms. */
const LOOK_MS = 50

/**
 * The network that runs on this home; if none does, one is started, without JupyterLab, that ends with its last user.
 *
 * Throws a StepError for people, and the context's reason when it is stopped.
 */
export async function openNetwork(context: Pick<CliContext, 'home' | 'env' | 'signal'>): Promise<OpenNetwork> {
  const places = housePlaces(context.home, context.env)
  const deadline = Date.now() + HANDOVER_MS * 3
  let started: Promise<number> | undefined
  while (Date.now() < deadline) {
    context.signal.throwIfAborted()
    const link = await connectHouse(controlSocket(places))
    if (link !== undefined) {
      const opened = await useHouse(link, context.signal)
      // a house that was about to end has ended: look for the next
      if (opened !== undefined) return opened
      started = undefined
    }
    started ??= startHouse(places, context.env)
    const ended = await Promise.race([
      started,
      new Promise<undefined>(resolve => setTimeout(() => resolve(undefined), LOOK_MS))
    ])
    if (ended !== undefined) started = undefined
  }
  throw new StepError({ step: 'The start of the network', reason: 'nothing answered', log: logOf(places, 'house') })
}

/**
 * Where the network that runs on this home is. For commands whose effect outlives them: a network that was started for them alone
 * would be gone before it was of use.
 *
 * @throws PekkaError USAGE where none runs
 */
export async function runningNetwork(context: Pick<CliContext, 'home' | 'env' | 'signal'>): Promise<HouseAddress> {
  const link = await connectHouse(controlSocket(housePlaces(context.home, context.env)))
  const status = await link?.until(({ state }) => state !== 'starting')
  link?.close()
  context.signal.throwIfAborted()
  if (status?.state !== 'ready')
    throw new PekkaError('USAGE', { issue: 'PEKKA does not run here. Start it first: pekka up' })
  return status.address
}

async function useHouse(link: HouseLink, signal: AbortSignal): Promise<OpenNetwork | undefined> {
  const stop = (): void => link.close()
  signal.addEventListener('abort', stop, { once: true })
  link.send({ op: 'use' })
  const status = await link.until(({ state }) => state !== 'starting')
  signal.removeEventListener('abort', stop)
  signal.throwIfAborted()
  if (status?.state === 'failed') {
    // Nothing of it is left when this is said.
    if (status.kind === 'temporary') await ended(status.pid)
    throw new StepError({ step: 'The start of the network', reason: status.reason })
  }
  if (status?.state !== 'ready') return undefined
  const gone = new AbortController()
  void link.closed.then(() => gone.abort())
  return {
    ...status.address,
    gone: gone.signal,
    close: async () => {
      if (status.kind === 'up') return link.close()
      link.send({ op: 'leave' })
      const left = await link.until(now => now.state !== 'ready' || now.users !== undefined)
      link.close()
      // others may keep it
      if (left?.state !== 'ready' || left.users === 0) await ended(status.pid)
    }
  }
}

/** Waits until a process has ended: a temporary network whose last user has gone. */
async function ended(pid: number): Promise<void> {
  const deadline = Date.now() + HANDOVER_MS
  while (Date.now() < deadline && startTime(pid) !== undefined)
    await new Promise(resolve => setTimeout(resolve, LOOK_MS))
}

/** Starts a temporary house in a process of its own, so that a killed `pekka run` doesn't take others' network away. Resolves at its end. */
async function startHouse(places: HousePlaces, env: NodeJS.ProcessEnv): Promise<number> {
  const log = await openLog(logOf(places, 'house'))
  const house = spawn(process.execPath, [MAIN, 'serve'], { stdio: ['ignore', log.fd, log.fd], detached: true, env })
  await log.close()
  house.unref()
  return new Promise(resolve => {
    house.once('exit', code => resolve(code ?? 1))
    house.once('error', () => resolve(1))
  })
}
