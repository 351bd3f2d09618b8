import type { PekkaError, SessionTerms } from '@pekka/node/protocol'
import { credits, duration, guessCredits, memory, parseCredits, type Quote, type whyNot } from '@pekka/node/client'
import { differs, differsWords, listed, type ImageChoice, type MissingPackage } from '@pekka/node/scan'
// Past the room's index, which needs JupyterLab: words are tested without a page.
import { isFetched, type AddressRow } from '../run/addresses.js'
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

/** @param runs 2: everything is paid twice, and the words say so */
export function quoteView(quote: Quote, settings: RunSettings, runs: 1 | 2 = 1): QuoteView {
  const { least, most, matching } = quote
  const second = least === most ? credits(most) : `${credits(least)} to ${credits(most)}`
  const twice = runs === 2
  const end = `${credits(settings.cap)} credits or after ${duration(Math.min(settings.wallMs, msFor(settings.cap, most)))}`
  return {
    price: `${twice ? '2 × ' : ''}${second} credits a second`,
    minute: `about ${guessCredits(most * 60n * BigInt(runs))} credits a minute${twice ? ' for both' : ''}`,
    until: twice
      ? `Each run stops at ${end}: at most ${credits(2n * settings.cap)} for both. What isn’t used comes back.`
      : `It stops at ${end}. What isn’t used comes back.`,
    machines: machinesWords(quote, matching)
  }
}

/** Of a machine that is to be kept: what it costs while a cell runs, and while it waits for one. */
export function keepView(quote: Quote, settings: RunSettings, { idleMs, lifeMs }: SessionTerms): QuoteView {
  const view = quoteView(quote, settings)
  const hold = quote.candidates.map(({ ask }) => ask.holdPricePerSecond ?? 0n).reduce((a, b) => (a > b ? a : b), 0n)
  return {
    ...view,
    price: `${view.price} while a cell runs`,
    minute: `${credits(hold)} while it waits, about ${guessCredits(hold * 600n)} in 10 minutes`,
    until: `It is let go after ${duration(idleMs)} without a run, after ${duration(lifeMs)} in all, at ${credits(settings.cap)} credits, or when you let it go. What isn’t used comes back.`
  }
}

function machinesWords({ candidates }: Quote, matching: number): string {
  const names = candidates.map(({ provider }) => provider.name).join(' or ')
  return matching === 0
    ? `All busy; it waits for ${names}`
    : `${matching} ${matching === 1 ? 'matches' : 'match'} · it may go to ${names}`
}

/** What the cap does. */
export const capWords = (runs: 1 | 2): string => (runs === 2 ? 'in each run, then it stops' : 'then it stops')

/** How long a cap lasts, ms. */
const msFor = (cap: bigint, perSecond: bigint): number =>
  perSecond === 0n ? Number.MAX_SAFE_INTEGER : Number((cap * 1000n) / perSecond)

/** For a button's tooltip: `0.001 credits a second · at most 0.50`. */
export const quoteLine = ({ most }: Pick<Quote, 'most'>, cap: bigint): string =>
  `${credits(most)} credits a second · at most ${credits(cap)}`

/** What was typed as a cap; null while it isn't one. */
export function readCap(text: string): bigint | null {
  const amount = parseCredits(text.replace(',', '.'))
  return amount === null || amount === 0n ? null : amount
}

/** Why there is no price, in two sentences, and what to type where that helps. */
export function noPrice(
  error: PekkaError,
  { image }: Pick<ImageChoice, 'image'>
): { title: string; advice: string; command: string | null } {
  // Another environment would be the wrong one: that is the user's to say.
  if (error.code === 'IMAGE_UNKNOWN')
    return {
      title: `No machine offers ${image} now`,
      advice: 'Nothing is charged. On a machine of yours, before PEKKA starts there again:',
      command: `npx pekka image build ${image}`
    }
  if (error.code === 'NO_MATCH') return { title: 'No machine matches', advice: 'Nothing is charged.', command: null }
  return { title: error.message, advice: error.advice, command: null }
}

/** `imports rdkit`: what decided the environment. */
export const chipOf = ({ uses }: Pick<ImageChoice, 'uses'>): string | null =>
  uses.length === 0 ? null : `imports ${listed(uses.map(({ module }) => module))}`

/** What is said of a package that the environment lacks, or has in another version than the code asks for: Run adds it. */
export function addedWords(one: MissingPackage, image: string): string {
  const { module, elsewhere } = one
  return differs(one)
    ? `${differsWords(one, image)} The bridge looks it up, and so learns its name.`
    : `${module} isn’t in ${elsewhere === null ? 'any environment' : image}. It is added: the bridge looks it up, and so learns its name.`
}

/** Who learns of the addresses that are fetched (docs/privacy.md), and what happens to the others. */
export function addressWords(rows: readonly AddressRow[], ticks: ReadonlyMap<string, boolean>): string[] {
  const fetched = rows.filter(row => isFetched(row, ticks))
  const hosts = [...new Set(fetched.map(({ host }) => host))]
  const servers = listed(hosts)
  const words: string[] = []
  if (fetched.length > 0)
    words.push(
      `Your bridge fetches it before the run: it and ${servers} learn the address; ${servers} ${hosts.length === 1 ? 'sees' : 'see'} the bridge’s IP address, not yours. The machine sees address and data.`
    )
  if (fetched.length < rows.length) words.push('There is no network where it runs: reading what isn’t ticked fails.')
  return words
}

/** A reason why machines don't serve, in words, and the smallest change that helps. */
export interface WhyWords {
  /** What was asked for. */
  asked: string
  fact: string
  help: { label: string; settings: Partial<RunSettings> } | null
}

export function whyWords({ machines, rows }: ReturnType<typeof whyNot>, settings: RunSettings): WhyWords[] {
  return rows.map(({ why, count, change }) => {
    const of = `${count} of ${machines} ${machines === 1 ? 'machine' : 'machines'}`
    const match = change === null ? '' : `${change.matches} ${change.matches === 1 ? 'matches' : 'match'}`
    switch (why) {
      case 'memory': {
        const bytes = change?.need.resources.memoryBytes
        return {
          asked: `You asked for ${memory(settings.memoryBytes)} of memory`,
          fact: `${of} ${count === 1 ? 'has' : 'have'} less`,
          help:
            bytes === undefined
              ? null
              : { label: `Ask for ${memory(bytes)}: ${match}`, settings: { memoryBytes: bytes } }
        }
      }
      case 'image':
        return {
          asked: `Environment ${settings.image}`,
          fact: `${of} ${count === 1 ? 'doesn’t' : 'don’t'} have it`,
          // Another one would lack what the code imports.
          help: null
        }
      case 'busy':
        return { asked: 'At work now', fact: of, help: null }
      default:
        return {
          asked: { cpus: 'CPUs', disk: 'Disk', gpu: 'Graphics processor', price: 'Price', list: 'Left out by you' }[
            why
          ],
          fact: of,
          help: null
        }
    }
  })
}
