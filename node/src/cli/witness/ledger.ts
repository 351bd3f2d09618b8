import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import { decodeCanonical, equalBytes, genesisSchema, networkId, PekkaError } from '../../core/protocol/index.js'
import { random } from '../../host/crypto/index.js'
import { createNetworkHost, LedgerClient, peerKeyFromSeed, type NetworkHost } from '../../host/network/index.js'
import { readGenesis } from './files.js'
import type { WitnessPlaces } from './places.js'

const readySchema = z.object({ addresses: z.array(z.string()).min(1) })
/** How long a witness may take to answer a command, ms. */
const PATIENCE_MS = 30_000

/** Where the witness of this folder serves; null: it doesn't run. */
export async function runningAddresses({ ready }: WitnessPlaces): Promise<string[] | null> {
  const text = await readFile(ready, 'utf8').catch(() => null)
  const parsed = readySchema.safeParse(text === null ? null : JSON.parse(text))
  return parsed.success ? parsed.data.addresses : null
}

/** Addresses that somebody named, else those of this folder's own witness. @throws PekkaError USAGE: neither */
export async function addressesFor(places: WitnessPlaces, named: readonly string[]): Promise<string[]> {
  if (named.length > 0) return [...named]
  const own = await runningAddresses(places)
  if (own === null)
    throw new PekkaError('USAGE', {
      issue: `No witness runs in ${places.folder}. Start it with "pekka witness start", or name another with --at ADDRESS.`
    })
  return own
}

/** A host that dials and doesn't listen, for one command. */
export async function withHost<T>(work: (host: NetworkHost) => Promise<T>): Promise<T> {
  const host = createNetworkHost({ key: await peerKeyFromSeed(random.bytes(32)) })
  await host.start()
  try {
    return await work(host)
  } finally {
    await host.stop()
  }
}

/** The ledger at some witnesses. @throws PekkaError NETWORK_MISMATCH: they are of another network than this folder's */
export async function withLedger<T>(
  places: WitnessPlaces,
  named: readonly string[],
  work: (ledger: LedgerClient) => Promise<T>
): Promise<T> {
  const addresses = await addressesFor(places, named)
  const { genesis } = await readGenesis(places.genesis)
  return await withHost(async host => {
    const ledger = new LedgerClient({ host }, { addresses, patience: PATIENCE_MS })
    try {
      const there = genesisSchema.parse(decodeCanonical(await ledger.genesis()))
      if (!equalBytes(networkId(there), networkId(genesis))) throw new PekkaError('NETWORK_MISMATCH')
      return await work(ledger)
    } finally {
      await ledger.stop()
    }
  })
}
