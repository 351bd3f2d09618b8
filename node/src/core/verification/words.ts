import { CAUSES } from './causes.js'
import type { CellComparison, Comparison } from './compare.js'

/** Two runs compared, in words. */
export interface ComparisonWords {
  /** One sentence for the whole. */
  head: string
  /** The cells that differ, in order. */
  cells: CellWords[]
}

export interface CellWords {
  /** `Cell 3`. */
  name: string
  /** `differs in the last digits`. */
  verdict: string
  /** The likely cause, one sentence; empty where none is known. */
  cause: string
  /** What the runs showed, where that is text. Written by the program: shown as text, never as anything else. */
  example: [first: string, second: string] | null
}

const WORDS = {
  exact: 'same',
  canonical: 'same result',
  close: 'differs in the last digits',
  different: 'differs'
} as const

/** @param names how people call the cells, by their ids */
export function comparisonWords({ verdict, cells }: Comparison, names: ReadonlyMap<string, string>): ComparisonWords {
  const differing = cells.filter(cell => cell.verdict !== 'exact')
  const count = cells.length === 1 ? '' : ` in ${differing.length} of ${cells.length} cells`
  const heads = {
    exact: 'Both runs gave the same, byte for byte.',
    canonical: `Both runs gave the same result; only what is made up anew in each run differs${count}.`,
    close: `Both runs gave the same but for the last digits${count}.`,
    different: `The runs differ${count}.`
  }
  return { head: heads[verdict], cells: differing.map(cell => cellWords(cell, names.get(cell.cell) ?? cell.cell)) }
}

function cellWords({ verdict, cause, differences }: CellComparison, name: string): CellWords {
  const example = differences.find(one => one.verdict === verdict)?.example
  return {
    name,
    verdict: WORDS[verdict],
    cause: cause === null ? '' : CAUSES[cause],
    example: example === undefined || verdict === 'canonical' ? null : [visible(example[0]), visible(example[1])]
  }
}

/** The same as lines: one for the whole, then one, or three, for every cell that differs. */
export function describeComparison(comparison: Comparison, names: ReadonlyMap<string, string>): string[] {
  const { head, cells } = comparisonWords(comparison, names)
  return [
    head,
    ...cells.flatMap(({ name, verdict, cause, example }) => [
      `  ${name} ${verdict}: ${cause}`,
      ...(example === null ? [] : [`    first run:  ${example[0]}`, `    second run: ${example[1]}`])
    ])
  ]
}

/** What a stranger's program printed, without what a terminal would obey. */
const visible = (text: string): string => text.replace(/\p{Cc}/gu, ' ').trim()
