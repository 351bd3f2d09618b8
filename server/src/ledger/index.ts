/**
 * The bridge's eye on the ledger: follows its commits, tells who is concerned, and reads everything anew after a pause.
 * It decides nothing.
 */
export { LedgerMirror, type LedgerMirrorComponents, type LedgerMirrorEvents } from './mirror.js'
