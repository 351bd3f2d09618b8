import {
  differs,
  differsWords,
  isAdded,
  requirementText,
  type CellNames,
  type ImageChoice,
  type Needed
} from '@pekka/node/scan'
import { environmentWith } from './tables.js'

/** `a`, `a and b`, `a, b and c`. */
function joined(items: string[]): string {
  const last = items.at(-1) ?? ''
  return items.length < 2 ? last : `${items.slice(0, -1).join(', ')} and ${last}`
}

/** Names listed in a sentence; more are counted, so that a dialog stays readable. */
const LISTED_NAMES = 6

/**
 * The question before a run: "This cell needs `df`, `model` from cells 2 and 5." Undefined where no cell above helps.
 * `numberOf` gives the number that the user sees at a cell; `selected` is how many cells were chosen.
 */
export function needsSentence(needed: Needed, selected: number, numberOf: (id: string) => number): string | undefined {
  const from = needed.missing.filter(name => name.cell !== undefined)
  if (from.length === 0) return undefined
  const names = from.slice(0, LISTED_NAMES).map(({ name }) => `\`${name}\``)
  const rest = from.length - names.length
  const listed = names.join(', ') + (rest > 0 ? ` and ${rest} more` : '')
  const numbers = [...new Set(from.flatMap(name => (name.cell === undefined ? [] : [numberOf(name.cell)])))]
  numbers.sort((a, b) => a - b)
  const cells = `${numbers.length === 1 ? 'cell' : 'cells'} ${joined(numbers.map(String))}`
  return selected === 1 ? `This cell needs ${listed} from ${cells}.` : `These cells need ${listed} from ${cells}.`
}

export const pathSentence = (path: string): string =>
  `${path} wasn't there. A file travels if it stands beside the notebook and is ticked under What travels.`

/** Files that the code names and that are nowhere. It may make them itself in a way that its text doesn't show. */
export function absentSentence(paths: readonly string[]): string {
  const rest = paths.length - LISTED_NAMES
  const listed = joined(rest > 0 ? [...paths.slice(0, LISTED_NAMES), `${rest} more`] : [...paths])
  return paths.length === 1
    ? `${listed} isn’t in this folder. Unless the code makes it, put it beside the notebook, and it travels.`
    : `${listed} aren’t in this folder. Unless the code makes them, put them beside the notebook, and they travel.`
}

export const environmentSentence = (name: string): string =>
  `${name} is not set there: nothing of your environment travels.`

export const inputSentence = (): string =>
  'input() has no answer there: nobody can type. Set the value in the cell instead.'

/** What to say before a run about environment and input, in the order of the cells' lines. Files stand under What travels. */
export function travelHints(cells: readonly CellNames[]): string[] {
  const hints = new Set<string>()
  for (const names of cells) {
    for (const { name } of names.environment) hints.add(environmentSentence(name))
    if (names.input.length > 0) hints.add(inputSentence())
  }
  return [...hints]
}

/** What an environment lacks that the code asks for. What it can't do without is added before the run. */
export const lackSentences = ({ image, missing }: Pick<ImageChoice, 'image' | 'missing'>): string[] =>
  missing.map(one => {
    const { module, optional, elsewhere } = one
    if (differs(one)) return differsWords(one, image)
    if (optional) return `${module} isn’t in ${image}; the code goes on without it.`
    return `${module} isn’t in ${elsewhere === null ? 'any environment' : image}: it is added.`
  })

/** The same for a machine that is kept, which nothing is added to any more. */
export const keptSentences = ({ image, missing }: Pick<ImageChoice, 'image' | 'missing'>): string[] =>
  missing.flatMap(one =>
    isAdded(one)
      ? [`${requirementText(one)} isn’t in ${image}. A kept machine has what was added when it began.`]
      : lackSentences({ image, missing: [one] })
  )

/** What the hint under a remote error needs to know. */
export interface HintContext {
  /** The cells that ran. */
  cells: readonly CellNames[]
  /** What those cells needed from elsewhere when they were sent. */
  needed?: Needed
  numberOf?: (id: string) => number
}

/** The hint under a remote NameError, ModuleNotFoundError, FileNotFoundError, KeyError of os.environ or refused input. */
export function hintFor(error: { ename: string; evalue: string }, context: HintContext): string | undefined {
  switch (error.ename) {
    case 'NameError':
      return nameHint(error.evalue, context)
    case 'ModuleNotFoundError':
    case 'ImportError': {
      const module = /^No module named ['"]([\w.]+)['"]/.exec(error.evalue)?.[1]?.split('.')[0]
      if (module === undefined) return undefined
      const image = environmentWith(module)
      return image === undefined
        ? `${module} isn't in this environment. If ${module} is a file of yours, put it beside the notebook, and it travels.`
        : `${module} isn't in this environment; ${image} has it.`
    }
    case 'FileNotFoundError': {
      const path =
        /: ['"](.+)['"]\s*$/.exec(error.evalue)?.[1] ?? /^['"]?([^'"\n]+?)['"]? not found/.exec(error.evalue)?.[1]
      const literal = context.cells.flatMap(names => names.paths.map(found => found.path))
      const shown = path ?? literal.find(known => error.evalue.includes(known))
      return shown === undefined || shown.length > 1024 ? undefined : pathSentence(shown)
    }
    case 'KeyError': {
      const name = /^['"](.+)['"]$/.exec(error.evalue)?.[1]
      const read = context.cells.some(names => names.environment.some(variable => variable.name === name))
      return name !== undefined && read ? environmentSentence(name) : undefined
    }
    case 'StdinNotImplementedError':
      return inputSentence()
    default:
      return undefined
  }
}

function nameHint(evalue: string, { needed, numberOf }: HintContext): string | undefined {
  const name = /^(?:free variable|name) ['"](\w+)['"]/.exec(evalue)?.[1]
  if (name === undefined) return undefined
  const missing = needed?.missing.find(entry => entry.name === name)
  if (missing?.cell !== undefined && numberOf !== undefined && needed !== undefined) {
    return needsSentence({ ...needed, missing: [missing] }, 1, numberOf)
  }
  return `\`${name}\` isn't defined in the cells that ran there, and no value of that name travelled.`
}
