/** The ticks after one was changed; those that stand as they were proposed are not kept. */
export function withTick(
  ticks: ReadonlyMap<string, boolean>,
  row: { id: string; ticked: boolean },
  ticked: boolean
): ReadonlyMap<string, boolean> {
  const next = new Map(ticks)
  if (ticked === row.ticked) next.delete(row.id)
  else next.set(row.id, ticked)
  return next
}
