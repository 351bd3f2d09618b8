import { SCRIPT_CELL, concat, utf8, type EventOf, type NumericPath, type TaskEvent } from '../protocol/index.js'
import { hintsOf, type Cause } from './causes.js'
import { explainText, type TextDifference } from './explain.js'
import { canonicalValue, pictureBytes } from './forms.js'
import { decodePng } from './png.js'
import { Replay, type RecordEvent, type ReplayedCell, type TextKeeper } from './replay.js'
import { canonicalText } from './text.js'

/** What the second of two runs computes on, so that what depends on the processor shows itself. */
export const SECOND_RUN: NumericPath = 'other'

/** `exact`: byte for byte; `canonical`: the same in canonical form; `close`: numbers within rounding; `different`. */
export type Verdict = 'exact' | 'canonical' | 'close' | 'different'

/** One thing in a cell that differs. */
export interface Difference {
  /** `stdout`, `stderr`, a MIME type, `error`, `status` or `outputs` (their number). */
  where: string
  verdict: Verdict
  cause: Cause
  /** The first lines that differ, where it is text. */
  example?: [string, string]
}

export interface CellComparison {
  cell: string
  verdict: Verdict
  /** The cause of the weightiest difference; null where all is exact. */
  cause: Cause | null
  differences: Difference[]
}

export interface Comparison {
  /** The worst of all cells. */
  verdict: Verdict
  cells: CellComparison[]
}

/** Text of one stream as it came, in pieces. */
class KeptText implements TextKeeper {
  readonly #pieces: Uint8Array[] = []

  push(part: string | Uint8Array): void {
    this.#pieces.push(typeof part === 'string' ? utf8(part) : part)
  }

  text(): string {
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(concat(...this.#pieces))
  }
}

type Cell = ReplayedCell<KeptText, RecordEvent>

/** The outputs of one run, kept to be compared in full. Holds as much as the run put out (64 MiB by default). */
export class RunOutputs {
  readonly #replay = new Replay<KeptText, RecordEvent>({ text: () => new KeptText(), record: event => event })
  done: EventOf<'done'> | null = null

  add(event: TaskEvent): void {
    this.#replay.add(event)
    if (event.type === 'done') this.done = event
  }

  cells(): Cell[] {
    return this.#replay.cells()
  }
}

export interface CompareInit {
  /** Source of each cell, or of the script under its cell's name, in order. */
  sources: ReadonlyMap<string, string>
  /** The task asked for real entropy, so that nothing was seeded. */
  entropy: boolean
}

/** Compares two runs of one program cell by cell, and says for each difference what it likely comes from. */
export function compareRuns(first: RunOutputs, second: RunOutputs, init: CompareInit): Comparison {
  const [left, right] = [byCell(first), byCell(second)]
  const ids = [...new Set([...init.sources.keys(), ...left.keys(), ...right.keys()])]
  const cells: CellComparison[] = []
  /** Names that cells that differ have set. */
  const tainted = new Set<string>()
  let before = ''
  for (const id of ids) {
    const source = init.sources.get(id) ?? ''
    before += `${source}\n`
    const hints = hintsOf(source, before, init.entropy)
    const differences = compareCell(left.get(id), right.get(id), hints, uses(source, tainted))
    const verdict = worst(differences.map(one => one.verdict))
    const cause = differences.find(one => one.verdict === verdict)?.cause ?? null
    cells.push({ cell: id, verdict, cause, differences })
    if (verdict === 'close' || verdict === 'different') for (const name of assigned(source)) tainted.add(name)
  }
  const end = compareEnds(first, second)
  if (end !== null && cells.every(({ verdict }) => verdict !== 'different')) {
    const cell = init.sources.has(SCRIPT_CELL) ? SCRIPT_CELL : (ids.at(-1) ?? SCRIPT_CELL)
    cells.find(one => one.cell === cell)?.differences.push(end)
    Object.assign(cells.find(one => one.cell === cell) ?? {}, { verdict: 'different', cause: end.cause })
  }
  return { verdict: worst(cells.map(({ verdict }) => verdict)), cells }
}

const ASSIGNED =
  /(?:^|[\s(,;])([A-Za-z_]\w*)\s*(?=(?:[-+*/%@&|^]|:)?=(?!=)|,[^=\n]*=(?!=))|\b(?:def|class|for|as)\s+([A-Za-z_]\w*)/g

/** Names that a source sets, as far as a pattern sees: a wrong one only costs a sentence. */
const assigned = (source: string): string[] =>
  [...source.matchAll(ASSIGNED)].map(([, name, other]) => name ?? other ?? '').filter(name => name !== '')

const uses = (source: string, names: ReadonlySet<string>): boolean =>
  names.size > 0 && (source.match(/[A-Za-z_]\w*/g) ?? []).some(word => names.has(word))

function compareEnds({ done: a }: RunOutputs, { done: b }: RunOutputs): Difference | null {
  if (a?.outcome === b?.outcome && a?.exitCode === b?.exitCode) return null
  const words = (done: typeof a) => (done === null ? 'no end' : `${done.reason}, exit code ${done.exitCode ?? 'none'}`)
  return { where: 'status', verdict: 'different', cause: 'ended', example: [words(a), words(b)] }
}

const byCell = (outputs: RunOutputs): Map<string, Cell> => new Map(outputs.cells().map(cell => [cell.cell, cell]))

const ORDER: readonly Verdict[] = ['exact', 'canonical', 'close', 'different']
const worst = (verdicts: Verdict[]): Verdict =>
  ORDER[Math.max(0, ...verdicts.map(verdict => ORDER.indexOf(verdict)))] ?? 'different'

function compareCell(a: Cell | undefined, b: Cell | undefined, hints: Cause[], tainted: boolean): Difference[] {
  if (a === undefined || b === undefined) {
    if (a === b) return []
    return [{ where: 'status', verdict: 'different', cause: 'ended' }]
  }
  const differences: Difference[] = []
  // What the source itself has no reason for comes from what it was given.
  const settle = (cause: Cause): Cause =>
    tainted && (cause === 'unstable' || cause === 'unknown' || cause === 'cpu-path') ? 'earlier-cell' : cause
  const text = (where: string, x: string, y: string): void => {
    if (x === y) return
    const found: TextDifference = explainText(x, y, hints)
    const counts = where !== 'stderr'
    differences.push({
      where,
      verdict: counts ? found.verdict : 'canonical',
      cause: counts ? settle(found.cause) : found.verdict === 'different' ? 'stderr' : found.cause,
      ...(found.example !== undefined && { example: found.example })
    })
  }
  if (a.status !== b.status)
    differences.push({ where: 'status', verdict: 'different', cause: 'ended', example: [a.status, b.status] })
  for (const name of ['stdout', 'stderr'] as const)
    text(name, a.streams.get(name)?.text() ?? '', b.streams.get(name)?.text() ?? '')
  if (a.records.length !== b.records.length) {
    const example: [string, string] = [`${a.records.length} outputs`, `${b.records.length} outputs`]
    differences.push({ where: 'outputs', verdict: 'different', cause: settle(likeliest(hints)), example })
  }
  for (const [i, { value: x }] of a.records.entries()) {
    const y = b.records[i]?.value
    if (y === undefined) break
    if (x.type === 'error' || y.type === 'error') {
      const words = (event: RecordEvent) => (event.type === 'error' ? `${event.ename}: ${event.evalue}` : 'no error')
      text('error', words(x), words(y))
      continue
    }
    for (const mime of new Set([...Object.keys(x.data), ...Object.keys(y.data)]))
      compareValues(mime, x.data[mime], y.data[mime], { text, hints, settle, differences })
  }
  return differences
}

interface Context {
  text: (where: string, a: string, b: string) => void
  hints: Cause[]
  settle: (cause: Cause) => Cause
  differences: Difference[]
}

function compareValues(mime: string, a: unknown, b: unknown, context: Context): void {
  const words = (value: unknown): string => (typeof value === 'string' ? value : (JSON.stringify(value) ?? ''))
  if (words(a) === words(b)) return
  const [x, y] = [canonicalValue(mime, a), canonicalValue(mime, b)]
  const same = x.length === y.length && x.every((byte, i) => byte === y[i])
  if (mime.startsWith('image/') && mime !== 'image/svg+xml') {
    if (same) context.differences.push({ where: mime, verdict: 'canonical', cause: 'image-metadata' })
    else context.differences.push({ where: mime, ...comparePictures(words(a), words(b), context) })
  } else if (same && mime !== 'text/plain') {
    context.differences.push({ where: mime, verdict: 'canonical', cause: 'names' })
  } else context.text(mime, canonicalIfMarkup(mime, words(a)), canonicalIfMarkup(mime, words(b)))
}

const canonicalIfMarkup = (mime: string, text: string): string =>
  mime === 'text/html' || mime === 'image/svg+xml' ? canonicalText(text) : text

/** Root mean square of the difference and share of clearly different pixels, below which pictures show the same (pytest-mpl's 2). */
const CLOSE_RMS = 2
const CLOSE_SHARE = 0.01

function comparePictures(a: string, b: string, { hints, settle }: Context): Pick<Difference, 'verdict' | 'cause'> {
  const far = { verdict: 'different', cause: settle(likeliest(hints)) } as const
  const [x, y] = [pictureBytes(a), pictureBytes(b)].map(bytes => (bytes === null ? null : decodePng(bytes)))
  if (!x || !y || x.width !== y.width || x.height !== y.height || x.depth !== y.depth) return far
  let squares = 0
  let off = 0
  for (let i = 0; i < x.pixels.length; i++) {
    const difference = Math.abs((x.pixels[i] ?? 0) - (y.pixels[i] ?? 0))
    squares += difference * difference
    if (difference > 32) off++
  }
  const close = Math.sqrt(squares / x.pixels.length) <= CLOSE_RMS && off / x.pixels.length <= CLOSE_SHARE
  return close ? { verdict: 'close', cause: settle('cpu-path') } : far
}

const likeliest = (hints: Cause[]): Cause => hints[0] ?? 'unknown'
