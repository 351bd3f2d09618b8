import type { SessionTerms } from '@pekka/node/protocol'
import type { Quote, whyNot } from '@pekka/node/client'
import type { ImageChoice } from '@pekka/node/scan'
import type { Needed } from '../scan/index.js'
import type { Returning, TravelPlan } from '../values/index.js'
import type { AddressRow } from './addresses.js'
import type { CodeSource } from './cells.js'
import type { EnvironmentOptions } from './environment.js'
import type { OpenNotebook } from './open-notebook.js'
import type { RunKind, RunSettings } from './request.js'
import type { TwiceReport } from './twice.js'

/** What the user is asked before a run. Each answers `undefined` where the user left it. */
export interface Questions {
  needs(question: {
    notebook: OpenNotebook
    sentence: string
    /** The cells that would run along, in order. */
    more: CodeSource[]
    /** How many were chosen. */
    chosen: number
  }): Promise<'all' | 'only' | undefined>
  quote(
    question: QuoteQuestion & {
      notebook: OpenNotebook
      /** The cell beside which to ask. */
      anchor: string
      cells: CodeSource[]
      kind: RunKind
    }
  ): Promise<QuoteDecision | undefined>
  /** Tells how two runs compare; null where one of them brought no result. */
  compared(report: TwiceReport | null): void
  /** There is no wallet or bridge. */
  connect(): void
}

/** What a quote shows, and what can be changed in it. */
export interface QuoteQuestion {
  settings: RunSettings
  /** What is worth knowing before. */
  notes: readonly string[]
  environment: EnvironmentQuestion
  travel: TravelChoice
  /** Addresses that the code reads; ticks are among those of `travel`. */
  addresses: readonly AddressRow[]
  /** How often it is run. */
  runs: 1 | 2
  /** The machine is to be kept for later cells. */
  keep?: SessionTerms
  /** It goes to a machine that is kept already, at its price a second. */
  on?: { provider: string; price: bigint }
  /** Fetches the price, again every time that it is called. @throws PekkaError */
  price: (settings: RunSettings) => Promise<Quote>
  /** Why machines don't serve. */
  why: (settings: RunSettings) => Promise<ReturnType<typeof whyNot>>
}

/** The environment as it was chosen, and a way to choose it anew. */
export interface EnvironmentQuestion {
  choice: ImageChoice
  options: EnvironmentOptions
  choose: (options: EnvironmentOptions) => Promise<ImageChoice>
}

export interface QuoteDecision {
  settings: RunSettings
  dontAskUnder: bigint | undefined
  environment: EnvironmentOptions
  choice: ImageChoice
  /** Ticks that differ from how rows start. */
  chosen: ReadonlyMap<string, boolean>
  /** No machine matches now: send it when one does. */
  wait: boolean
}

/** What could travel, and what the user ticked for these cells before. */
export interface TravelChoice {
  plan: TravelPlan
  chosen: ReadonlyMap<string, boolean>
}

/** What was agreed to before, and how a task is asked for; kept in Lab's settings. */
export interface Agreements {
  settings(): RunSettings
  /** What becomes of the values that remote cells assign. */
  returning(): Returning
  /** Whether a run of at most `cap` on this bridge is begun without asking. */
  silent(bridge: Uint8Array, cap: bigint): boolean
  agree(bridge: Uint8Array, answer: { dontAskUnder: bigint | undefined }): Promise<void>
}

/** A machine that is kept for a notebook takes its cells. */
export interface KeptPlace {
  /** What cells need that isn't there. */
  needs(chosen: readonly string[]): Needed
  /** @param stopOnError default true: a cell that fails leaves those after it unrun */
  run(
    cells: readonly CodeSource[],
    kind: RunKind,
    needed: Needed,
    plan: TravelPlan,
    stopOnError?: boolean
  ): Promise<void>
}
