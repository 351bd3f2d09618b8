/**
 * What a selection of cells needs from elsewhere, in sentences. The analysis itself is `@pekka/node/scan`, which the command
 * line uses too.
 */
export { analyse, neededCells } from '@pekka/node/scan'
export type { CellNames, MissingName, Needed, SourceCell } from '@pekka/node/scan'
export {
  absentSentence,
  environmentSentence,
  hintFor,
  inputSentence,
  keptSentences,
  lackSentences,
  needsSentence,
  pathSentence,
  travelHints
} from './hints.js'
export type { HintContext } from './hints.js'
export { environmentWith, packageWith, tables } from './tables.js'
