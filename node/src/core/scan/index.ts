/**
 * What Python code needs from elsewhere, found in its text alone: names that other cells define, files and environment
 * variables of the user's computer, `input()`, and the packages that it imports, with the image that has them.
 *
 * ```ts
 * const cells = [{ id: 'a', source: 'df = load()' }, { id: 'b', source: 'df.mean()' }]
 * neededCells(cells, ['b'])
 * // { missing: [{ name: 'df', line: 1, by: 'b', cell: 'a' }, …], run: ['a', 'b'] }
 * ```
 *
 * It is a help, never a gate: Python can define names in ways that no reader of sources sees, so a user may always run the
 * selection as it is. Analysis of a source is kept, so asking again after an edit parses the edited cell only.
 *
 * @packageDocumentation
 */
export { analyse, neededCells, readAddresses } from './analyse.js'
export type { AddressRead } from './addresses.js'
export { isFileName, lacking, type CellFacts } from './facts.js'
export type { CellNames, ChangeAt, ImportAt, NameAt } from './names.js'
export type { MissingName, Needed, SourceCell } from './needs.js'
export { localModules, type LocalModules, type ModuleFolder } from './modules.js'
export { nearest } from './nearest.js'
export { plainPython, type PlainPython } from './magics.js'
export {
  chooseImage,
  type ChoiceOptions,
  type ImageChoice,
  type LocalPackages,
  type PackageQuestion
} from './choose.js'
export { differs, differsWords, isAdded, missingRequirements, requirementText, type MissingPackage } from './missing.js'
export { importScan, type ImportScan, type ModuleUse, type NamedSource } from './imports.js'
export {
  checkScripts,
  parseRequirement,
  readLock,
  readPyproject,
  readRequirements,
  normalName,
  type Requirement,
  type RequirementsFile
} from './requirements.js'
export { ABSENT, STANDARD_LIBRARY } from './stdlib.js'
export { IMAGE_PYTHON, tooNew, type TooNew } from './syntax.js'
export { longest, readTables, type ImageModules, type ModuleTables } from './tables.js'
export { allows, breaks } from './versions.js'
export { listed } from './words.js'
export { localPackagesCode, localPackagesExpression, readLocalPackages } from './local.js'
export { choiceForOffers, orNotOffered, standIn } from './stand-in.js'
export { readSurroundings, type Surroundings } from './surroundings.js'
