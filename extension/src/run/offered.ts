import type { VerifiedAsk } from '@pekka/node/client'
import { choiceForOffers, standIn, type ImageChoice } from '@pekka/node/scan'

/** Published prices, as a client has them. */
interface Offers {
  asks(): Promise<readonly { ask: Pick<VerifiedAsk['ask'], 'image'> }[]>
}

/**
 * The environment that machines can serve: base with what is missing added where nobody offers the one that the code asks for, and base's
 * small part where nobody offers base. Prices that can't be read change nothing: the quote says why there are none.
 *
 * @param choose chooses again, for one environment
 */
export async function offeredChoice(
  choice: ImageChoice,
  market: Offers | undefined,
  choose: (image: string) => Promise<ImageChoice>
): Promise<ImageChoice> {
  const asks = await market?.asks().catch(() => undefined)
  if (asks === undefined) return choice
  const names = asks.map(({ ask }) => ask.image.name)
  return standIn(await choiceForOffers(choice, async () => names, choose), names)
}
