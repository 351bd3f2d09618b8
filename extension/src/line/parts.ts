import type { IconName } from './icons.js'

/** What a button of the line does. */
export type LineActionId =
  | 'files'
  | 'values'
  | 'cancel'
  | 'again'
  | 'more-memory'
  | 'more-time'
  | 'raise-cap'
  | 'in-environment'
  | 'add-package'
  | 'wait'
  | 'why'
  | 'receipt'
  | 'retry'
  | 'connect'
  | 'settings'

export interface LineAction {
  id: LineActionId
  label: string
  icon: IconName
}

/** The line under a cell at one moment. Words of UX §2 and §4; `mock/i-badges` shows every state. */
export interface LineView {
  /** Changes when the state does, so that each state is spoken once. */
  key: string
  icon: IconName
  tone: 'plain' | 'live' | 'bad' | 'warn'
  word: string
  facts: readonly string[]
  actions: readonly LineAction[]
  /** Below the facts, where there is more to say. */
  notes: readonly string[]
  /** Two pixels along the lower edge: a share, or a moving piece. */
  bar: number | 'moving' | null
  /** For screen readers; null says nothing. Failures and money interrupt. */
  spoken: { text: string; assertive: boolean } | null
  /** Time goes by in it. */
  ticking: boolean
}

export interface LineContext {
  now: number
  /** Number of the cell as people count. */
  number: number
  connection: { status: 'connecting' | 'connected' | 'off' | 'unpaired'; seenAt: number | null }
  /** A time of day, `14:06`. */
  clock: (ms: number) => string
  /** The smallest environment that has a module. */
  environmentWith?: (module: string) => string | undefined
  /** The package that has a module which no environment has. */
  packageWith?: (module: string) => string | undefined
}

export const CANCEL: LineAction = { id: 'cancel', label: 'Cancel', icon: 'stop' }
export const AGAIN: LineAction = { id: 'again', label: 'Run again', icon: 'again' }
export const FILES: LineAction = { id: 'files', label: 'Save files', icon: 'download' }
export const VALUES: LineAction = { id: 'values', label: 'Bring back values', icon: 'download' }
export const RECEIPT: LineAction = { id: 'receipt', label: 'Receipt', icon: 'receipt' }
export const RETRY: LineAction = { id: 'retry', label: 'Try now', icon: 'again' }

const BASE = { tone: 'plain', facts: [], actions: [], notes: [], bar: null, spoken: null, ticking: false } as const
/** A line that is plain where nothing else is said. */
export const line = (key: string, icon: IconName, word: string, rest: Partial<LineView>): LineView => ({
  ...BASE,
  key,
  icon,
  word,
  ...rest
})
