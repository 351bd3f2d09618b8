import {
  PekkaError,
  contentHash,
  equalBytes,
  objectId,
  openSigned,
  type Clock,
  type OfferTask,
  type Submit,
  type Verifier
} from '@pekka/node/protocol'
import type { BlobStore } from '../eventlog/index.js'
import type { DiskSpace } from '../disk.js'
import type { LedgerMirror } from '../ledger/index.js'
import type { Metrics } from '../metrics.js'
import type { BlobRefs, TaskRecord, TaskStore } from '../tasks/index.js'
import type { Grant } from './tokens.js'

export interface SubmitComponents {
  store: TaskStore
  refs: BlobRefs
  blobs: BlobStore
  mirror: LedgerMirror
  verifier: Verifier
  clock: Clock
  metrics: Metrics
  disk: DiskSpace
  network: Uint8Array
  /** Adds a task's job. */
  enqueue: (task: Uint8Array) => void
}

type Sent = Submit['tasks'][number]

/**
 * Takes an offer in. Resolves when offer, bundles and boxes are on the disk; the way to the ledger begins meanwhile, which
 * loses nothing: who got no answer sends the same ids again (R13).
 * @throws PekkaError TRANSACTION_INVALID, SIGNATURE_INVALID, NETWORK_MISMATCH, BODY_NOT_ALLOWED, TRANSACTION_EXPIRED,
 *   BLOB_MISMATCH, BLOB_UNKNOWN, OBJECT_EXISTS, BRIDGE_FULL
 */
export async function submitTasks(
  components: SubmitComponents,
  grant: Grant,
  submit: Submit
): Promise<{ tasks: Uint8Array[]; transaction: Uint8Array }> {
  const { store, mirror, clock, network, metrics } = components
  await components.disk.require('intake')
  const { transaction, id } = await openSigned(submit.transaction, components.verifier)
  const { body, key, account } = transaction
  if (!equalBytes(transaction.network, network)) throw new PekkaError('NETWORK_MISMATCH')
  if (body.kind !== 'offer' || key === null) throw new PekkaError('BODY_NOT_ALLOWED', { body: body.kind })
  if (!equalBytes(account, grant.account) || (grant.lane !== null && !equalBytes(key, grant.lane)))
    throw new PekkaError('BODY_NOT_ALLOWED', { body: 'offer' })
  if (transaction.expiry <= mirror.now.timestamp) throw new PekkaError('TRANSACTION_EXPIRED')
  if (body.tasks.length !== submit.tasks.length)
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'tasks and boxes differ in number' })
  const now = clock.now()
  const tasks = []
  const all: Uint8Array[] = []
  for (const [index, terms] of body.tasks.entries()) {
    const sent = submit.tasks[index]
    if (sent === undefined) throw new PekkaError('TRANSACTION_INVALID', { issue: 'a task is missing' })
    all.push(terms.task)
    await checkTask(components, account, terms, sent)
    const known = await store.get(terms.task)
    if (known !== null && !mayReplace(known, account, key)) throw new PekkaError('OBJECT_EXISTS')
    // A resend: what is on the ledger, or on its way there with these very bytes, stays as it is.
    if (known !== null && (known.bridge === 'on-ledger' || (known.bridge === 'queued' && equalBytes(known.offer, id))))
      continue
    tasks.push({ terms, index, ...sent, submittedAt: known?.submittedAt ?? now, endedAt: known?.endedAt ?? null })
  }
  if (tasks.length > 0) {
    const offer = { transaction: submit.transaction, id, account, lane: key, tasks }
    const { records, durable } = store.add(offer)
    for (const { task } of records) components.enqueue(task)
    try {
      await durable
    } catch (error) {
      store.forget(records)
      throw error
    }
    metrics.tasksSubmitted.inc(records.length)
  } else await store.settled()
  return { tasks: all, transaction: id }
}

async function checkTask(
  components: SubmitComponents,
  account: Uint8Array,
  terms: OfferTask,
  sent: Sent
): Promise<void> {
  if (!equalBytes(objectId(account, terms.nonce), terms.task))
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'a task id does not belong to the account' })
  if (sent.boxes.length !== terms.candidates.length)
    throw new PekkaError('TRANSACTION_INVALID', { issue: 'candidates and boxes differ in number' })
  for (const { hash, size } of sent.parts)
    if ((await components.blobs.size(account, hash)) !== size) throw new PekkaError('BLOB_UNKNOWN')
  const hashes = sent.parts.map(({ hash }) => hash)
  await components.refs.addAll(account, terms.task, hashes, true)
  const { hash, size } = terms.bundle
  if (sent.bundle !== null) {
    if (sent.bundle.length !== size || !equalBytes(contentHash(sent.bundle), hash))
      throw new PekkaError('BLOB_MISMATCH')
    return
  }
  if ((await components.blobs.size(account, hash)) !== size) throw new PekkaError('BLOB_UNKNOWN')
  await components.refs.add(account, terms.task, hash)
}

/** An id is its first sender's; only that lane may send it again. */
const mayReplace = (known: TaskRecord, account: Uint8Array, lane: Uint8Array): boolean =>
  equalBytes(known.account, account) && equalBytes(known.lane, lane)
