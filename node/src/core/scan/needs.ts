import type { CellNames, ChangeAt, NameAt } from './names.js'

/** A code cell of the notebook, in its order. */
export interface SourceCell {
  id: string
  source: string
}

/** A name that the selection reads and doesn't define. */
export interface MissingName extends NameAt {
  /** The selected cell that reads it. */
  by: string
  /** The cell above that defines it; absent where none does. */
  cell?: string
}

export interface Needed {
  /** In the order in which the selection reads them. */
  missing: MissingName[]
  /** Python's own names that it reads and that no cell defines: the kernel may have others by these names. */
  builtins: NameAt[]
  /** The selection and the cells that it needs, in notebook order. Equals the selection where nothing helps. */
  run: string[]
}

interface Entry {
  id: string
  names: CellNames
}

/**
 * Where the value of `name`, as cell `reader` sees it, comes from: the last definition above, and what changed it since. What a star
 * import defines nobody knows: it is taken to define names that no cell does, but none of Python's own.
 */
function sourcesOf(cells: Entry[], name: string, reader: number, isBuiltin: boolean): number[] {
  const changers: { index: number; how: ChangeAt['how'] }[] = []
  let star: number | undefined
  for (let i = reader - 1; i >= 0; i -= 1) {
    const names = cells[i]?.names
    if (names === undefined) continue
    if (names.defines.some(defined => defined.name === name)) {
      const isModule = names.modules.includes(name)
      return [i, ...changers.filter(({ how }) => !isModule || how === 'assignment').map(({ index }) => index)]
    }
    if (names.deletes.some(deleted => deleted.name === name)) return []
    const change = [...names.changes, ...names.builtins.changes].find(changed => changed.name === name)
    if (change !== undefined) changers.unshift({ index: i, how: change.how })
    if (names.star) star ??= i
  }
  return star === undefined || isBuiltin ? [] : [star]
}

/** What the cells define that stand in `run` above position `end`. */
function available(cells: Entry[], run: Set<number>, end: number): { names: Set<string>; star: boolean } {
  const names = new Set<string>()
  let star = false
  cells.slice(0, end).forEach((cell, index) => {
    if (!run.has(index)) return
    cell.names.deletes.forEach(({ name }) => names.delete(name))
    cell.names.defines.forEach(({ name }) => names.add(name))
    star ||= cell.names.star
  })
  return { names, star }
}

/**
 * Finds the names that a selection reads but doesn't define before, and the cells above that define them, with what those
 * need in turn. What a function reads counts from the cells that run with it, whether above or below it, since it is called
 * later than it is written.
 */
export function needed(cells: Entry[], selection: readonly string[]): Needed {
  const chosen = new Set<number>()
  cells.forEach((cell, index) => {
    if (selection.includes(cell.id)) chosen.add(index)
  })
  const last = Math.max(-1, ...chosen)
  const run = new Set(chosen)
  const missing = new Map<string, MissingName>()
  const builtins = new Map<string, NameAt>()
  const todo = [...chosen].sort((a, b) => a - b)
  const done = new Set<number>()
  while (todo.length > 0) {
    const index = todo.shift()
    const cell = index === undefined ? undefined : cells[index]
    if (index === undefined || cell === undefined || done.has(index)) continue
    done.add(index)
    const isChosen = chosen.has(index)
    const before = available(cells, chosen, index)
    const everywhere = available(cells, chosen, cells.length)
    const wantedOf = ({ reads, lateReads }: Pick<CellNames, 'reads' | 'lateReads'>, isBuiltin: boolean) => [
      ...reads.map(read => ({ ...read, isBuiltin, reader: index, have: isChosen ? before : undefined })),
      ...lateReads.map(read => ({ ...read, isBuiltin, reader: last + 1, have: everywhere }))
    ]
    for (const { name, line, isBuiltin, reader, have } of [
      ...wantedOf(cell.names, false),
      ...wantedOf(cell.names.builtins, true)
    ]) {
      if (have?.names.has(name) === true) continue
      const aboveIt = sourcesOf(cells, name, reader === last + 1 ? Math.max(index, 0) : reader, isBuiltin)
      const sources = aboveIt.length > 0 ? aboveIt : sourcesOf(cells, name, reader, isBuiltin)
      if (isBuiltin && sources.length === 0) {
        if (isChosen && !builtins.has(name)) builtins.set(name, { name, line })
        continue
      }
      if (isChosen && !missing.has(name) && !(sources.length === 0 && (have?.star === true || cell.names.star))) {
        const from = sources[0] === undefined ? undefined : cells[sources[0]]
        const isOwn = sources[0] !== undefined && chosen.has(sources[0])
        if (!isOwn) missing.set(name, { name, line, by: cell.id, ...(from === undefined ? {} : { cell: from.id }) })
      }
      for (const source of sources) {
        if (!run.has(source)) {
          run.add(source)
          todo.push(source)
        }
      }
    }
  }
  const order = [...run].sort((a, b) => a - b)
  return {
    missing: [...missing.values()],
    builtins: [...builtins.values()],
    run: order.flatMap(index => cells[index]?.id ?? [])
  }
}
