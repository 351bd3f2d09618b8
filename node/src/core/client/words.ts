import { CREDIT, creditsText, type DoneReason } from '../protocol/index.js'

/** How amounts, times and ends are said to people (UX §2, §4, §5); the CLI and the extension share these words. */

/** A guess: two decimals, never "0" for a real cost. */
export const guessCredits = (amount: bigint): string => decimals(amount, 2)
/** A bill: three decimals, rounded up. */
export const billCredits = (amount: bigint): string => decimals(amount, 3)

function decimals(amount: bigint, digits: number): string {
  const unit = CREDIT / 10n ** BigInt(digits)
  const rounded = (amount + unit - 1n) / unit
  const text = rounded.toString().padStart(digits + 1, '0')
  return `${text.slice(0, -digits)}.${text.slice(-digits)}`
}

/** A plain amount, e.g. a cap: `10`, `0.50`. */
export const credits = creditsText

/** Reads `0.5` credits. Null when it is no amount. */
export function parseCredits(text: string): bigint | null {
  const match = /^(\d{1,9})(?:\.(\d{1,6}))?$/.exec(text.trim())
  return match ? BigInt(match[1] ?? '0') * CREDIT + BigInt((match[2] ?? '').padEnd(6, '0')) : null
}

/** The last moment that is written with a year of four digits, ms: what is later is told as this. */
const LAST_DATE_MS = Date.UTC(9999, 11, 31, 23, 59)

/** A date that means the same everywhere: `2026-11-23 11:11 UTC`. */
export const dateText = (ms: number): string =>
  `${new Date(Math.min(ms, LAST_DATE_MS)).toISOString().slice(0, 16).replace('T', ' ')} UTC`

/** `0.4 s`, `12 s`, `1 min 14 s`, `2 h 5 min`. */
export function duration(ms: number): string {
  if (ms < 950) return `${(Math.max(ms, 50) / 1000).toFixed(1)} s`
  const seconds = Math.round(ms / 1000)
  if (seconds < 60) return `${seconds} s`
  if (seconds < 3600)
    return seconds % 60 === 0 ? `${Math.floor(seconds / 60)} min` : `${Math.floor(seconds / 60)} min ${seconds % 60} s`
  const minutes = Math.round(seconds / 60)
  return minutes % 60 === 0 ? `${Math.floor(minutes / 60)} h` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

/** `4.0 GB`, `16 MiB` is said as people do: powers of 1000 for sizes of files, GiB for memory rounded. */
export function size(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`
  const units = ['kB', 'MB', 'GB', 'TB']
  let value = bytes / 1000
  let unit = 0
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${value < 9.95 ? value.toFixed(1) : Math.round(value)} ${units[unit] ?? ''}`
}

/** Memory as it is asked for: `4 GB` for 4 GiB. */
export const memory = (bytes: number): string => {
  const gib = bytes / (1 << 30)
  return gib >= 1 ? `${Number.isInteger(gib) ? gib : gib.toFixed(1)} GB` : `${Math.round(bytes / (1 << 20))} MB`
}

export interface EndWords {
  /** First words of the line. */
  title: string
  /** Short facts behind it. */
  facts: string[]
  /** What to do, as a button or hint; null where nothing is to be done. */
  advice: string | null
}

const ASKED_FOR_INPUT: EndWords = {
  title: 'Your code asked for input',
  facts: ['nobody can type there'],
  advice: 'Set the value in your code.'
}

/**
 * How a finished run is told (UX §5's table). `detail` is what the runner says of the reason, from an untrusted machine:
 * ename, cell, exitCode, signal, limitMs, limitBytes.
 */
export function describeEnd(
  reason: DoneReason,
  detail: Record<string, unknown>,
  exitCode: number | null = null
): EndWords {
  const number = (name: string): number | null => {
    const value = detail[name]
    return typeof value === 'number' && Number.isFinite(value) ? value : null
  }
  const text = (name: string): string | null => {
    const value = detail[name]
    return typeof value === 'string' && value !== '' ? value.slice(0, 80) : null
  }
  const bytes = number('limitBytes')
  const ms = number('limitMs')
  switch (reason) {
    case 'completed':
      return { title: 'Done', facts: [], advice: null }
    case 'exception':
      if (text('ename') === 'StdinNotImplementedError') return ASKED_FOR_INPUT
      return { title: `Your code stopped: ${text('ename') ?? 'an error'}`, facts: [], advice: null }
    case 'exit-code':
      // The runner has seen why: a script met the end of its empty input.
      if (text('hint') !== null) return ASKED_FOR_INPUT
      return { title: `Your code ended with exit code ${number('exitCode') ?? exitCode ?? 1}`, facts: [], advice: null }
    case 'kernel-died': {
      const signal = text('signal')
      const code = number('exitCode')
      const how = signal ?? (code === null ? null : `exit code ${code}`)
      return { title: 'Python ended by itself', facts: how === null ? [] : [how], advice: null }
    }
    case 'out-of-memory':
      return {
        title: bytes === null ? 'Your code ran out of memory' : `Your code ran out of memory at ${memory(bytes)}`,
        facts: [],
        advice: bytes === null ? 'Run again with more memory.' : `Run again with ${memory(bytes * 2)}.`
      }
    case 'wall-limit':
      if (detail['atCap'] === true) {
        return {
          title: 'Stopped at your cap',
          facts: ['the code was still at work'],
          advice: 'Run again with a higher cap.'
        }
      }
      return {
        title: ms === null ? 'Stopped at your time limit' : `Stopped at your limit of ${duration(ms)}`,
        facts: ['the code was still at work'],
        advice: 'Run again with more time.'
      }
    case 'cpu-limit':
      return {
        title: ms === null ? 'Stopped at your CPU limit' : `Stopped at your limit of ${duration(ms)} of CPU`,
        facts: [],
        advice: 'Run again with more time.'
      }
    case 'output-limit':
      return { title: 'Stopped: too much output', facts: [], advice: 'Write it to a file.' }
    case 'disk-limit':
      return {
        title: bytes === null ? 'The working directory is full' : `The working directory is full at ${memory(bytes)}`,
        facts: [],
        advice: 'Run again with more disk, or write less.'
      }
    case 'cancelled':
      return { title: 'Cancelled by you', facts: ['output so far is kept'], advice: null }
    case 'runner-lost':
      return { title: 'The machine lost your run', facts: ['output so far is kept'], advice: 'Run again.' }
  }
}

/** Why a task came back without a result, for people. */
export function describeRefund(reason: string): string {
  switch (reason) {
    case 'no-provider':
      return 'No machine took it'
    case 'provider-lost':
      return 'Not finished: the machines lost contact'
    case 'cancelled':
      return 'Cancelled by you'
    default:
      return 'Not finished'
  }
}
