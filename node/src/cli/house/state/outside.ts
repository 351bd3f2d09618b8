import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { equalBytes, isPekkaError, PekkaError, type Genesis } from '../../../core/protocol/index.js'
import { PRACTICE_CREDITS } from '../../../core/ledger/index.js'
import { replaceFile } from '../../../host/files/index.js'
import { WalletSocket } from '../../task/wallet-socket.js'
import { readGenesis } from '../../witness/files.js'
import type { HousePlaces } from './places.js'

/** What somebody says of a network that others keep (`pekka up --genesis FILE --witness ADDRESS`). */
export interface OutsideInit {
  /** Path of its genesis; undefined: the one that this home began with. */
  genesis?: string | undefined
  /** Addresses of its witnesses; none: those of before. */
  witnesses: readonly string[]
}

/** A network whose ledger others keep, as this home uses it. */
export interface Outside {
  /** The genesis, in the home. */
  path: string
  genesis: Genesis
  /** Id of the network, hex. */
  network: string
  witnesses: readonly string[]
}

const fileSchema = z.object({ witnesses: z.array(z.string()).min(1) })

/**
 * The network of others that this home uses, as it is said now or was said before; null: it has one of its own.
 * @throws PekkaError USAGE: the home has another network
 */
export async function joinOutside(places: HousePlaces, init?: OutsideInit): Promise<Outside | null> {
  const file = join(places.devnet, 'outside.json')
  const path = join(places.devnet, 'genesis.cbor')
  const before = existsSync(file) ? fileSchema.parse(JSON.parse(await readFile(file, 'utf8'))) : null
  if (init === undefined && before === null) return null
  const known = existsSync(path) ? await readGenesis(path) : null
  const given = init?.genesis === undefined ? known : await readGenesis(init.genesis)
  // Without a word of which network is meant, an own one that is here already is none of others.
  if (given === null || (init?.genesis === undefined && before === null)) {
    const own =
      known === null
        ? ''
        : ` This home has a network of its own already (${known.network.slice(0, 8)}): "pekka reset" removes it, or set PEKKA_HOME to another folder.`
    throw new PekkaError('USAGE', {
      issue: `The first start on a network that others keep needs its genesis: --genesis FILE.${own}`
    })
  }
  if (known !== null && (before === null || !equalBytes(known.bytes, given.bytes)))
    throw new PekkaError('USAGE', {
      issue: `This home has another network already (${known.network.slice(0, 8)}). "pekka reset" removes it, or set PEKKA_HOME to another folder for network ${given.network.slice(0, 8)}.`
    })
  const witnesses = init === undefined || init.witnesses.length === 0 ? before?.witnesses : [...init.witnesses]
  if (witnesses === undefined)
    throw new PekkaError('USAGE', {
      issue: 'Say where its witnesses are: --witness ADDRESS, as "pekka witness start" prints it.'
    })
  await mkdir(places.devnet, { recursive: true, mode: 0o700 })
  // First who keeps it: a genesis alone would be taken for that of an own network.
  await replaceFile(file, JSON.stringify({ witnesses }))
  await replaceFile(path, given.bytes)
  return { path, genesis: given.genesis, network: given.network, witnesses }
}

/**
 * Opens the wallet's account on a network of others and draws practice credits, where that has a faucet; says what is missing else.
 * @param signal ends it at once, without a word
 */
export async function drawFirst(
  socket: string,
  { network }: { network: string },
  say: (line: string) => void,
  signal: AbortSignal
): Promise<void> {
  const ended = Promise.withResolvers<undefined>()
  const end = (): void => ended.resolve(undefined)
  signal.addEventListener('abort', end, { once: true })
  try {
    if (signal.aborted) return
    // Where it ends, the wallet's answer is left to itself: it is heard by nobody.
    const line = await Promise.race([
      firstCredits(new WalletSocket({ path: socket }), network.slice(0, 8)),
      ended.promise
    ])
    if (line !== undefined) say(line)
  } finally {
    signal.removeEventListener('abort', end)
  }
}

/** What the user has to know of it, in a sentence; undefined: nothing. */
async function firstCredits(wallet: WalletSocket, network: string): Promise<string | undefined> {
  let isEmpty = false
  try {
    isEmpty = !(await wallet.hasCredits())
    if (isEmpty) await wallet.draw(PRACTICE_CREDITS)
    return undefined
  } catch (error) {
    if (!isPekkaError(error)) throw error
    // Only who was looked at is said to have none; and a draw that reached nobody was not refused.
    if (!isEmpty || error.code.endsWith('_UNREACHABLE'))
      return `Whether your account has credits on network ${network} could not be seen (${error.code}): ${error.message} "pekka account show" looks again.`
    return `Your account has no credits on network ${network} (${error.code}): somebody there has to send it some.`
  }
}
