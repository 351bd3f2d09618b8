import { createReadStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { z } from 'zod'
import { asPekkaError, bytesUpTo, PekkaError, whole } from '@pekka/node/protocol'
import { request, serveRequests, type NetworkHost } from '@pekka/node/host/network'
import {
  FETCH_BASE_MS,
  FETCH_BYTES_PER_S,
  FETCH_MAX_MS,
  MAX_PARTS_AT_ONCE,
  MAX_SNAPSHOT_BYTES,
  OFFER_TIMEOUT_MS,
  PART_BYTES,
  PART_TIMEOUT_MS,
  SNAPSHOT_PROTOCOL
} from './constants.js'
import type { KeptSnapshot, SnapshotMaker } from './make.js'

const requestSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('newest') }),
  z.strictObject({ type: z.literal('part'), index: whole, offset: whole })
])

const offerSchema = z.strictObject({
  snapshot: z.strictObject({ index: whole, epoch: whole, size: whole.min(1) }).nullable()
})
/** Empty: it isn't kept any more, or too many ask at once. */
const partSchema = z.strictObject({ bytes: bytesUpTo(PART_BYTES) })
/** CBOR around a part. */
const MESSAGE_BYTES = PART_BYTES + 1_024

/** A snapshot that a witness says it has. */
export interface SnapshotOffer {
  address: string
  /** The commit that it is after, and the epoch that begins then. */
  index: number
  epoch: number
  size: number
}

/** Gives others the snapshots of this witness, a part at a time. */
export async function serveSnapshots(host: NetworkHost, maker: Pick<SnapshotMaker, 'newest' | 'kept'>): Promise<void> {
  let reading = 0
  await serveRequests(
    host,
    SNAPSHOT_PROTOCOL,
    requestSchema,
    async asked => {
      if (asked.type === 'newest') {
        const newest = await maker.newest()
        return { snapshot: newest === null ? null : { index: newest.index, epoch: newest.epoch, size: newest.size } }
      }
      const kept = (await maker.kept()).find(({ index }) => index === asked.index)
      if (kept === undefined || asked.offset >= kept.size || reading >= MAX_PARTS_AT_ONCE)
        return { bytes: new Uint8Array() }
      reading += 1
      try {
        return { bytes: await readPart(kept, asked.offset) }
      } finally {
        reading -= 1
      }
    },
    { maxMessageBytes: MESSAGE_BYTES, maxInboundStreams: MAX_PARTS_AT_ONCE }
  )
}

async function readPart({ path }: KeptSnapshot, offset: number): Promise<Uint8Array> {
  const handle = await open(path, 'r')
  try {
    const buffer = new Uint8Array(PART_BYTES)
    const { bytesRead } = await handle.read(buffer, 0, PART_BYTES, offset)
    return buffer.subarray(0, bytesRead)
  } finally {
    await handle.close()
  }
}

/** What witnesses say they have. */
export interface Offers {
  /** How many have answered, also those that have none. */
  answered: number
  /** First what most of them name; among those that are named alike often the newest. */
  offers: SnapshotOffer[]
}

/** What the witnesses at these addresses offer. Nobody vouches for what they say. */
export async function askForSnapshots(
  host: NetworkHost,
  addresses: readonly string[],
  timeout = OFFER_TIMEOUT_MS
): Promise<Offers> {
  const answers = await Promise.all(
    addresses.map(async address => {
      const options = { timeout, maxMessageBytes: MESSAGE_BYTES }
      const answer = await request(host, address, SNAPSHOT_PROTOCOL, { type: 'newest' }, offerSchema, options).catch(
        asPekkaError
      )
      return answer instanceof PekkaError ? [] : [{ address, snapshot: answer.snapshot }]
    })
  )
  const answered = answers.flat()
  const offers = answered.flatMap(({ address, snapshot }) => (snapshot === null ? [] : [{ address, ...snapshot }]))
  return { answered: answered.length, offers: inOrder(offers) }
}

/** One liar's word stands behind what two witnesses say. */
export function inOrder(offers: readonly SnapshotOffer[]): SnapshotOffer[] {
  const named = ({ index, epoch }: SnapshotOffer): number =>
    offers.filter(other => other.index === index && other.epoch === epoch).length
  return [...offers].sort((a, b) => named(b) - named(a) || b.index - a.index)
}

/** How long one of this size may take, ms. */
export const timeFor = (size: number): number =>
  Math.min(FETCH_MAX_MS, FETCH_BASE_MS + Math.ceil((size / FETCH_BYTES_PER_S) * 1_000))

/**
 * Fetches what a witness offers into a file, and hands it on as it comes: where `read` throws nothing more is fetched. It is here whole when this resolves.
 * @throws PekkaError SNAPSHOT_INVALID: larger than it said or than is taken; LINK_TIMEOUT; of the link; what `read` throws
 */
export async function fetchSnapshot(
  host: NetworkHost,
  { address, index, size }: Pick<SnapshotOffer, 'address' | 'index' | 'size'>,
  path: string,
  read: (pieces: AsyncIterable<Uint8Array>) => Promise<void>,
  signal: AbortSignal,
  time = timeFor(size)
): Promise<void> {
  if (size > MAX_SNAPSHOT_BYTES) throw new PekkaError('SNAPSHOT_INVALID', { issue: 'it is too large' })
  const limit = AbortSignal.timeout(time)
  const options = {
    signal: AbortSignal.any([signal, limit]),
    timeout: PART_TIMEOUT_MS,
    maxMessageBytes: MESSAGE_BYTES
  }
  const file = await open(path, 'w', 0o600)
  let offset = 0
  const parts = async function* (): AsyncGenerator<Uint8Array> {
    while (offset < size) {
      const asked = { type: 'part', index, offset }
      const { bytes } = await request(host, address, SNAPSHOT_PROTOCOL, asked, partSchema, options)
      // Smaller ones would make any number of questions of it.
      if (bytes.length !== Math.min(PART_BYTES, size - offset))
        throw new PekkaError('SNAPSHOT_INVALID', { issue: 'a part is not as large as was said' })
      await file.writeFile(bytes)
      offset += bytes.length
      yield bytes
    }
  }
  try {
    await read(parts())
    if (offset < size) throw new PekkaError('SNAPSHOT_INVALID', { issue: 'there is more behind its end' })
  } catch (error) {
    await rm(path, { force: true })
    signal.throwIfAborted()
    if (limit.aborted) throw new PekkaError('LINK_TIMEOUT', { seconds: Math.round(time / 1_000) }, { cause: error })
    throw error
  } finally {
    await file.close()
  }
}

/** The bytes of a file, piece by piece. */
export async function* piecesOf(path: string): AsyncGenerator<Uint8Array> {
  for await (const piece of createReadStream(path, { highWaterMark: PART_BYTES })) {
    // A stream without an encoding gives buffers.
    const buffer = piece as Buffer
    yield new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  }
}
