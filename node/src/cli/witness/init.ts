import { access, mkdir } from 'node:fs/promises'
import { STANDARD_PARAMETERS, type ConsensusParameters } from '../../core/consensus/index.js'
import { fromHex } from '../../core/protocol/index.js'
import { LastProposed, makeRecord, readRecord, type WitnessRecord } from '../../agents/witness/network/index.js'
import { createVerifier, random, readSigner } from '../../host/crypto/index.js'
import { replaceFile } from '../../host/files/index.js'
import { loadPeerKey, peerIdOf } from '../../host/network/index.js'
import { makeKey } from '../house/state/keys.js'
import { readText } from './files.js'
import { multiaddrOf, type Endpoint, type WitnessPlaces } from './places.js'

export interface WitnessInit {
  /** Record of another witness of the same network to be; undefined: this one is the first. */
  like?: string
  /** Where others will reach it. */
  addresses: readonly string[]
  parameters?: ConsensusParameters
}

/**
 * Makes the keys of a witness, where there are none, and its public record. Called again it makes another record with the same keys: for another
 * network, or with other addresses.
 */
export async function initWitness(places: WitnessPlaces, init: WitnessInit): Promise<WitnessRecord> {
  await makeWitnessKeys(places)
  const like = init.like === undefined ? null : await readRecord(await readText(init.like), createVerifier())
  const signer = await readSigner(places.blockKey)
  const owner = await readSigner(places.accountKey)
  const record = await makeRecord({
    signer,
    owner: owner.publicKey,
    nonce: like === null ? random.bytes(16) : fromHex(like.nonce),
    parameters: like?.parameters ?? init.parameters ?? STANDARD_PARAMETERS,
    addresses: init.addresses
  })
  await replaceFile(places.record, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o644 })
  return record
}

/** Keys that are there stay. The file for its last proposal comes with a new block key alone: nothing was ever signed with that. */
export async function makeWitnessKeys(places: WitnessPlaces): Promise<void> {
  await mkdir(places.folder, { recursive: true, mode: 0o700 })
  const isNew = !(await isThere(places.blockKey))
  if (isNew && !(await isThere(places.lastProposed))) await LastProposed.create(places.lastProposed)
  await makeKey(places.blockKey)
  await makeKey(places.accountKey)
}

/** Peer id with which others dial a witness; its key is made where there is none. */
export const peerOf = async ({ peerKey }: WitnessPlaces): Promise<string> => peerIdOf(await loadPeerKey(peerKey))

/** The address of a witness that listens there. */
export const addressAt = async (places: WitnessPlaces, endpoint: Endpoint): Promise<string> =>
  `${multiaddrOf(endpoint)}/p2p/${await peerOf(places)}`

const isThere = (path: string): Promise<boolean> =>
  access(path).then(
    () => true,
    () => false
  )
