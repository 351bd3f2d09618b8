/**
 * What is asked before a run: names from cells above, the price with its cap, and how to connect.
 *
 * ```ts
 * const answer = await askQuote({ title: 'Run this cell remotely', settings, notes: [], images, price }, cell.node)
 * ```
 */
export { tellComparison } from './comparison-dialog.js'
export { askCode, reasonOf } from './connect-dialog.js'
export { askNeeds } from './needs-dialog.js'
export { askQuote } from './popover.js'
export { noPrice, quoteLine, quoteView, readCap, type QuoteView } from './view.js'
