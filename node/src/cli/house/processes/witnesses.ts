import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { accountId, CREDIT, type Genesis } from '@pekka/node/protocol'
import { readSigner } from '@pekka/node/host/crypto'
import { loadPeerKey, peerIdOf } from '@pekka/node/host/network'
import { committeeGenesis, LastProposed } from '../../../agents/witness/network/index.js'
import { addressesOf, listenAgain } from '../state/addresses.js'
import { agentChild } from './agents.js'
import type { ChildSpec, Ready } from './child.js'
import { makeKey } from '../state/keys.js'
import { folderOf, type HousePlaces } from '../state/places.js'

/** Files of one witness of the network of this home. */
export interface WitnessFiles {
  /** Of its process. */
  name: string
  blockKey: string
  /** What only a witness of a committee has; null: it decides alone. */
  member: {
    peerKey: string
    /** Of the account that stakes on it, with which it registers itself for later epochs. */
    accountKey: string
    /** Its last own block. */
    lastProposed: string
  } | null
}

/** Most witnesses that one computer is asked to run: each takes some 100 MB. */
const MAX_HOUSE_WITNESSES = 16

/** What each witness of a practice network has staked; all alike. */
const STAKE = 100n * CREDIT
/** What its account has besides, so that it can send transactions. */
const BALANCE = 10n * CREDIT

/** How many witnesses somebody asks for. */
export function witnessCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1 || count > MAX_HOUSE_WITNESSES)
    throw new InvalidArgumentError(`a number from 1 to ${MAX_HOUSE_WITNESSES}; from 4 on one of them may fail or lie`)
  return count
}

/** One alone is called `witness`, those of a committee `witness-1`, `witness-2`, … */
export function witnessFiles(places: HousePlaces, count: number): WitnessFiles[] {
  const alone = folderOf(places, 'witness')
  if (count === 1) return [{ name: 'witness', blockKey: join(alone, 'block.key'), member: null }]
  return Array.from({ length: count }, (_, i) => {
    const name = `witness-${i + 1}`
    const at = (file: string): string => join(folderOf(places, name), file)
    const member = { peerKey: at('peer.key'), accountKey: at('account.key'), lastProposed: at('last-proposed') }
    return { name, blockKey: at('block.key'), member }
  })
}

/** The genesis of a practice network that a committee orders. Makes its keys; nothing has been proposed yet, which their files say. */
export async function committeeDevnet(base: Genesis, witnesses: readonly WitnessFiles[]): Promise<Genesis> {
  const members: { seed: Uint8Array; stake: bigint; account: Uint8Array }[] = []
  const accounts = [...base.accounts]
  for (const { name, blockKey, member } of witnesses) {
    if (member === null) throw new TypeError(`${name} is no member of a committee`)
    await makeKey(blockKey)
    const policy = { threshold: 1, keys: [await makeKey(member.accountKey)] }
    const made = await access(member.lastProposed).then(
      () => true,
      () => false
    )
    if (!made) await LastProposed.create(member.lastProposed)
    accounts.push({ policy, balance: BALANCE })
    members.push({ seed: (await readSigner(blockKey)).seed, stake: STAKE, account: accountId(policy) })
  }
  return committeeGenesis({ base: { ...base, accounts }, members })
}

/**
 * The processes of the witnesses. Those of a committee are told each other's addresses, so their ports are chosen before any of them runs.
 *
 * @param before what all of them said when the network ran last
 */
export async function witnessChildren(
  places: HousePlaces,
  { network, genesis, witnesses }: { network: string; genesis: string; witnesses: readonly WitnessFiles[] },
  env: NodeJS.ProcessEnv,
  before: Ready | undefined
): Promise<ChildSpec[]> {
  const known = before === undefined ? [] : addressesOf(before)
  const listens: string[][] = []
  const peers: string[] = []
  for (const { member } of witnesses) {
    if (member === null) continue
    const peer = peerIdOf(await loadPeerKey(member.peerKey))
    const own = known.filter(address => address.endsWith(`/p2p/${peer}`))
    let listen = await listenAgain(own.length === 0 ? undefined : { addresses: own })
    while (listens.some(([taken]) => taken === listen[0])) listen = await listenAgain(undefined)
    listens.push(listen)
    peers.push(...listen.map(address => `${address}/p2p/${peer}`))
  }
  return witnesses.map(({ name, blockKey, member }, i) => {
    const own = async (last: Ready | undefined): Promise<object> =>
      member === null
        ? { listen: await listenAgain(last), genesis, blockKey }
        : { listen: listens[i], genesis, blockKey, ...member, peers }
    return agentChild(places, name, 'witness', network, env, own, member === null ? before : undefined)
  })
}
