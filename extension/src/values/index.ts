/**
 * What travels with a remote run: values of the user's kernel, files beside the notebook, and modules of the user's own. Finds
 * them, describes them for the sheet, and reads them when they are sent.
 *
 * ```ts
 * const travels = new Travels({ contents, fetchRange, folder })
 * const plan = await travels.look({ notebook, kernel, cells, names, needed, numberOf })
 * const { travel, done } = await travels.pack({ kernel }, plan, chosen, { names: [], maxBytes: 0 })
 * ```
 */
export { ReturnDesk, type DeskComponents } from './desk.js'
export { saveFiles } from './download.js'
export {
  BIG_BYTES,
  EMPTY_PLAN,
  consequences,
  going,
  summary,
  tooMuch,
  type TravelPlan,
  type TravelRow
} from './plan.js'
export {
  comes,
  expected,
  returnNames,
  returnsOf,
  type ReturnSource,
  type ReturnedValue,
  type Returning
} from './returns.js'
export { Travels, type TravelQuestion, type TravelsComponents } from './travels.js'
