/**
 * What runs have sent, sealed, on disk: one append-only log per task, and sealed blobs by hash (DESIGN §4). The bridge
 * can open nothing of it.
 *
 * ```ts
 * const logs = await createEventLog({ index }, '/…/logs')
 * await logs.use(task, async log => {
 *   await log.appendRun(header)                       // written
 *   await log.appendFrames({ attempt: 1, run: 1 }, 0, sealed)
 *   await log.sync()                                  // durable: now `stored` may be signed
 *   const page = await log.read(0, PAGE_BYTES)        // CBOR of LogEntry each, in pieces (bytesOf joins them)
 * })
 * ```
 */
import { BlobStore } from './blobs.js'
import { EventLog, type EventLogComponents } from './event-log.js'

export { BlobStore } from './blobs.js'
export { EventLog } from './event-log.js'
export { TaskLog } from './task-log.js'
export { bytesOf, type RawEntry } from './entry.js'
export type { RunState } from './runs.js'
export * from './constants.js'

/** A small map that survives restarts; `level`'s sublevels fit. */
export interface LogIndex {
  get(key: string): Promise<Uint8Array | undefined>
  put(key: string, value: Uint8Array): Promise<void>
  del(key: string): Promise<void>
}

export const createEventLog = (components: EventLogComponents, directory: string): Promise<EventLog> =>
  EventLog.open(components, directory)

export const createBlobStore = (directory: string): Promise<BlobStore> => BlobStore.open(directory)
