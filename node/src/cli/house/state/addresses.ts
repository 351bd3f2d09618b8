import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { replaceFile } from '../../../host/files/index.js'
import { z } from 'zod'
import { PekkaError } from '@pekka/node/protocol'
import type { Ready } from '../processes/child.js'
import type { HousePlaces } from './places.js'
import { freePort, isFree } from '../ports.js'

const fileSchema = z.object({
  witness: z.looseObject({ addresses: z.array(z.string()).min(1) }),
  bridge: z.looseObject({ addresses: z.array(z.string()).min(1), url: z.string() }),
  wallet: z.looseObject({ url: z.string() })
})

/** What the processes that others must find said when they served last. */
export type Addresses = z.infer<typeof fileSchema>

const fileIn = (places: Pick<HousePlaces, 'devnet'>): string => join(places.devnet, 'addresses.json')

/**
 * Where the network of this home was reached last. With these addresses all processes start beside each other, and a machine that
 * joined finds its bridge again. Undefined at a first start, and where one of the ports is taken now.
 *
 * @param outside addresses of witnesses that others run: theirs, whatever they were before
 */
export async function readAddresses(
  places: HousePlaces,
  outside: readonly string[] | null = null
): Promise<Addresses | undefined> {
  const text = await readFile(fileIn(places), 'utf8').catch(() => undefined)
  const { success, data } = fileSchema.safeParse(text === undefined ? undefined : parseOrNothing(text))
  if (!success) return undefined
  const own = outside === null ? data.witness.addresses : []
  const ports = new Set([
    ...[...own, ...data.bridge.addresses].map(portOfAddress),
    ...[data.bridge.url, data.wallet.url].map(portOfUrl)
  ])
  if (![...ports].every(isKept)) return undefined
  const free = await Promise.all([...ports].map(isFree))
  if (!free.every(Boolean)) return undefined
  return outside === null ? data : { ...data, witness: { addresses: [...outside] } }
}

/** Where the witnesses of this home's network were reached last, whether they run or not. None before a first start. */
export async function witnessAddresses(places: Pick<HousePlaces, 'devnet'>): Promise<string[]> {
  const text = await readFile(fileIn(places), 'utf8').catch(() => undefined)
  const { success, data } = fileSchema.safeParse(text === undefined ? undefined : parseOrNothing(text))
  return success ? data.witness.addresses : []
}

export async function writeAddresses(places: HousePlaces, addresses: Addresses): Promise<void> {
  const file = fileIn(places)
  await replaceFile(file, JSON.stringify(addresses))
}

/** A field of what a process said, as text. Throws if it didn't say it: the two sides then disagree on what "ready" means. */
export function textOf(ready: Ready, field: string): string {
  const value = ready[field]
  if (typeof value !== 'string') throw new Error(`said no ${field} when it was ready`)
  return value
}

/** The multiaddresses that a process said. */
export function addressesOf(ready: Ready): string[] {
  const { addresses } = ready
  if (!Array.isArray(addresses) || addresses.length === 0) throw new Error('said no addresses when it was ready')
  return addresses.map(String)
}

/**
 * Where to listen: on loopback and, if somebody asked for it now, at one IP address more. Ports are those of `before`, so that others
 * find a restarted process again; any free ones at first.
 */
export async function listenAgain(before: Ready | undefined, more?: string): Promise<string[]> {
  const known = before === undefined ? [] : addressesOf(before)
  const at = (ip: string, port: string): string => `/ip${isIP(ip)}/${ip}/tcp/${port}`
  const isLoopback = (address: string): boolean => address.startsWith(at('127.0.0.1', ''))
  const port = async (address: string | undefined): Promise<string> =>
    String(address === undefined ? await newPort() : portOfAddress(address))
  return [
    at('127.0.0.1', await port(known.find(isLoopback))),
    ...(more === undefined ? [] : [at(more, await port(known.find(address => !isLoopback(address))))])
  ]
}

/** The port of an http address that a process said before; a free one at first. */
export const portAgain = async (before: Ready | undefined): Promise<number> =>
  before === undefined ? newPort() : portOfUrl(textOf(before, 'url'))

/**
 * Ports are kept for later starts, so they lie below those that systems give to outgoing connections (from 32768 on Linux): one of
 * those would be taken now and then. Where the search begins is left to chance, for homes that start at the same time.
 */
const FIRST_PORT = 20_000
const PORTS = 12_000
const isKept = (port: number): boolean => port >= FIRST_PORT && port < 32_768

async function newPort(): Promise<number> {
  const port = await freePort(FIRST_PORT + Math.floor(Math.random() * PORTS))
  if (port === undefined) throw new PekkaError('PORT_TAKEN', { port: FIRST_PORT })
  return port
}

const portOfUrl = (url: string): number => Number(new URL(url).port)
const portOfAddress = (address: string): number => Number(/\/tcp\/(\d+)/.exec(address)?.[1] ?? 0)

function parseOrNothing(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
