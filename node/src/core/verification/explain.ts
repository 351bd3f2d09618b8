import type { Cause } from './causes.js'
import type { Verdict } from './compare.js'
import { canonicalText } from './text.js'

export interface TextDifference {
  verdict: Verdict
  cause: Cause
  example?: [string, string]
}

/** Relative difference of two numbers that rounding explains: reproducibility.md §2.1, across processors. */
const CLOSE = 1e-6
/** A unit of the last written digit counts as rounding where it is at most this part of the number: four digits. */
const WORST_UNIT = 1e-3
/** Lines that are looked at one by one. */
const MAX_LINES = 10_000
/** Characters of two lines that are compared number by number. */
const MAX_LINE = 1 << 20
const EXAMPLE_CHARACTERS = 160

const NUMBER = /[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?/g
const DATE =
  /\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?)?|\d\d?:\d\d(?::\d\d(?:\.\d+)?)?|\b(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? (?:\d\d? )?(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) ?(?:\d\d?)?(?: \d{4})?/g
const DURATION =
  /[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)? ?(?:±[^,;]*?)?(?:ns|µs|μs|us|ms|s|sec|secs|seconds?|min|minutes?|it\/s|s\/it)\b/g

/** Says how two texts differ and why, as far as text and hints tell. */
export function explainText(a: string, b: string, hints: Cause[]): TextDifference {
  const [x, y] = [canonicalText(a), canonicalText(b)]
  if (x === y) return { verdict: 'canonical', cause: raw(a, b) }
  const [left, right] = [x.split('\n'), y.split('\n')]
  if (left.length !== right.length || left.length > MAX_LINES) {
    return {
      verdict: 'different',
      cause: isReordered(x, y) ? order(hints) : (hints[0] ?? 'unknown'),
      ...example(left, right)
    }
  }
  if (isReordered(x, y)) return { verdict: 'different', cause: order(hints), ...example(left, right) }
  const found = new Map<Cause, { verdict: Verdict; example: [string, string] }>()
  for (const [i, line] of left.entries()) {
    const other = right[i] ?? ''
    if (line === other) continue
    const { verdict, cause } = explainLine(line, other, hints)
    if (!found.has(cause)) found.set(cause, { verdict, example: [short(line), short(other)] })
  }
  // What isn't rounding is what the reader must hear of first.
  const [cause, first] = [...found].sort(([, p], [, q]) => weight(q.verdict) - weight(p.verdict))[0] ?? []
  if (cause === undefined || first === undefined) return { verdict: 'different', cause: 'unknown' }
  return { verdict: first.verdict, cause, example: first.example }
}

const weight = (verdict: Verdict): number => (verdict === 'different' ? 1 : 0)

function explainLine(a: string, b: string, hints: Cause[]): { verdict: Verdict; cause: Cause } {
  if (a.length + b.length > MAX_LINE) return { verdict: 'different', cause: hints[0] ?? 'unknown' }
  const bare = (line: string): string => line.replace(DATE, '<TIME>').replace(DURATION, '<TIME>')
  if (bare(a) === bare(b) && bare(a).includes('<TIME>')) return { verdict: 'different', cause: 'clock' }
  const [m, n] = [numbersOf(a), numbersOf(b)]
  if (m.rest === n.rest && m.values.length === n.values.length && m.values.length > 0) {
    if (hints.includes('clock') && m.values.some(isTimestamp)) return { verdict: 'different', cause: 'clock' }
    if (m.values.every((value, i) => isClose(value, n.values[i] ?? ''))) return { verdict: 'close', cause: 'cpu-path' }
  }
  if (isReordered(a, b)) return { verdict: 'different', cause: order(hints) }
  return { verdict: 'different', cause: hints[0] ?? 'unknown' }
}

/** The numbers of a line and what stands between, blanks folded: columns are as wide as their numbers. */
function numbersOf(line: string): { values: string[]; rest: string } {
  const values = line.match(NUMBER) ?? []
  return { values, rest: line.replace(NUMBER, '#').replace(/\s+/g, ' ') }
}

function isClose(a: string, b: string): boolean {
  if (a === b) return true
  // Whole numbers are counts: one more is another result.
  if (/^[-+]?\d+$/.test(a) && /^[-+]?\d+$/.test(b)) return false
  const [x, y] = [Number(a), Number(b)]
  const size = Math.max(Math.abs(x), Math.abs(y))
  // Two roundings of one value are a unit apart. Of 0.5 and 0.6 that would be said too: it takes some digits.
  const unit = Math.min(Math.max(lastDigit(a), lastDigit(b)) * 1.0000001, size * WORST_UNIT)
  // Around zero nothing but the last bits is left.
  return Math.abs(x - y) <= Math.max(unit, CLOSE * size, 1e-12)
}

/** Seconds, milli- or nanoseconds since 1970. */
const isTimestamp = (text: string): boolean => Number(text) > 1.5e9

/** The value of a number's last written digit. */
function lastDigit(text: string): number {
  const [, fraction = '', exponent = '0'] = /^[-+]?\d*\.?(\d*)(?:[eE]([-+]?\d+))?$/.exec(text) ?? []
  return 10 ** (Number(exponent) - fraction.length)
}

/** The same words in another order. */
function isReordered(a: string, b: string): boolean {
  if (a.length !== b.length) return false
  const words = (text: string): string => (text.match(/[^\s,;:(){}[\]]+/g) ?? []).sort().join('\n')
  return words(a) === words(b)
}

function order(hints: Cause[]): Cause {
  return (
    hints.find(
      hint => hint === 'file-order' || hint === 'threads' || (hint === 'unstable' && !hints.includes('set-order'))
    ) ?? 'set-order'
  )
}

/** Why texts differ that are the same in canonical form. */
function raw(a: string, b: string): Cause {
  if (/0x[0-9a-f]{6,16}/i.test(a)) return 'address'
  if (/[0-9a-f]{8}-[0-9a-f]{4}-/i.test(a)) return 'names'
  if (/\bpid\b/i.test(a) && a.replace(/\d+/g, '') === b.replace(/\d+/g, '')) return 'machine'
  return 'progress'
}

function example(left: string[], right: string[]): { example?: [string, string] } {
  const at = left.findIndex((line, i) => line !== right[i])
  return at < 0 ? {} : { example: [short(left[at] ?? ''), short(right[at] ?? '')] }
}

const short = (line: string): string =>
  line.length > EXAMPLE_CHARACTERS ? `${line.slice(0, EXAMPLE_CHARACTERS)}…` : line
