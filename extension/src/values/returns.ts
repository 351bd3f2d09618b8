import type { EventOf, Returns } from '@pekka/node/protocol'
import type { TaskFollower } from '@pekka/node/client'
import type { CellNames } from '../scan/index.js'

/** A value as the machine that ran the task describes it. */
export type ReturnedValue = EventOf<'values'>['values'][number]

/** What becomes of the values that a remote cell assigns. */
export interface Returning {
  /** Kept sealed with the output, and fetched when they are asked for; bound in the notebook when the run ends; or left there. */
  mode: 'ask' | 'always' | 'never'
  /** A value that takes more stays there, bytes. */
  maxBytes: number
}

/** As many as the protocol takes. */
const MAX_NAMES = 1000

/**
 * Names whose values come back from cells that run one after the other: what they assign, and objects that they change. What an
 * import binds, private names, and what is deleted again stay.
 */
export function returnNames(
  cells: readonly Pick<CellNames, 'defines' | 'deletes' | 'changes' | 'modules'>[]
): string[] {
  const names = new Set<string>()
  for (const { defines, deletes, changes, modules } of cells) {
    for (const { name } of [...defines, ...changes]) if (!modules.includes(name)) names.add(name)
    for (const { name } of deletes) names.delete(name)
    for (const name of modules) names.delete(name)
  }
  return [...names].filter(name => !name.startsWith('_')).slice(0, MAX_NAMES)
}

/** What a task is asked to bring back. */
export const returnsOf = ({ mode, maxBytes }: Returning, cells: Parameters<typeof returnNames>[0]): Returns =>
  mode === 'never' ? { names: [], maxBytes: 0 } : { names: returnNames(cells), maxBytes }

/**
 * Of what a machine says, what the cells can have made: a name that they don't assign isn't the machine's to choose, since it
 * may come to stand for something else here. Each name once.
 */
export function expected(values: readonly ReturnedValue[], names: ReadonlySet<string>): ReturnedValue[] {
  const seen = new Set<string>()
  return values.filter(({ name }) => names.has(name) && !seen.has(name) && seen.add(name))
}

/** Whether a value can come: by a safe codec, and with its bytes. */
export const comes = ({ codec, parts }: ReturnedValue): boolean => codec !== null && parts !== undefined

/** A remote run of a notebook, as far as values need it. */
export interface ReturnSource {
  task: string
  /** ms since 1970. */
  submitted: number
  /** Names that its cells assign, as they stand now. */
  names: ReadonlySet<string>
  /** Whether this page can follow it: in a shared notebook it may be another browser's. */
  reached(): Promise<boolean>
  /** What it brought back, once it is over; null where its output is not to be used or tells of none. @throws PekkaError */
  load(): Promise<{ values: readonly ReturnedValue[]; follower: Pick<TaskFollower, 'open'> } | null>
}
