import { createHash } from 'node:crypto'
import {
  BOX_BYTES,
  PekkaError,
  decodeBundle,
  equalBytes,
  openBox,
  openBundle,
  openSigned,
  padme,
  MAX_BUNDLE_BYTES,
  type Ask,
  type Bundle,
  type OfferTask,
  type Primitives
} from '@pekka/node/protocol'
import type { Prepared } from './extras.js'
import type { KemKeys } from '../ledger/kem-keys.js'

/** An offer that names us, checked as far as its public terms go. */
export interface NamedOffer {
  offer: OfferTask
  /** Account and delegate key of the client. */
  account: Uint8Array
  lane: Uint8Array | null
  /** Our place in the list of candidates. */
  candidate: number
  ask: Ask
}

/** A task that could be opened: all that R9 asks for before `accept`. */
export interface OpenedTask extends NamedOffer {
  taskKey: Uint8Array
  bundle: Bundle
  sealedBundle: Uint8Array
  /** Sealed parts of what travels, by hash: those fetched before `accept`. */
  parts: Map<string, Uint8Array>
  /** Packages on top of the image, on this machine; null where it needs none. */
  extras: Prepared | null
}

export interface IntakeComponents {
  primitives: Primitives
  kem: KemKeys
  /** Our live ask of that id. */
  ask: (id: Uint8Array) => Ask | undefined
  /** What we are paid a second for a task that we won in an auction (R31), as the ledger says; null: it was none. */
  awarded?: (task: Uint8Array) => Promise<bigint | null>
}

export interface IntakeInit {
  network: Uint8Array
  provider: Uint8Array
}

const refuse = (issue: string): PekkaError => new PekkaError('BUNDLE_REFUSED', { issue })

/**
 * Reads the signed offer of a notice: its signatures, that it names us at our own ask and price, and that what it wants is what the ask
 * sells. The bridge that hands it over is believed nothing.
 * @throws PekkaError BUNDLE_REFUSED, SIGNATURE_INVALID, and what reading a transaction throws
 */
export async function readOffer(
  { primitives, ask: liveAsk, awarded }: IntakeComponents,
  { network, provider }: IntakeInit,
  transaction: Uint8Array,
  task: Uint8Array
): Promise<NamedOffer> {
  const signed = await openSigned(transaction, primitives.verifier)
  const { body, account, key } = signed.transaction
  if (!equalBytes(signed.transaction.network, network)) throw refuse('it is for another network')
  if (body.kind !== 'offer') throw refuse('it is no offer')
  const offer = body.tasks.find(one => equalBytes(one.task, task))
  if (offer === undefined) throw refuse('the offer has no such task')
  const candidate = offer.candidates.findIndex(one => equalBytes(one.provider, provider))
  const named = offer.candidates[candidate]
  if (named === undefined) throw refuse('it names other machines')
  const ask = liveAsk(named.ask)
  if (ask === undefined) throw refuse('the ask has ended')
  if (named.pricePerSecond !== ask.pricePerSecond && named.pricePerSecond !== (await awarded?.(task)))
    throw refuse('the price is another one')
  if (offer.session !== null && ask.holdPricePerSecond === null)
    throw refuse('it wants a session, and this machine keeps none')
  if (offer.session !== null && named.holdPricePerSecond !== ask.holdPricePerSecond)
    throw refuse('the price of waiting is another one')
  if (!equalBytes(offer.image.digest, ask.image.digest)) throw refuse('the image is another one')
  const { resources } = offer
  if (resources.milliCpus > ask.resources.milliCpus) throw refuse('it wants more CPUs')
  if (resources.memoryBytes > ask.resources.memoryBytes) throw refuse('it wants more memory')
  if (resources.diskBytes > ask.resources.diskBytes) throw refuse('it wants more disk')
  if (offer.bundle.size > padme(MAX_BUNDLE_BYTES + 4) + 16) throw refuse('the bundle is too large')
  return { offer, account, lane: key, candidate, ask }
}

/**
 * Opens box and bundle (R9): the key must match the offer's commitment, the bundle its hash and size, and its content this version.
 * @throws PekkaError BUNDLE_REFUSED, SEAL_BROKEN, KEY_REFUSED
 */
export async function openTask(
  { primitives, kem }: IntakeComponents,
  { network, provider }: IntakeInit,
  named: NamedOffer,
  box: Uint8Array,
  sealedBundle: Uint8Array
): Promise<OpenedTask> {
  const { offer, ask } = named
  const { task } = offer
  if (box.length !== BOX_BYTES) throw refuse('the box has a wrong size')
  const key = kem.get(ask.ask)
  if (key === undefined) throw refuse('the key it is boxed to is gone')
  const binding = { network, task, provider, ask: ask.ask }
  const taskKey = await openBox(primitives, box, key.privateKey, binding, offer.keyCommit)
  if (sealedBundle.length !== offer.bundle.size) throw refuse('the bundle has another size')
  const hash = new Uint8Array(createHash('sha256').update(sealedBundle).digest())
  if (!equalBytes(hash, offer.bundle.hash)) throw refuse('the bundle has another hash')
  const bundle = decodeBundle(await openBundle(primitives.aead, taskKey, { network, task }, sealedBundle))
  if (offer.session !== null && bundle.program.kind !== 'cells') throw refuse('a session runs cells, no script')
  return { ...named, taskKey, bundle, sealedBundle, parts: new Map(), extras: null }
}
