import { MEMORY_STEPS_BYTES, WALL_STEPS_MS, roundUpCap, type Program } from '@pekka/node/protocol'
import type { TaskNote, TaskRequest } from '@pekka/node/client'
import type { CodeSource } from './cells.js'
import { MAX_NOTE_CELLS } from './constants.js'
import { isEmpty } from './why-not.js'

/** What the user's settings say of a task. */
export interface RunSettings {
  /** Micro-credits. */
  cap: bigint
  image: string
  memoryBytes: number
  wallMs: number
  /** Unseeded random numbers stay unseeded. */
  realEntropy?: boolean
  /** Numeric libraries use all a processor can. */
  nativeNumerics?: boolean
}

export type RunKind = TaskNote['kind'] & ('cell' | 'selection' | 'notebook')

/** The task of some cells of a notebook. Empty cells stay here: there is nothing to run in them. */
export function requestFor(
  cells: readonly CodeSource[],
  kind: RunKind,
  path: string,
  settings: RunSettings
): TaskRequest & { image: string; cap: bigint } {
  const sent = cells.filter(cell => !isEmpty(cell))
  const program: Program = {
    kind: 'cells',
    cells: sent.map(({ id, source, tags }) => ({ id, source, tags })),
    stopOnError: true
  }
  return {
    program,
    image: settings.image,
    cap: roundUpCap(settings.cap),
    memoryBytes: settings.memoryBytes,
    wallMs: settings.wallMs,
    ...(settings.realEntropy === true && { seed: null }),
    ...(settings.nativeNumerics === true && { numeric: 'native' as const }),
    note: {
      v: 1,
      title: titleOf(sent, kind, path),
      kind,
      path: path.slice(0, 1024),
      cells: sent.slice(0, MAX_NOTE_CELLS).map(({ id }) => id.slice(0, 128))
    }
  }
}

/** `hello.ipynb, cell 5`, `hello.ipynb, 3 cells`, `hello.ipynb`. */
export function titleOf(cells: readonly CodeSource[], kind: RunKind, path: string): string {
  const name = nameOf(path)
  const [first] = cells
  if (kind === 'notebook') return name
  return cells.length === 1 && first ? `${name}, cell ${first.number}` : `${name}, ${cells.length} cells`
}

/** A notebook's own name; a drive before it (`RTC:`, where pages share notebooks) says nothing to people. */
export const nameOf = (path: string): string => (path.split('/').at(-1) ?? path).replace(/^[\w-]+:/, '').slice(0, 150)

/** The next larger memory that machines know, or undefined at the top. */
export const moreMemory = (bytes: number): number | undefined => MEMORY_STEPS_BYTES.find(step => step > bytes)
/** The next longer time limit. */
export const moreTime = (ms: number): number | undefined => WALL_STEPS_MS.find(step => step > ms)
