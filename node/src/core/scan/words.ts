/** Names in a sentence; more are counted. */
const LISTED = 4

/** `a`, `a and b`, `a, b and c`, `a, b, c, d and 3 more`. */
export function listed(names: readonly string[]): string {
  if (names.length > LISTED) return `${names.slice(0, LISTED).join(', ')} and ${names.length - LISTED} more`
  const last = names.at(-1) ?? ''
  return names.length < 2 ? last : `${names.slice(0, -1).join(', ')} and ${last}`
}
