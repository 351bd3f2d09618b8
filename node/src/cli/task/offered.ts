import type { PekkaClient } from '../../core/client/index.js'
import { isPekkaError, PekkaError } from '../../core/protocol/index.js'
import { listed, type ImageChoice } from '../../core/scan/index.js'
import { notOffered } from './environment.js'

/** The environment that packages are added to where no machine has the one that was chosen for the code. */
const BASE_IMAGE = 'base'

/**
 * The choice that machines can serve: where none offers the environment that the imports ask for, and some offer base, what it
 * lacks is added to base.
 *
 * @param choose chooses again, for one environment
 */
export async function choiceForOffers(
  client: PekkaClient,
  choice: ImageChoice,
  choose: (image: string) => Promise<ImageChoice>
): Promise<ImageChoice> {
  if (choice.byUser || choice.image === BASE_IMAGE) return choice
  const offered = new Set((await client.images()).map(({ name }) => name))
  if (offered.has(choice.image) || !offered.has(BASE_IMAGE)) return choice
  const other = await choose(BASE_IMAGE)
  const added = listed(choice.uses.map(({ distribution }) => distribution))
  const note = `No machine offers ${choice.image} now: ${added} is added to ${BASE_IMAGE} for this run.`
  return { ...other, byUser: false, notes: [note, ...other.notes] }
}

/** Where what was chosen for the code can't be added to another environment: that it isn't offered is what counts. */
export function orNotOffered(error: unknown, choice: ImageChoice): unknown {
  const tooMuch = isPekkaError(error) && ['LAYER_TOO_LARGE', 'LAYER_SOURCE_ONLY', 'LAYERS_OFF'].includes(error.code)
  if (!tooMuch || choice.byUser || choice.uses.length === 0) return error
  const missing = new PekkaError('IMAGE_UNKNOWN', { image: choice.image, known: BASE_IMAGE }, { cause: error })
  return notOffered(missing, choice)
}
