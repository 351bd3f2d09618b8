import type { VerifiedAsk } from '@pekka/node/client'
import { standIn, type ImageChoice } from '@pekka/node/scan'

/** Published prices, as a client has them. */
interface Offers {
  asks(): Promise<readonly { ask: Pick<VerifiedAsk['ask'], 'image'> }[]>
}

/**
 * The environment that machines can serve: base's small part where nobody offers base. Prices that can't be read change nothing:
 * the quote says why there are none.
 */
export async function offeredChoice(choice: ImageChoice, market: Offers | undefined): Promise<ImageChoice> {
  const asks = await market?.asks().catch(() => undefined)
  return asks === undefined
    ? choice
    : standIn(
        choice,
        asks.map(({ ask }) => ask.image.name)
      )
}
