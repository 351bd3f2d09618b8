import type { PartialJSONObject } from '@lumino/coreutils'

/** Where a cell remembers its remote run. */
export const METADATA_KEY = 'pekka'

/** States that a reopened notebook must know; what is shown in between lives in the page only. */
export const CELL_STATES = ['running', 'received', 'settled', 'failed', 'cancelled'] as const
export type CellState = (typeof CELL_STATES)[number]

/**
 * `cell.metadata.pekka`. Holds no balances, keys or names of accounts: notebooks are passed on (R37).
 * Saved at once after submitting, so that a page closed before the next autosave still finds its task.
 */
export interface CellMetadata {
  v: 1
  /** Task id, hexadecimal. */
  task: string
  /** The bridge's address, as the settings had it. */
  bridge: string
  /** The page that writes: its awareness client id in a shared notebook, else a random id. */
  owner: string
  state: CellState
  /** Facts of the line under the cell, once known. */
  provider?: string
  image?: string
  wallMs?: number
  /** Micro-credits as a decimal text: a JSON number would lose digits. */
  price?: string
  /** ms since 1970 when the task was submitted. */
  submitted?: number
  /** Place of the cell in the session of a kept machine; `task` is the session's. */
  place?: number
  /** Id of the cell that it was written into: a copy of the cell takes it along and has had no run. */
  cell?: string
  /** Tells what was sent from what stands there now: 16 hex digits of the source's hash. */
  source?: string
}

const text = (value: unknown, max: number): value is string =>
  typeof value === 'string' && value.length > 0 && value.length <= max
const whole = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

/** Reads what a notebook file holds under `pekka`; undefined for whatever this version didn't write. Unknown fields are dropped. */
export function parseCellMetadata(value: unknown): CellMetadata | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { v, task, bridge, owner, state, provider, image, wallMs, price, submitted, place, cell, source } =
    value as Record<string, unknown> // each field is checked
  const known = CELL_STATES.find(candidate => candidate === state)
  if (v !== 1 || known === undefined || typeof task !== 'string' || !/^[0-9a-f]{64}$/.test(task)) return undefined
  if (!text(bridge, 2048) || !text(owner, 256)) return undefined
  return {
    v,
    task,
    bridge,
    owner,
    state: known,
    ...(text(provider, 256) ? { provider } : {}),
    ...(text(image, 256) ? { image } : {}),
    ...(whole(wallMs) ? { wallMs } : {}),
    ...(typeof price === 'string' && /^\d{1,20}$/.test(price) ? { price } : {}),
    ...(whole(submitted) ? { submitted } : {}),
    ...(whole(place) ? { place } : {}),
    ...(text(cell, 256) ? { cell } : {}),
    ...(typeof source === 'string' && /^[0-9a-f]{16}$/.test(source) ? { source } : {})
  }
}

/** What a cell remembers of its own run; not what a copy took along. */
export function memoryOf(cell: {
  id: string
  sharedModel: { getMetadata(key: string): unknown }
}): CellMetadata | undefined {
  const metadata = parseCellMetadata(cell.sharedModel.getMetadata(METADATA_KEY))
  return metadata?.cell === undefined || metadata.cell === cell.id ? metadata : undefined
}

/** What tells one run of a notebook from another: its task, of a kept machine's cell with the cell's place. */
export const runIdOf = ({ task, place }: Pick<CellMetadata, 'task' | 'place'>): string =>
  place === undefined ? task : `${task}.${place}`

/** As it is written into the notebook. */
export const cellMetadataJson = (metadata: CellMetadata): PartialJSONObject => ({ ...metadata })
