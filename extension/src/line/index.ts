/**
 * The line under a cell that runs or ran remotely: one sentence of state, its facts and what can be done.
 *
 * ```ts
 * const view = lineOf(run, { now, number: 5, connection, clock })
 * view.word // 'Running on birch-2'
 * ```
 */
export { iconElement, labIcon, type IconName } from './icons.js'
export { Lines, type LinesComponents } from './lines.js'
export { LiveRegion } from './live-region.js'
export { lineOf, type LineAction, type LineActionId, type LineContext, type LineView } from './view.js'
export { LineWidget } from './widget.js'
