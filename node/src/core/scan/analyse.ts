import { parser } from '@lezer/python'
import { addressesOf, type AddressRead } from './addresses.js'
import { CACHE_ENTRIES, MAX_SOURCE_CHARS } from './constants.js'
import { lineFinder } from './lines.js'
import { plainPython } from './magics.js'
import { NameFinder } from './names.js'
import type { CellNames } from './names.js'
import { needed } from './needs.js'
import type { Needed, SourceCell } from './needs.js'

const cache = new Map<string, CellNames>()

/** Analyses one cell. Never throws: of what can't be understood it says nothing. */
export function analyse(source: string): CellNames {
  const kept = cache.get(source)
  if (kept !== undefined) {
    cache.delete(source)
    cache.set(source, kept)
    return kept
  }
  const names = analyseFresh(source)
  cache.set(source, names)
  const oldest = cache.keys().next()
  if (cache.size > CACHE_ENTRIES && oldest.done !== true) cache.delete(oldest.value)
  return names
}

function analyseFresh(source: string): CellNames {
  const plain = plainPython(source.length > MAX_SOURCE_CHARS ? '' : source)
  const finder = new NameFinder(plain.code, plain, lineFinder(plain.code))
  try {
    finder.visit(parser.parse(plain.code).topNode)
  } catch (error) {
    // Thousands of nested brackets exhaust the stack; what was found until then is still true.
    if (!(error instanceof RangeError)) throw error
  }
  return { ...finder.finish(), foreign: plain.cellMagic !== undefined && plain.code.trim() === '' }
}

/**
 * What `selection` (cell ids) reads and doesn't define, and which cells to run so that it would.
 * `cells` are the notebook's code cells in order.
 */
export function neededCells(cells: readonly SourceCell[], selection: readonly string[]): Needed {
  return needed(
    cells.map(cell => ({ id: cell.id, names: analyse(cell.source) })),
    selection
  )
}

/** The addresses that `selection` reads, which is without a network where it runs. Arguments as for {@link neededCells}. */
export function readAddresses(cells: readonly SourceCell[], selection: readonly string[]): AddressRead[] {
  return addressesOf(
    cells.map(cell => ({ id: cell.id, names: analyse(cell.source) })),
    selection
  )
}
