/**
 * Sending cells and showing what comes back: which cells, what they need, one task, its outputs in their cells, and what a
 * reopened notebook continues.
 *
 * ```ts
 * const tasks = new Tasks({ connection, now: Date.now })
 * const notebook = new OpenNotebook({ tasks, connection, claims, preludes, locks, now, owner }, panel.context)
 * const runner = new Runner({ tasks, connection, questions, agreements, say, now })
 * await runner.run(notebook, [panel.content.activeCell.model.id], 'cell')
 * ```
 */
export type {
  Agreements,
  EnvironmentQuestion,
  KeptPlace,
  Questions,
  QuoteDecision,
  QuoteQuestion,
  TravelChoice
} from './questions.js'
export { addressRows, isFetched, type AddressRow } from './addresses.js'
export { codeCells, languageOf, modelOf, placeOf, sourceMark, widgetOf, type CodeSource } from './cells.js'
export { AUTOMATIC, DEFAULT_CAP, WAIT_MS } from './constants.js'
export { Environments, contentsFolder, type EnvironmentOptions } from './environment.js'
export type { CellRun, ChangeKind } from './cell-run.js'
export { OpenNotebook, type OpenNotebookComponents } from './open-notebook.js'
export { Pace } from './pace.js'
export { prepare, type Preparing } from './prepare.js'
export { lastLines } from './heard.js'
export { RemoteTask, type EventSink, type Followed, type KeptCell } from './remote-task.js'
export { moreMemory, moreTime, nameOf, requestFor, titleOf, type RunKind, type RunSettings } from './request.js'
export { Runner, keepTicks, ticksOf, type RunOptions, type RunnerComponents } from './runner.js'
export { costOf, isOver, phaseOfView, timeOf, type CellProgress, type RunEnd, type TaskSnapshot } from './snapshot.js'
export { stateOf } from './states.js'
export { Tasks } from './tasks.js'
export type { TwiceReport } from './twice.js'
export { NOTHING_TO_RUN, ONLY_PYTHON, isEmpty, whyNotCells, type WhyNot } from './why-not.js'
