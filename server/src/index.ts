/**
 * The bridge (DESIGN §9): takes tasks in, hands them to providers, keeps and streams their sealed output. It signs nothing
 * of a task on the ledger and can open nothing of what it stores. Its process is `main.ts`.
 */
export { startBridge, VERSION, type Bridge, type BridgeComponents } from './bridge.js'
export { parseSettings, readSettings, type Settings } from './settings.js'
