import { createReadStream, createWriteStream } from 'node:fs'
import { open, rm } from 'node:fs/promises'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { z } from 'zod'
import { asPekkaError, bytesUpTo, PekkaError, whole } from '@pekka/node/protocol'
import { request, serveRequests, type NetworkHost } from '@pekka/node/host/network'
import {
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

/** What the witnesses at these addresses offer, the newest first; those that don't answer are left out. */
export async function askForSnapshots(
  host: NetworkHost,
  addresses: readonly string[],
  timeout = OFFER_TIMEOUT_MS
): Promise<SnapshotOffer[]> {
  const offers = await Promise.all(
    addresses.map(async address => {
      const options = { timeout, maxMessageBytes: MESSAGE_BYTES }
      const answer = await request(host, address, SNAPSHOT_PROTOCOL, { type: 'newest' }, offerSchema, options).catch(
        asPekkaError
      )
      if (answer instanceof PekkaError || answer.snapshot === null) return []
      return [{ address, ...answer.snapshot }]
    })
  )
  return offers.flat().sort((a, b) => b.index - a.index)
}

/**
 * Fetches what a witness offers into a file. Nothing of it is verified here.
 * @throws PekkaError SNAPSHOT_INVALID: larger than it said or than is taken; of the link
 */
export async function fetchSnapshot(
  host: NetworkHost,
  { address, index, size }: Pick<SnapshotOffer, 'address' | 'index' | 'size'>,
  path: string,
  signal: AbortSignal
): Promise<void> {
  if (size > MAX_SNAPSHOT_BYTES) throw new PekkaError('SNAPSHOT_INVALID', { issue: 'it is too large' })
  const parts = async function* (): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < size;) {
      const asked = { type: 'part', index, offset }
      const options = { signal, timeout: PART_TIMEOUT_MS, maxMessageBytes: MESSAGE_BYTES }
      const { bytes } = await request(host, address, SNAPSHOT_PROTOCOL, asked, partSchema, options)
      if (bytes.length === 0 || offset + bytes.length > size)
        throw new PekkaError('SNAPSHOT_INVALID', { issue: 'it ends early, or is larger than was said' })
      offset += bytes.length
      yield bytes
    }
  }
  try {
    await pipeline(Readable.from(parts()), createWriteStream(path, { mode: 0o600 }), { signal })
  } catch (error) {
    await rm(path, { force: true })
    throw error
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
