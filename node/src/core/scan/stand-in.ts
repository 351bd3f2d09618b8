import type { ImageChoice } from './choose.js'

/** What machines offer whose large download has failed (set-up): it keeps the first run alive. */
const SMALL_IMAGE = 'base-small'

/**
 * The choice, or one of `base-small` where nobody offers base, which was chosen because nothing more is needed, but its small part.
 * What the code imports beyond that is missed there with a clear error. Somebody's own choice stays.
 *
 * @param offered names of the images that machines offer
 */
export function standIn(choice: ImageChoice, offered: Iterable<string>): ImageChoice {
  const { image, byUser, uses, missing, notes } = choice
  if (byUser || uses.length > 0 || missing.length > 0) return choice
  const names = new Set(offered)
  if (names.has(image) || !names.has(SMALL_IMAGE)) return choice
  return {
    ...choice,
    image: SMALL_IMAGE,
    label: `${SMALL_IMAGE} (no machine has ${image})`,
    reasons: [`No machine offers ${image}.`],
    notes: [`No machine offers ${image} now; ${SMALL_IMAGE} has NumPy, pandas and Matplotlib of it.`, ...notes]
  }
}
