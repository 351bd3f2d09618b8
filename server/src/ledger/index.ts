/**
 * The bridge's eye on the ledger: follows its commits, tells who is concerned, and reads everything anew after a pause; and shows what
 * witnesses tell of the past. It decides nothing.
 */
export {
  LedgerExplorer,
  WITNESS_STATES,
  type BlockFilter,
  type ExplorerComponents,
  type TaskFilter,
  type TransactionFilter,
  type WitnessState
} from './explorer.js'
export { LedgerFeed, type LedgerFeedComponents } from './feed.js'
export { LedgerMirror, type LedgerMirrorComponents, type LedgerMirrorEvents } from './mirror.js'
