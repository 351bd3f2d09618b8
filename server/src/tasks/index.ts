/**
 * The bridge's own table of tasks, in level. Idempotency lives here, not in the queue: BullMQ forgets a job's id once the
 * job is gone. What a client was promised with `202` is on the disk before it is answered; what the ledger says is kept
 * beside it and can be read from the ledger again.
 */
export { TaskStore, type NewOffer } from './store.js'
export { GroupWriter } from './group-writer.js'
export { BlobRefs } from './blob-refs.js'
export { Uploads } from './uploads.js'
export type { Table } from './store.js'
export { toItem, type TaskRecord } from './record.js'
