import { MAX_TRAVEL_BYTES, type TravelFile } from '@pekka/node/protocol'
import { size as bytesWords, type TravelSource } from '@pekka/node/client'
import type { SurveyRow } from './helper.js'

/** Above this a value or file waits for a tick (UX: "Over 100 MB"), bytes. */
export const BIG_BYTES = 100_000_000
/** What sending takes in the words of the sheet: 5 MB/s is a home's upload of 40 Mbit/s. */
const BYTES_A_SECOND = 5_000_000
/** File names that hold secrets by custom. */
const SECRET_FILE =
  /(^|\/)(\.env(\..*)?|\.netrc|\.pgpass|id_(rsa|dsa|ecdsa|ed25519)|.*\.(pem|key|p12|pfx|kdbx)|credentials(\.\w+)?|.*token.*)$/i

/** A line of the sheet "What travels". */
export interface TravelRow {
  /** Stays the same between two looks: `value:df`, `file:data.csv`. */
  id: string
  kind: 'value' | 'file' | 'module'
  name: string
  /** `DataFrame, 3 columns`, `file`. */
  what: string
  /** `Read in line 4, made by cell 2`, `Inside relax`. */
  why: string
  size: number
  /** Whether it starts ticked. */
  ticked: boolean
  /** Why it starts unticked, or how long it takes; null where nothing is to say. */
  note: string | null
  /** Why it can't travel, and what would help; null where it can. */
  cannot: string | null
  /** The name that needs it. */
  by: string | null
}

export interface TravelPlan {
  rows: readonly TravelRow[]
  /** What the kernel said, by name, in the order in which values must be put in place. */
  values: readonly SurveyRow[]
  files: ReadonlyMap<string, Omit<TravelFile, 'size' | 'content'> & { source: TravelSource }>
  /** Files that the code reads and that aren't there. */
  absent: readonly string[]
  /** The kernel runs a cell and can't be asked meanwhile. */
  busy: boolean
}

export const EMPTY_PLAN: TravelPlan = { rows: [], values: [], files: new Map(), absent: [], busy: false }

/** Where a cell reads a name. */
export interface Reading {
  name: string
  line: number
  /** Number of the cell that makes it, as people count. */
  madeBy?: number | undefined
}

export function valueRow(row: SurveyRow, reading: Reading | undefined, imagePython: string): TravelRow {
  const wrongPython =
    row.codec === 'pickle' && row.python !== null && row.python !== imagePython
      ? `It can only be read by Python ${row.python}; the environment has ${imagePython}. Send its data as an array or a table.`
      : null
  const made = reading?.madeBy === undefined ? '' : `, made by cell ${reading.madeBy}`
  return {
    id: `value:${row.name}`,
    kind: 'value',
    name: row.name,
    what: what(row),
    why: reading !== undefined ? `Read in line ${reading.line}${made}` : row.by === null ? 'Read' : `Inside ${row.by}`,
    size: row.size,
    by: row.by,
    ...ticking(row.size, row.secret),
    cannot: row.reason ?? wrongPython
  }
}

function what({ codec, python, kind }: SurveyRow): string {
  if (codec !== 'pickle') return kind
  return python === null ? `${kind}, as a copy` : `${kind}, as a copy that only Python ${python} reads`
}

export function fileRow(path: string, line: number, size: number): TravelRow {
  const why = `Opened in line ${line}`
  return { ...base(path, 'file'), what: 'file', why, size, ...ticking(size, SECRET_FILE.test(path)) }
}

export const moduleRow = (path: string, size: number): TravelRow => ({
  ...base(path, 'module'),
  what: 'module beside the notebook',
  why: 'Imported',
  size,
  ticked: true
})

export const stayingFile = (path: string, line: number, cannot: string): TravelRow => ({
  ...base(path, 'file'),
  what: 'file',
  why: `Opened in line ${line}`,
  cannot
})

const base = (name: string, kind: 'file' | 'module') => ({
  id: `${kind}:${name}`,
  kind,
  name,
  size: 0,
  ticked: false,
  note: null,
  cannot: null,
  by: null
})

function ticking(size: number, secret: boolean): Pick<TravelRow, 'ticked' | 'note'> {
  if (secret) return { ticked: false, note: 'Looks like a secret' }
  if (size <= BIG_BYTES) return { ticked: true, note: null }
  const minutes = Math.max(1, Math.round(size / BYTES_A_SECOND / 60))
  return { ticked: false, note: `${bytesWords(size)}: about ${minutes} min to send, once` }
}

/** The rows that go, with `chosen` ticks of the user over those that rows start with. */
export const going = (plan: TravelPlan, chosen: ReadonlyMap<string, boolean>): TravelRow[] =>
  plan.rows.filter(row => row.cannot === null && (chosen.get(row.id) ?? row.ticked))

/** `5 values, 1 file · 2.4 MB`; null where there is nothing that could travel. */
export function summary(plan: TravelPlan, chosen: ReadonlyMap<string, boolean>): string | null {
  if (plan.rows.length === 0) return null
  const rows = going(plan, chosen)
  const count = (kind: TravelRow['kind'], one: string, many: string): string[] => {
    const found = rows.filter(row => row.kind === kind).length
    return found === 0 ? [] : [`${found} ${found === 1 ? one : many}`]
  }
  const parts = [
    ...count('value', 'value', 'values'),
    ...count('file', 'file', 'files'),
    ...count('module', 'module', 'modules')
  ]
  const total = rows.reduce((sum, row) => sum + row.size, 0)
  return parts.length === 0 ? 'only the code' : `${parts.join(', ')} · ${bytesWords(total)}`
}

/** What would be missing there without a row: `relax will fail without cutoff.` */
export function consequences(plan: TravelPlan, chosen: ReadonlyMap<string, boolean>): string[] {
  const gone = new Set(going(plan, chosen).map(({ id }) => id))
  return plan.rows
    .filter(row => row.by !== null && row.cannot === null && !gone.has(row.id) && gone.has(`value:${row.by}`))
    .map(row => `${row.by} will fail without ${row.name}.`)
}

/** Why it can't be sent as chosen; null where it can. */
export function tooMuch(plan: TravelPlan, chosen: ReadonlyMap<string, boolean>): string | null {
  const total = going(plan, chosen).reduce((sum, row) => sum + row.size, 0)
  return total <= MAX_TRAVEL_BYTES
    ? null
    : `${bytesWords(total)} are more than a machine takes (${bytesWords(MAX_TRAVEL_BYTES)}). Untick some.`
}
