import { analyse, neededCells, type Needed, type SourceCell } from '@pekka/node/scan'

/**
 * What cells still need from elsewhere where a machine is kept: names that a cell made there are there. A name counts by the cell above
 * that defines it last, so one that was made anew here since travels; where none above defines it, any cell that made it there will do.
 *
 * @param there whether a cell's newest run was on the machine, and is under way or went well
 */
export function keptNeeds(
  cells: readonly SourceCell[],
  chosen: readonly string[],
  there: (id: string) => boolean
): Needed {
  const ran = new Set(cells.filter(({ id }) => there(id)).map(({ id }) => id))
  const names = new Set(cells.filter(({ id }) => ran.has(id)).flatMap(({ source }) => definesOf(source)))
  // What ran there needs nothing any more: of it the names alone count.
  const rest = cells.map(cell => (ran.has(cell.id) && !chosen.includes(cell.id) ? stubOf(cell) : cell))
  const { missing, builtins, run } = neededCells(rest, chosen)
  return {
    missing: missing.filter(({ name, cell }) => (cell === undefined ? !names.has(name) : !ran.has(cell))),
    builtins: builtins.filter(({ name }) => !names.has(name)),
    run: run.filter(id => chosen.includes(id) || !ran.has(id))
  }
}

const definesOf = (source: string): string[] => analyse(source).defines.map(({ name }) => name)

/** Defines what the cell does, and reads nothing. */
const stubOf = ({ id, source }: SourceCell): SourceCell => ({
  id,
  source: definesOf(source)
    .map(name => `${name} = None`)
    .join('\n')
})
