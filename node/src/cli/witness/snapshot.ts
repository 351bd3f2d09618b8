import { rename, rm } from 'node:fs/promises'
import { asPekkaError, networkId, PekkaError, type Checkpoint } from '../../core/protocol/index.js'
import {
  askForSnapshots,
  checkSnapshot,
  fetchSnapshot,
  piecesOf,
  verifySnapshot
} from '../../agents/witness/network/index.js'
import { createHashing, createVerifier } from '../../host/crypto/index.js'
import { readGenesis } from './files.js'
import { addressesFor, withHost } from './ledger.js'
import type { WitnessPlaces } from './places.js'

export interface SaveSnapshotInit {
  out: string
  /** Witnesses to ask; none: the one of this folder. */
  at: readonly string[]
  /** Path of the genesis; undefined: the folder's. */
  genesis?: string
}

/**
 * Fetches the newest snapshot that one of some witnesses has, checks it as a witness that begins with it does, and keeps it.
 * @throws PekkaError USAGE: none has one yet; SNAPSHOT_INVALID; of the link
 */
export async function saveSnapshot(
  places: WitnessPlaces,
  { out, at, genesis: path }: SaveSnapshotInit,
  signal: AbortSignal
): Promise<{ checkpoint: Checkpoint; size: number }> {
  const addresses = await addressesFor(places, at)
  const { genesis } = await readGenesis(path ?? places.genesis)
  const part = `${out}.part`
  return await withHost(async host => {
    let failure: PekkaError | null = null
    const { offers } = await askForSnapshots(host, addresses)
    const components = { verifier: createVerifier(), hashing: createHashing() }
    const network = networkId(genesis)
    for (const offer of offers) {
      try {
        const check = (pieces: AsyncIterable<Uint8Array>) => checkSnapshot(components, network, pieces, offer)
        await fetchSnapshot(host, offer, part, check, signal)
        const { certificate } = await verifySnapshot(components, network, piecesOf(part))
        await rename(part, out)
        return { checkpoint: certificate.checkpoint, size: offer.size }
      } catch (error) {
        signal.throwIfAborted()
        failure = asPekkaError(error)
      } finally {
        await rm(part, { force: true })
      }
    }
    throw (
      failure ??
      new PekkaError('USAGE', {
        issue: `No snapshot at ${addresses.join(', ')}: nothing answers there, or the first epoch hasn't ended yet; each makes one at the end of an epoch.`
      })
    )
  })
}
