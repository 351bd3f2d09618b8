import type { PekkaError } from '@pekka/node/protocol'
import { credits, duration, guessCredits, parseCredits, type Quote } from '@pekka/node/client'
import type { RunSettings } from '../run/index.js'

/** A price as people read it before a run. */
export interface QuoteView {
  /** `0.001 credits a second`, `0.001 to 0.002 credits a second`. */
  price: string
  /** What a minute costs, so that a number of thousandths means something. */
  minute: string
  /** How long it may run before cap or time limit stop it. */
  until: string
  machines: string
}

export function quoteView(quote: Quote, settings: RunSettings): QuoteView {
  const { least, most, matching } = quote
  const second = least === most ? credits(most) : `${credits(least)} to ${credits(most)}`
  return {
    price: `${second} credits a second`,
    minute: `about ${guessCredits(most * 60n)} credits a minute`,
    until: `It stops at ${credits(settings.cap)} credits or after ${duration(Math.min(settings.wallMs, msFor(settings.cap, most)))}. What isn’t used comes back.`,
    machines: machinesWords(quote, matching)
  }
}

function machinesWords({ candidates }: Quote, matching: number): string {
  const names = candidates.map(({ provider }) => provider.name).join(' or ')
  return matching === 0
    ? `All busy; it waits for ${names}`
    : `${matching} ${matching === 1 ? 'matches' : 'match'} · it may go to ${names}`
}

/** How long a cap lasts, ms. */
const msFor = (cap: bigint, perSecond: bigint): number =>
  perSecond === 0n ? Number.MAX_SAFE_INTEGER : Number((cap * 1000n) / perSecond)

/** For a button's tooltip: `0.001 credits a second · at most 0.5`. */
export const quoteLine = ({ most }: Pick<Quote, 'most'>, cap: bigint): string =>
  `${credits(most)} credits a second · at most ${credits(cap)}`

/** What was typed as a cap; null while it isn't one. */
export function readCap(text: string): bigint | null {
  const amount = parseCredits(text.replace(',', '.'))
  return amount === null || amount === 0n ? null : amount
}

/** Why there is no price, in two sentences. */
export const noPrice = (error: PekkaError): { title: string; advice: string } => ({
  title: error.message,
  advice: error.advice
})
