import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createPrimitives } from '@pekka/node/host/crypto'
import { createNetworkHost, isLoopback, request } from '@pekka/node/host/network'
import {
  JOIN_PROTOCOL,
  PekkaError,
  decodeCanonical,
  equalBytes,
  genesisSchema,
  joinAnswerSchema,
  networkId
} from '@pekka/node/protocol'
import { loadIdentity } from './identity.js'

export interface JoinRequestInit {
  name: string
  /** What `pekka invite` printed. */
  code: string
  /** Addresses of bridges as the user knows them, each with its peer id; the first that answers serves. */
  bridges: readonly string[]
}

export interface JoinedNetwork {
  network: Uint8Array
  bridges: string[]
  witnesses: string[]
}

/** A genesis is a few kilobytes; an answer that is larger isn't one. */
const ANSWER_BYTES = 2 << 20

/**
 * Shows a one-time code to a bridge and gets what a provider's settings need. The keys are made in `folder` if they aren't there. The peer id in
 * the address says that the right bridge answers; the genesis, that the network is the one it names.
 *
 * @throws PekkaError PAIRING_FAILED for a code that is wrong, used or too old; NETWORK_MISMATCH; PEER_UNREACHABLE
 */
export async function joinNetwork(
  folder: string,
  { name, code, bridges }: JoinRequestInit,
  signal: AbortSignal
): Promise<JoinedNetwork> {
  const state = join(folder, 'state')
  await mkdir(state, { recursive: true, mode: 0o700 })
  const unknown = new Uint8Array(32)
  const identity = await loadIdentity(unknown, join(folder, 'account.key'), state, createPrimitives().random)
  const host = createNetworkHost({ key: identity.peerKey })
  await host.start()
  try {
    const question = { v: 1, code, provider: identity.provider, name }
    const [address] = bridges
    if (address === undefined) throw new PekkaError('USAGE', { issue: 'No bridge is named.' })
    const answer = await request(host, address, JOIN_PROTOCOL, question, joinAnswerSchema, {
      signal,
      maxMessageBytes: ANSWER_BYTES
    })
    if (answer.kind === 'refused') throw new PekkaError('PAIRING_FAILED', {})
    const genesis = genesisSchema.parse(decodeCanonical(answer.genesis))
    if (!equalBytes(networkId(genesis), answer.network)) throw new PekkaError('NETWORK_MISMATCH', {})
    // Addresses that are only good on the bridge's own machine help nobody else; the bridge relays the ledger.
    const useful = (one: string) => isLoopback(address) || !isLoopback(one)
    return { network: answer.network, bridges: [...bridges], witnesses: answer.witnesses.filter(useful) }
  } finally {
    await host.stop()
  }
}
