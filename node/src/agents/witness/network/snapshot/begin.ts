import { access, rename, rm } from 'node:fs/promises'
import { isPekkaError, PekkaError, type Verifier } from '@pekka/node/protocol'
import type { Hashing } from '@pekka/node/ledger'
import type { NetworkHost } from '@pekka/node/host/network'
import type { LedgerStore } from '@pekka/node/host/storage'
import { BlockKeeper } from '../blocks/block-keeper.js'
import { KEPT_EPOCHS } from '../constants.js'
import { askForSnapshots, fetchSnapshot, piecesOf, type SnapshotOffer } from './exchange.js'
import { checkSnapshot, verifySnapshot } from './restore.js'

export interface BeginComponents {
  /** The ledger's; started here, and left open. */
  store: LedgerStore
  host: NetworkHost
  verifier: Verifier
  hashing: Hashing
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

export interface BeginInit {
  network: Uint8Array
  /** Folder of the database. */
  data: string
  /** Addresses of other witnesses. */
  peers: readonly string[]
  /** A snapshot of one's own; null: others are asked where one is needed. */
  file: string | null
  /** A snapshot is being fetched. */
  onFetch?: (offer: SnapshotOffer) => void
}

/** How far a database is. */
interface Standing {
  /** Index of its last commit; null: there is no ledger yet. */
  last: number | null
  epoch: number | null
}

/**
 * Before the ledger is opened: one that is empty begins with the newest snapshot that another witness has, and so does one that is so far behind
 * that nobody has the blocks any more, as more than a third of those who answer say; that one's data are put aside. A snapshot that doesn't hold is left
 * for the next witness's, and in the end one begins without.
 *
 * @throws PekkaError USAGE (a file, and there is a ledger), SNAPSHOT_INVALID, NETWORK_MISMATCH (of the file)
 */
export async function beginWithSnapshot(
  components: BeginComponents,
  init: BeginInit,
  signal: AbortSignal
): Promise<void> {
  const { data, file, network } = init
  const standing = await standingOf(components.store)
  if (file !== null) {
    if (standing.last !== null)
      throw new PekkaError('USAGE', {
        issue: `There is a ledger in ${data} already, at commit ${standing.last}. It goes on without a snapshot; to begin with one, move that folder away first.`
      })
    await checkSnapshot(components, network, piecesOf(file))
    const { ledger } = await verifySnapshot(components, network, piecesOf(file))
    await components.store.restore(ledger)
    components.log.info({ file }, 'begun with a snapshot')
    return
  }
  const { answered, offers } = await askForSnapshots(components.host, init.peers)
  const useful = offers.filter(offer => isOfUse(offer, standing))
  // With a ledger one can begin without: a third may lie, and cost no more than their answers.
  if (standing.last !== null && useful.length * 3 <= answered) return
  for (const offer of useful) {
    if (signal.aborted) return
    try {
      return await take(components, init, { offer, standing }, signal)
    } catch (error) {
      if (signal.aborted) throw error
      const reason = isPekkaError(error) ? error.message : String(error)
      components.log.warn({ from: offer.address, index: offer.index, reason }, 'a snapshot was refused')
    }
  }
}

/**
 * Whether one goes on from it rather than from what is here. In the oldest epoch of which others keep blocks it is, since they are gone as soon as the
 * present one ends, and fetching may take longer. Nobody vouches for what an offer says.
 */
export const isOfUse = ({ index, epoch }: Pick<SnapshotOffer, 'index' | 'epoch'>, standing: Standing): boolean =>
  standing.last === null || (index > standing.last && epoch - KEPT_EPOCHS >= (standing.epoch ?? 0))

async function take(
  components: BeginComponents,
  { data, network, onFetch }: BeginInit,
  { offer, standing }: { offer: SnapshotOffer; standing: Standing },
  signal: AbortSignal
): Promise<void> {
  const incoming = `${data}.incoming`
  onFetch?.(offer)
  try {
    const check = (pieces: AsyncIterable<Uint8Array>) => checkSnapshot(components, network, pieces, offer)
    await fetchSnapshot(components.host, offer, incoming, check, signal)
    const { ledger } = await verifySnapshot(components, network, piecesOf(incoming))
    const { store } = components
    if (standing.last !== null) {
      await store.stop()
      await rename(data, await freeName(`${data}.until-${standing.last}`))
      await store.start()
    }
    await store.restore(ledger)
    components.log.info({ from: offer.address, index: offer.index }, 'begun with a snapshot')
  } finally {
    await rm(incoming, { force: true })
  }
}

async function standingOf(store: LedgerStore): Promise<Standing> {
  await store.start()
  if ((await store.genesis()) === null) return { last: null, epoch: null }
  return { last: store.last(), epoch: await new BlockKeeper(store.beside).lastEpoch() }
}

async function freeName(name: string): Promise<string> {
  for (let count = 1; ; count++) {
    const path = count === 1 ? name : `${name}-${count}`
    const free = await access(path).then(
      () => false,
      () => true
    )
    if (free) return path
  }
}
