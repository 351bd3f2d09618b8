import type { TaskEvent } from '../../core/protocol/index.js'
import { longest, type ModuleTables } from '../../core/scan/index.js'

/** Characters of stderr that are kept: a script's traceback ends with the line that is looked for. */
const TAIL_CHARS = 4096
/** The last line of a traceback, without what a terminal would obey. */
const LAST_LINE = /^ModuleNotFoundError: No module named ['"]([A-Za-z_][\w.]{0,200})['"]\s*$/m

/** Listens to a run for the module that it ended without. */
export class MissingModule {
  #tail = ''
  #name: string | null = null
  #text = new TextDecoder()

  add(event: TaskEvent): void {
    if (event.type === 'error')
      this.#name =
        event.ename === 'ModuleNotFoundError'
          ? (LAST_LINE.exec(`ModuleNotFoundError: ${event.evalue}`)?.[1] ?? null)
          : null
    if (event.type !== 'stream' || event.name !== 'stderr') return
    const text = event.text instanceof Uint8Array ? this.#text.decode(event.text, { stream: true }) : event.text
    if (typeof text === 'string') this.#tail = (this.#tail + text).slice(-TAIL_CHARS)
  }

  /** Another attempt begins. */
  reset(): void {
    this.#tail = ''
    this.#name = null
    this.#text = new TextDecoder()
  }

  /** Of a cell that raised it, or of a script whose last words it was; null: it ended otherwise. */
  get name(): string | null {
    const last = this.#tail.trimEnd().split('\n').at(-1) ?? ''
    return this.#name ?? LAST_LINE.exec(last)?.[1] ?? null
  }
}

/**
 * What to type so that the next run has the module. Its package is named where a table knows it, never guessed: packages under such
 * names can be anybody's.
 */
export function offerOf(
  module: string,
  { image, file }: { image: string; file: string },
  tables: ModuleTables
): string {
  const top = module.split('.')[0] ?? module
  const elsewhere = tables.images.find(one => one.name !== image && longest(one.modules, module) !== undefined)
  const [distribution] = (elsewhere && longest(elsewhere.modules, module)) ?? [tables.reviewed.get(top)]
  if (distribution === undefined)
    return `${top} isn’t in ${image}, and which package has it isn’t known. If you know it: pekka run --with ${top}=PACKAGE ${file}`
  const named = distribution.replaceAll('-', '_') === top ? distribution : `${top}=${distribution}`
  const other = elsewhere === undefined ? '' : `; ${elsewhere.name} has it`
  return `${top} isn’t in ${image}${other}. Add it and run again: pekka run --with ${named} ${file}`
}
