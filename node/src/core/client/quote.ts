import { PekkaError, type Random } from '../protocol/index.js'
import { listedAsks, type ImageRegistry } from './ledger/image-registry.js'
import type { ProvenLedger } from './ledger/proven-ledger.js'
import { chooseCandidates, match, type Market, type Mismatch, type Requirements, type VerifiedAsk } from './market.js'
import { requestResources, type TaskRequest } from './task/offer.js'

/** One candidate and one alternate (R3). */
const CANDIDATES = 2
/** How often candidates are chosen anew because the ledger doesn't have them; asks may end meanwhile, many don't. */
const CHOICES = 8

export interface Quote {
  image: string
  candidates: VerifiedAsk[]
  matching: number
  misfit: { ask: VerifiedAsk; why: Mismatch }[]
  /** Micro-credits a second: the least and the most among the candidates. */
  least: bigint
  most: bigint
}

/** What decides on the price. */
export type QuoteRequest = Pick<TaskRequest, 'milliCpus' | 'memoryBytes' | 'diskBytes' | 'gpu' | 'session'> & {
  image: string
}

export interface QuoteComponents {
  registry: ImageRegistry
  market: Market
  ledger: ProvenLedger
  random: Random
}

/** @throws PekkaError as PekkaClient.quote */
export async function findQuote(components: QuoteComponents, request: QuoteRequest): Promise<Quote> {
  const { registry, market } = components
  const all = await listedAsks(registry, await market.asks(), request.image)
  const asks = request.session === undefined ? all : all.filter(({ ask }) => ask.holdPricePerSecond !== null)
  if (asks.length === 0 && all.length > 0) throw new PekkaError('SESSION_NOT_OFFERED')
  const need = {
    image: request.image,
    resources: requestResources({ ...EMPTY, ...request }),
    maxPrice: null,
    only: null,
    avoid: []
  }
  const candidates = await choose(components, asks, need)
  const { fit, misfit } = match(asks, need)
  const prices = candidates.map(({ ask }) => ask.pricePerSecond)
  const least = prices.reduce((a, b) => (a < b ? a : b))
  const most = prices.reduce((a, b) => (a > b ? a : b))
  return { image: request.image, candidates, matching: fit.length, misfit, least, most }
}

/** Candidates that the ledger has (R3b): nothing is ever sealed to a key that only the bridge knows. */
async function choose(
  { ledger, random }: QuoteComponents,
  asks: VerifiedAsk[],
  need: Requirements
): Promise<VerifiedAsk[]> {
  let left = asks
  for (let round = 0; round < CHOICES; round++) {
    const chosen = chooseCandidates(left, need, CANDIDATES, random)
    const proven = await ledger.asks(chosen)
    if (proven.length === chosen.length) return chosen
    left = left.filter(ask => !chosen.includes(ask) || proven.includes(ask))
  }
  throw new PekkaError('PROOF_INVALID', { issue: 'the bridge names prices that the ledger does not have' })
}

const EMPTY = {
  program: { kind: 'cells', cells: [], stopOnError: true },
  cap: 0n,
  note: { v: 1, title: '', kind: 'cell', path: null, cells: [] }
} as const satisfies TaskRequest
