import { MAX_BLOB_BYTES, MAX_RETURN_BYTES, PekkaError, equalBytes, isPekkaError } from '@pekka/node/protocol'
import type { BlobName, BlobService } from '@pekka/node/host/network'
import type { DiskSpace } from '../disk.js'
import type { BlobStore } from '../eventlog/index.js'
import type { BlobRefs, TaskRecord, TaskStore } from '../tasks/index.js'
import { BLOB_SLACK_BYTES } from './constants.js'

export interface ProviderBlobsComponents {
  store: TaskStore
  refs: BlobRefs
  blobs: BlobStore
  disk: DiskSpace
  /** What belongs to no client: packages and inputs, by hash. */
  shared: (hash: Uint8Array) => Promise<{ size: number; chunks: AsyncIterable<Uint8Array> } | null>
  /** Account of a peer that is on a link. */
  providerOf: (peer: string) => Uint8Array | undefined
  /** Called where there was no room: the provider sends it again over the next link. */
  full: (provider: Uint8Array) => void
  /** Called when a blob is there. */
  stored: (provider: Uint8Array, name: BlobName) => void
}

/** Sealed blobs over libp2p: bundles and what travels with them to the candidates, large outputs from them. Peers without a link get nothing. */
export class ProviderBlobs implements BlobService {
  constructor(private readonly components: ProviderBlobsComponents) {}

  async get(
    { task, hash }: BlobName,
    peer: string
  ): Promise<{ size: number; chunks: AsyncIterable<Uint8Array> } | null> {
    const record = await this.#record(task, peer)
    if (record === null) return null
    const isBundle = equalBytes(record.bundle, hash)
    if (!isBundle && !(await this.components.refs.isInput(record.account, task, hash)))
      return this.components.shared(hash)
    if (isBundle && record.inline) {
      const bytes = await this.components.store.bundle(task)
      return bytes === null ? null : { size: bytes.length, chunks: one(bytes) }
    }
    const size = await this.components.blobs.size(record.account, hash)
    return size === null ? null : { size, chunks: this.components.blobs.read(record.account, hash) }
  }

  async put(
    { task, hash, size }: BlobName & { size: number },
    chunks: AsyncIterable<Uint8Array>,
    peer: string
  ): Promise<void> {
    const record = await this.#record(task, peer)
    if (record === null) throw new PekkaError('TASK_UNKNOWN')
    const { refs, blobs, disk } = this.components
    let used = 0
    for (const known of await refs.outputs(record.account, task)) used += (await blobs.size(record.account, known)) ?? 0
    const room = (record.outputBytes + MAX_RETURN_BYTES) * record.candidates.length + BLOB_SLACK_BYTES - used
    if (size > Math.min(room, MAX_BLOB_BYTES)) throw new PekkaError('BLOB_TOO_LARGE', { max: Math.max(0, room) })
    try {
      await disk.require('output')
      await blobs.put(record.account, hash, chunks, size)
    } catch (error) {
      if (isPekkaError(error) && error.code === 'BRIDGE_FULL') this.components.full(this.#provider(peer))
      throw error
    }
    await refs.add(record.account, task, hash)
    this.components.stored(this.#provider(peer), { task, hash })
  }

  /** The task, where this peer is one of its candidates. */
  async #record(task: Uint8Array, peer: string): Promise<TaskRecord | null> {
    const provider = this.components.providerOf(peer)
    if (provider === undefined) return null
    const record = await this.components.store.get(task)
    return record?.candidates.some(candidate => equalBytes(candidate, provider)) === true ? record : null
  }

  #provider(peer: string): Uint8Array {
    const provider = this.components.providerOf(peer)
    if (provider === undefined) throw new PekkaError('PEER_NOT_VOUCHED')
    return provider
  }
}

async function* one(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes
}
