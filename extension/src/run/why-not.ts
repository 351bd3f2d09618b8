import type { CodeSource } from './cells.js'

/** Why a run can't begin, for a button's tooltip; undefined where it can. Words of UX §4. */
export type WhyNot = string

export const NOTHING_TO_RUN: WhyNot = 'Nothing to run: the cell is empty'
export const ONLY_PYTHON: WhyNot = 'Only Python cells run remotely'

/** Reasons in the cells themselves. `language`: of the notebook, where it is known. */
export function whyNotCells(cells: readonly CodeSource[], language: string | undefined): WhyNot | undefined {
  if (language !== undefined && language !== 'python' && language !== 'ipython') return ONLY_PYTHON
  if (cells.length === 0) return ONLY_PYTHON
  if (cells.every(isEmpty)) return NOTHING_TO_RUN
  return undefined
}

/** Nothing but white space and comments. */
export const isEmpty = ({ source }: Pick<CodeSource, 'source'>): boolean => /^(?:\s|#[^\n]*(?:\n|$))*$/.test(source)
