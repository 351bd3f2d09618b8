/** How much of the past a witness keeps. null: all of it, as an archive does. */
export type KeepHistory = { commits: number } | { ms: number } | null

/**
 * So many commits stay whatever is set. A witness that starts needs the last 8,192 (FINAL_WINDOW: which transactions may be named as parents),
 * and so does who makes a snapshot; two and a half hours at rest, minutes under load.
 */
export const MIN_KEPT_COMMITS = 10_000

const UNITS: Readonly<Record<string, number>> = { h: 3_600_000, d: 86_400_000, w: 7 * 86_400_000 }

/**
 * What somebody wrote: `all`, a number of commits, or a time with its unit: `36h`, `30d`, `8w`.
 * @returns undefined: it isn't understood, or is less than MIN_KEPT_COMMITS
 */
export function parseKeepHistory(text: string): KeepHistory | undefined {
  if (text === 'all') return null
  const [, digits, unit] = /^([1-9]\d{0,11})([hdw]?)$/.exec(text) ?? []
  if (digits === undefined || unit === undefined) return undefined
  const length = UNITS[unit]
  if (length !== undefined) return { ms: Number(digits) * length }
  const commits = Number(digits)
  return commits < MIN_KEPT_COMMITS ? undefined : { commits }
}
