import { PekkaError, isPekkaError } from '../protocol/index.js'
import type { ImageChoice } from './choose.js'
import { listed } from './words.js'

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

/** The environment that packages are added to where no machine has the one that was chosen for the code. */
const BASE_IMAGE = 'base'

/**
 * The choice that machines can serve: where none offers the environment that the imports ask for, and some offer base, what it
 * lacks is added to base.
 *
 * @param offered asks for the names of the images that machines offer
 * @param choose chooses again, for one environment
 */
export async function choiceForOffers(
  choice: ImageChoice,
  offered: () => Promise<Iterable<string>>,
  choose: (image: string) => Promise<ImageChoice>
): Promise<ImageChoice> {
  const { image, byUser, uses } = choice
  if (byUser || image === BASE_IMAGE) return choice
  const names = new Set(await offered())
  if (names.has(image) || !names.has(BASE_IMAGE)) return choice
  const other = await choose(BASE_IMAGE)
  const added = listed(uses.map(({ distribution }) => distribution))
  return {
    ...other,
    byUser: false,
    unoffered: { image, why: uses.length === 0 ? 'nothing special' : listed(uses.map(({ module }) => module)) },
    reasons: [`No machine offers ${image}.`],
    notes: [
      `No machine offers ${image} now: ${added} ${uses.length > 1 ? 'are' : 'is'} added to ${BASE_IMAGE} for this run.`,
      ...other.notes
    ]
  }
}

/** Where what was chosen for the code can't be added to another environment: that it isn't offered is what counts. */
export function orNotOffered(error: unknown, { unoffered }: ImageChoice): unknown {
  const tooMuch = isPekkaError(error) && ['LAYER_TOO_LARGE', 'LAYER_SOURCE_ONLY', 'LAYERS_OFF'].includes(error.code)
  if (!tooMuch || unoffered === undefined) return error
  return new PekkaError('IMAGE_NOT_OFFERED', { ...unoffered, known: BASE_IMAGE }, { cause: error })
}
