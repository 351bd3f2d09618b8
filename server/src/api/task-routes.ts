import { pipeline } from 'node:stream/promises'
import { z } from 'zod'
import {
  PekkaError,
  decodeCbor,
  equalBytes,
  eventsSchema,
  hex32,
  missingRequestSchema,
  missingSchema,
  proofSchema,
  settlementMessage,
  submitSchema,
  submittedSchema,
  taskItemSchema,
  taskListSchema,
  type LedgerAccess,
  type Signer
} from '@pekka/node/protocol'
import { bytesOf, type EventLog } from '../eventlog/index.js'
import type { Uploads } from '../tasks/index.js'
import { owns } from './app.js'
import {
  EVENT_PAGE_BYTES,
  MAX_BUNDLE_BLOB,
  MISSING_BODY,
  MAX_EVENT_PAGE,
  MAX_TASK_PAGE,
  TASKS_BODY,
  TASK_PAGE
} from './constants.js'
import { itemOf, withCurrentView } from './items.js'
import { route, type Route } from './route.js'
import { submitTasks, type SubmitComponents } from './submit.js'

export interface TaskRoutesComponents extends SubmitComponents {
  ledger: LedgerAccess
  logs: EventLog
  uploads: Uploads
  /** The bridge's key: signs how a task ended, as the bridge saw it (R14c). */
  signer: Signer
}

const number = (max: number, standard: number) => z.coerce.number().int().min(1).max(max).default(standard)
const blobQuery = z.strictObject({ task: hex32 })
const listQuery = z.strictObject({
  before: z
    .string()
    .regex(/^[0-9]{15}-[0-9a-f]{64}$/)
    .optional(),
  limit: number(MAX_TASK_PAGE, TASK_PAGE)
})
const eventsQuery = z.strictObject({
  after: z.coerce.number().int().min(-1).default(-1),
  limit: number(MAX_EVENT_PAGE, MAX_EVENT_PAGE)
})

/** Routes about tasks and what belongs to them. */
export function taskRoutes(components: TaskRoutesComponents): Route[] {
  const { store, refs, blobs, disk, uploads, logs, ledger, signer, network } = components
  return [
    route({
      method: 'put',
      path: '/v1/blobs/:cid',
      summary: 'A sealed bundle, before the task that names it',
      auth: 'token',
      status: 204,
      handle: async ({ path, grant, request }) => {
        await disk.require('intake')
        const length = Number(request.headers['content-length'] ?? NaN)
        const declared = Number.isSafeInteger(length) ? length : undefined
        await uploads.put(grant.account, path.cid, declared, MAX_BUNDLE_BLOB, max =>
          blobs.put(grant.account, path.cid, request, max)
        )
      }
    }),
    route({
      method: 'post',
      path: '/v1/blobs/missing',
      summary: 'Which of these sealed parts must be PUT before a task that names them',
      auth: 'token',
      body: missingRequestSchema,
      bodyLimit: MISSING_BODY,
      answer: missingSchema,
      handle: async ({ body, grant }) => {
        const missing: Uint8Array[] = []
        for (const hash of body.hashes) if (!(await blobs.touch(grant.account, hash))) missing.push(hash)
        return { missing }
      }
    }),
    route({
      method: 'get',
      path: '/v1/blobs/:cid',
      summary: 'Sealed bytes that belong to an own task',
      auth: 'token',
      query: blobQuery,
      handle: async ({ path, query, grant, response }) => {
        const record = await store.get(query.task)
        if (record === null || !owns(grant, record)) throw new PekkaError('TASK_UNKNOWN')
        response.setHeader('Cache-Control', 'private, max-age=31536000, immutable')
        response.setHeader('Content-Disposition', 'attachment')
        response.type('application/octet-stream')
        if (record.inline && equalBytes(record.bundle, path.cid)) {
          const bundle = await store.bundle(record.task)
          if (bundle === null) throw new PekkaError('BLOB_UNKNOWN')
          response.send(Buffer.from(bundle))
          return
        }
        const size = (await refs.has(record.account, record.task, path.cid))
          ? await blobs.size(record.account, path.cid)
          : null
        if (size === null) throw new PekkaError('BLOB_UNKNOWN')
        response.setHeader('Content-Length', size)
        await pipeline(blobs.read(record.account, path.cid), response)
      }
    }),
    route({
      method: 'post',
      path: '/v1/tasks',
      summary: 'One signed offer with boxes and sealed bundles; answered when it is on the disk',
      auth: 'token',
      body: submitSchema,
      bodyLimit: TASKS_BODY,
      status: 202,
      answer: submittedSchema,
      handle: ({ body, grant }) => submitTasks(components, grant, body)
    }),
    route({
      method: 'get',
      path: '/v1/tasks',
      summary: 'Own tasks, newest first',
      auth: 'token',
      query: listQuery,
      answer: taskListSchema,
      handle: async ({ query, grant }) => {
        const { records, next } = await store.list(grant.account, grant.lane, query.before ?? null, query.limit)
        return { tasks: await Promise.all(records.map(record => itemOf(logs, record))), next }
      }
    }),
    route({
      method: 'get',
      path: '/v1/tasks/:task',
      summary: 'An own task',
      auth: 'token',
      answer: taskItemSchema,
      handle: async ({ record }) => itemOf(logs, await withCurrentView(components, record))
    }),
    route({
      method: 'get',
      path: '/v1/tasks/:task/events',
      summary: 'Entries of the event log after a number; never held open',
      auth: 'token',
      query: eventsQuery,
      answer: eventsSchema,
      handle: ({ record, query }) =>
        logs.use(record.task, async log => ({
          entries: (await log.read(query.after + 1, EVENT_PAGE_BYTES, query.limit)).map(entry =>
            decodeCbor(bytesOf(entry))
          ),
          end: log.end
        }))
    }),
    route({
      method: 'get',
      path: '/v1/tasks/:task/proof',
      summary: 'What a receipt needs: the view, the signed transactions that moved the task, and the bridge’s word',
      auth: 'token',
      answer: proofSchema,
      handle: async ({ record }) => {
        const { view } = await withCurrentView(components, record)
        if (view === null) throw new PekkaError('TASK_UNKNOWN')
        const found = await Promise.all(view.transactions.map(id => ledger.transaction(id)))
        const transactions = found.flatMap(one => (one === null ? [] : [one.bytes]))
        const signature = await signer.sign(settlementMessage(network, view))
        return { view, transactions, settlement: { key: signer.publicKey, signature } }
      }
    })
  ]
}
