import {
  decodeCbor,
  encodeCbor,
  taskViewSchema,
  type BRIDGE_STATES,
  type TaskItem,
  type TaskView
} from '@pekka/node/protocol'

/** One task as the bridge knows it. Everything private in it is sealed to others. */
export interface TaskRecord {
  task: Uint8Array
  account: Uint8Array
  /** Delegate that signed the offer: the lane the task belongs to (R38). */
  lane: Uint8Array
  /** Id of the offer transaction, and the task's place in it. */
  offer: Uint8Array
  index: number
  /** The task key for each candidate, in the offer's order. */
  boxes: Uint8Array[]
  /** Hash of the sealed bundle; it is inline in this table or a blob of the account. */
  bundle: Uint8Array
  inline: boolean
  note: Uint8Array
  bridge: (typeof BRIDGE_STATES)[number]
  code: string | null
  submittedAt: number
  view: TaskView | null
  /** Accounts of the candidates, in the offer's order, and the output that was offered for, bytes. */
  candidates: Uint8Array[]
  outputBytes: number
  /** When it was first seen to have ended; from here retention counts. */
  endedAt: number | null
}

export const encodeRecord = (record: TaskRecord): Uint8Array => encodeCbor(record)

/** Money is bigint inside; a small amount comes back from CBOR as a number. */
export function decodeRecord(bytes: Uint8Array): TaskRecord {
  // This process wrote it; the schema was checked when it came in.
  const record = decodeCbor(bytes) as TaskRecord
  return record.view === null ? record : { ...record, view: taskViewSchema.parse(record.view) }
}

export const toItem = (record: TaskRecord, entries: number): TaskItem => ({
  task: record.task,
  bridge: record.bridge,
  code: record.code,
  submittedAt: record.submittedAt,
  view: record.view,
  entries,
  note: record.note
})
