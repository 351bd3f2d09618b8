import type { PartialJSONObject } from '@lumino/coreutils'

/** Where a notebook remembers the machine that is kept for it, so that a reopened page finds it again. */
export const SESSION_KEY = 'pekka-session'

/** `notebook.metadata['pekka-session']`. Holds no keys, names or balances: notebooks are passed on (R37). */
export interface SessionMetadata {
  v: 1
  /** Task id of the session, hexadecimal. */
  task: string
  /** Its cells take all that a processor can, instead of the pinned path: all cells of one session take the same. */
  native: boolean
  /** Place of the last cell that began with a fresh kernel: what cells up to it made is gone. */
  from: number
  /** Packages that were added for it, as requirements (PEP 508). */
  added?: string[]
}

/** Undefined for whatever this version didn't write. */
export function parseSessionMetadata(value: unknown): SessionMetadata | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { v, task, native, from, added } = value as Record<string, unknown> // each field is checked
  if (v !== 1 || typeof task !== 'string' || !/^[0-9a-f]{64}$/.test(task)) return undefined
  const place = typeof from === 'number' && Number.isSafeInteger(from) && from > 0 ? from : 0
  const packages = Array.isArray(added) ? added.filter(text => typeof text === 'string') : []
  return { v, task, native: native === true, from: place, ...(packages.length > 0 && { added: packages }) }
}

/** As it is written into the notebook. */
export const sessionMetadataJson = (metadata: SessionMetadata): PartialJSONObject => ({ ...metadata })
