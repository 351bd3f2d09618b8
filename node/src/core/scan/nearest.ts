/** A likely slip of the pen isn't farther away than this: one change in short names, two in long ones. */
const allowed = (length: number): number => (length <= 4 ? 1 : 2)

/**
 * The known name that a slip of the pen is nearest to, if one is near: fewest inserted, deleted, replaced or swapped letters;
 * digits at the end count as one (`rdkit2`). Undefined where nothing is near.
 */
export function nearest(name: string, known: Iterable<string>): string | undefined {
  const wanted = name.toLowerCase()
  const stem = plain(wanted)
  let best: { name: string; distance: number } | undefined
  for (const candidate of known) {
    const lower = candidate.toLowerCase()
    const limit = allowed(Math.min(wanted.length, lower.length))
    const distance = stem.length > 2 && stem === plain(lower) ? 0.5 : editDistance(wanted, lower, limit)
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name: candidate, distance }
  }
  return best?.name
}

/** Without what people add or forget: `python-rdkit`, `rdkit2`, `py_rdkit`, `rdkit-lib`. */
const plain = (name: string): string =>
  name
    .replace(/[-_.]/g, '')
    .replace(/^(python3?|py)(?=\w{3})/, '')
    .replace(/\d+$/, '')

/** Optimal string alignment distance; gives `limit + 1` as soon as it is above the limit. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) > limit) return limit + 1
  let twoAgo: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        cost = Math.min(cost, (twoAgo[j - 2] ?? 0) + 1)
      row.push(cost)
    }
    twoAgo = last
    last = row
  }
  return last[b.length] ?? limit + 1
}
