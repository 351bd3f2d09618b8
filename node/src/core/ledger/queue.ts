import { toHex } from '../protocol/index.js'
import { queueKey, timeKey, timeOfKey, type Row } from './rows.js'
import type { Reader, View } from './view.js'

/** Two sorted queues in the state: `timer` runs in contract time (R12), `expiry` by the commits' timestamps. */

export const schedule = (view: View, at: number, kind: Row<'timer'>['kind'], id: Uint8Array): void =>
  view.put('timer', queueKey(at, kind, id), { kind, id })

export const unschedule = (view: View, at: number, kind: Row<'timer'>['kind'], id: Uint8Array): void =>
  view.delete('timer', queueKey(at, kind, id))

/** Deletes the row `id` of table `kind` in the first commit whose timestamp is later than `at`. */
export const expireAfter = (view: View, at: number, kind: Row<'expiry'>['kind'], id: Uint8Array): void =>
  view.put('expiry', queueKey(at, kind, id), { kind, id })

export const forgetExpiry = (view: View, at: number, kind: Row<'expiry'>['kind'], id: Uint8Array): void =>
  view.delete('expiry', queueKey(at, kind, id))

/** Keys of what is due at `now`, in order, at most `limit`. */
export function dueKeys(reader: Reader, queue: 'timer' | 'expiry', now: number, limit: number): string[] {
  const due: string[] = []
  // A timer is due at its time, a row expires after it.
  const to = timeKey(queue === 'timer' ? now + 1 : now)
  for (const key of reader.keys(queue, { to })) {
    if (due.length === limit) break
    due.push(key)
  }
  return due
}

/** Time of the first entry of a queue, or null when it is empty. */
export function firstTime(reader: Reader, queue: 'timer' | 'expiry'): number | null {
  for (const key of reader.keys(queue)) return timeOfKey(key)
  return null
}

/** Every timer belongs to something that waits for it, and every row that expires is there. */
export function queueInvariant(reader: Reader): string[] {
  const broken: string[] = []
  for (const key of reader.keys('timer')) {
    const timer = reader.get('timer', key)
    if (timer === undefined) continue
    const id = toHex(timer.id)
    if (timer.kind === 'task' && reader.get('task', id)?.deadline !== timeOfKey(key)) {
      broken.push(`timer ${key} belongs to no task`)
    }
    if (timer.kind === 'auction' && reader.get('auction', id)?.deadline !== timeOfKey(key)) {
      broken.push(`timer ${key} belongs to no auction`)
    }
    if (timer.kind === 'unbond' && !reader.get('account', id)?.unbonding.some(part => part.at === timeOfKey(key))) {
      broken.push(`timer ${key} belongs to no withdrawal`)
    }
  }
  for (const key of reader.keys('expiry')) {
    const row = reader.get('expiry', key)
    if (row !== undefined && reader.get(row.kind, toHex(row.id)) === undefined) broken.push(`${key} expires nothing`)
  }
  return broken
}
