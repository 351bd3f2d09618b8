import { INLINE_PAYLOAD_BYTES, type BlobRef, type TaskEvent } from '@pekka/node/protocol'

/**
 * About how many bytes an event takes in a frame. Text counts as UTF-16 units: near enough for batching, where only its order of
 * magnitude matters.
 */
export function sizeOf(event: TaskEvent): number {
  const base = 64
  switch (event.type) {
    case 'stream':
      return base + (isReference(event.text) ? 64 : event.text.length)
    case 'display_data':
    case 'update_display_data':
    case 'execute_result':
      return base + Object.values(event.data).reduce<number>((sum, value) => sum + sizeOfValue(value), 0)
    case 'error':
      return base + event.evalue.length + event.traceback.reduce((sum, line) => sum + line.length, 0)
    case 'files':
      return base + event.files.reduce((sum, file) => sum + entrySize(file), 0)
    case 'values':
      return base + event.values.reduce((sum, value) => sum + entrySize(value), 0)
    default:
      return base
  }
}

/** Of something that came back: its names, and about 60 bytes for each part. */
const entrySize = ({ name, parts = [] }: { name: string; parts?: BlobRef[] | undefined }): number =>
  128 + name.length + 60 * parts.length

const sizeOfValue = (value: unknown): number =>
  typeof value === 'string' ? value.length : isReference(value) ? 64 : (JSON.stringify(value)?.length ?? 4)

const isReference = (value: unknown): value is BlobRef =>
  value !== null && typeof value === 'object' && 'blob' in value && 'hash' in value && value.hash instanceof Uint8Array

/** The event with every value over 256 KiB taken out and put into a blob (DESIGN §6). */
export async function takeOutLarge(event: TaskEvent, blob: (value: unknown) => Promise<BlobRef>): Promise<TaskEvent> {
  if (event.type === 'stream') {
    if (isReference(event.text) || event.text.length <= INLINE_PAYLOAD_BYTES) return event
    return { ...event, text: await blob(event.text) }
  }
  if (event.type !== 'display_data' && event.type !== 'update_display_data' && event.type !== 'execute_result')
    return event
  const large = Object.entries(event.data).filter(([, value]) => sizeOfValue(value) > INLINE_PAYLOAD_BYTES)
  if (large.length === 0) return event
  const data = { ...event.data }
  for (const [mime, value] of large) data[mime] = await blob(value)
  return { ...event, data }
}
