import { createHash } from 'node:crypto'
import {
  BLOB_CHUNK,
  BLOB_PROTOCOL,
  MAX_BLOB_BYTES,
  PekkaError,
  blobAnswerSchema,
  blobRequestSchema,
  concat,
  equalBytes,
  type BlobAnswer,
  type BlobRequest
} from '@pekka/node/protocol'
import { SILENCE_LIMIT_MS } from './constants.js'
import type { MessageChannel, NetworkHost } from './index.js'
import { TypedChannel } from './typed-channel.js'

/** Room for a chunk; requests and answers are small. */
const MESSAGE_BYTES = BLOB_CHUNK + 1024

/** Which sealed bytes: those of `hash`, as part of `task`. */
export interface BlobName {
  task: Uint8Array
  hash: Uint8Array
}

/** What a bridge (or a provider that serves its bundles) does with requests for blobs. */
export interface BlobService {
  /** The blob, or null where it isn't here or isn't for this peer. */
  get(name: BlobName, peer: string): Promise<{ size: number; chunks: AsyncIterable<Uint8Array> } | null>
  /**
   * Takes a blob. The chunks throw when they aren't the `size` bytes of `name.hash`, so keep nothing before their end.
   * @throws PekkaError whose code is told to the peer
   */
  put(name: BlobName & { size: number }, chunks: AsyncIterable<Uint8Array>, peer: string): Promise<void>
}

/** Serves `/pekka/blob/1`. */
export async function serveBlobs(host: NetworkHost, service: BlobService): Promise<void> {
  await host.handle(
    BLOB_PROTOCOL,
    async (channel, stopping) => {
      const typed = new TypedChannel<BlobRequest, BlobAnswer>(channel, blobRequestSchema)
      const asked = await typed.expect(waiting(stopping))
      if (asked.kind === 'get') await answerGet(typed, service, asked, stopping)
      else await answerPut(typed, service, asked, stopping)
      await channel.close()
    },
    { maxMessageBytes: MESSAGE_BYTES }
  )
}

async function answerGet(
  typed: TypedChannel<BlobRequest, BlobAnswer>,
  service: BlobService,
  { task, hash }: BlobName,
  stopping: AbortSignal
): Promise<void> {
  const found = await service.get({ task, hash }, typed.remotePeer)
  if (found === null) return await typed.send({ kind: 'missing' }, waiting(stopping))
  await typed.send({ kind: 'bytes', size: found.size }, waiting(stopping))
  await sendChunks(typed.channel, found.chunks, stopping)
}

async function answerPut(
  typed: TypedChannel<BlobRequest, BlobAnswer>,
  service: BlobService,
  { task, hash, size }: BlobName & { size: number },
  stopping: AbortSignal
): Promise<void> {
  try {
    await service.put({ task, hash, size }, receiveChunks(typed.channel, hash, size, stopping), typed.remotePeer)
  } catch (error) {
    if (!(error instanceof PekkaError) || error.code.startsWith('LINK_')) throw error
    return await typed.send({ kind: 'refused', code: error.code }, waiting(stopping))
  }
  await typed.send({ kind: 'stored' }, waiting(stopping))
}

/**
 * Fetches a blob of at most `maxBytes`; null where the other side hasn't got it.
 * @throws PekkaError BLOB_MISMATCH, BLOB_TOO_LARGE, LINK_…
 */
export async function fetchBlob(
  host: NetworkHost,
  address: string,
  name: BlobName,
  maxBytes: number,
  signal: AbortSignal
): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = []
  const keep = async (chunk: Uint8Array): Promise<void> => void chunks.push(chunk)
  return (await fetchBlobTo(host, address, name, maxBytes, keep, signal)) ? concat(...chunks) : null
}

/**
 * As {@link fetchBlob}, handed on piece by piece. `take` must keep nothing where this rejects: the hash is known at the end.
 * @returns false where the other side hasn't got it
 * @throws PekkaError BLOB_MISMATCH, BLOB_TOO_LARGE, LINK_…; what `take` throws
 */
export async function fetchBlobTo(
  host: NetworkHost,
  address: string,
  name: BlobName,
  maxBytes: number,
  take: (chunk: Uint8Array) => Promise<void>,
  signal: AbortSignal
): Promise<boolean> {
  const typed = await openBlobs(host, address, signal)
  try {
    await typed.send({ kind: 'get', ...name }, waiting(signal))
    await typed.channel.closeWrite(waiting(signal))
    const answer = await typed.expect(waiting(signal))
    if (answer.kind !== 'bytes') return false
    if (answer.size > maxBytes) throw new PekkaError('BLOB_TOO_LARGE', { max: maxBytes })
    for await (const chunk of receiveChunks(typed.channel, name.hash, answer.size, signal)) await take(chunk)
    return true
  } finally {
    typed.channel.close().catch(() => {})
  }
}

/**
 * Hands a blob over; resolves when the other side says that it is stored.
 * @throws PekkaError with the code of a refusal, LINK_…
 */
export async function putBlob(
  host: NetworkHost,
  address: string,
  name: BlobName,
  bytes: Uint8Array,
  signal: AbortSignal
): Promise<void> {
  const typed = await openBlobs(host, address, signal)
  try {
    await typed.send({ kind: 'put', ...name, size: bytes.length }, waiting(signal))
    await sendChunks(typed.channel, cut(bytes), signal)
    await typed.channel.closeWrite(waiting(signal))
    const answer = await typed.expect(waiting(signal))
    if (answer.kind === 'stored') return
    const code = answer.kind === 'refused' ? answer.code : answer.kind
    throw new PekkaError(code === 'BLOB_TOO_LARGE' ? code : 'BRIDGE_BUSY', { max: MAX_BLOB_BYTES, code })
  } finally {
    typed.channel.close().catch(() => {})
  }
}

/**
 * A connection of its own: on a slow line a blob of 60 MB would otherwise keep pings and lease renewals waiting behind it
 * for minutes (one window of 4 MiB alone takes 33 s at 1 Mbit/s).
 */
async function openBlobs(
  host: NetworkHost,
  address: string,
  signal: AbortSignal
): Promise<TypedChannel<BlobAnswer, BlobRequest>> {
  const channel = await host.open(address, BLOB_PROTOCOL, { signal, maxMessageBytes: MESSAGE_BYTES, separate: true })
  return new TypedChannel<BlobAnswer, BlobRequest>(channel, blobAnswerSchema)
}

async function sendChunks(
  channel: MessageChannel,
  chunks: AsyncIterable<Uint8Array>,
  signal: AbortSignal
): Promise<void> {
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += BLOB_CHUNK) {
      await channel.send(chunk.subarray(at, at + BLOB_CHUNK), waiting(signal))
    }
  }
}

async function* receiveChunks(
  channel: MessageChannel,
  hash: Uint8Array,
  size: number,
  signal: AbortSignal
): AsyncGenerator<Uint8Array, void, undefined> {
  const hasher = createHash('sha256')
  let left = size
  while (left > 0) {
    const chunk = await channel.receive(waiting(signal))
    if (chunk === null || chunk.length === 0 || chunk.length > left) throw new PekkaError('BLOB_MISMATCH')
    left -= chunk.length
    hasher.update(chunk)
    // the last one only when the whole is right
    if (left === 0 && !equalBytes(new Uint8Array(hasher.digest()), hash)) throw new PekkaError('BLOB_MISMATCH')
    yield chunk
  }
  if (size === 0 && !equalBytes(new Uint8Array(hasher.digest()), hash)) throw new PekkaError('BLOB_MISMATCH')
}

async function* cut(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  for (let at = 0; at < bytes.length; at += BLOB_CHUNK) yield bytes.subarray(at, at + BLOB_CHUNK)
}

/** Each step may take so long; a transfer as a whole may take as long as it moves. */
const waiting = (signal: AbortSignal): AbortSignal => AbortSignal.any([signal, AbortSignal.timeout(SILENCE_LIMIT_MS)])
