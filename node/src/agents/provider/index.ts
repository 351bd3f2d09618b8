/**
 * The provider: takes tasks that name it, runs them in sandboxes, streams sealed output, commits (PROTOCOL §1, §9).
 *
 * It runs as a process of its own: `node dist/agents/provider/main.js --settings FILE` (`settings.ts` has the fields). The parts can also be
 * put together in one process:
 *
 * ```ts
 * const provider = new ProviderProcess(log, 'settings.json')
 * const { runtime, isolation } = await provider.start(signal)
 * await provider.stop()      // drains
 * ```
 */
export { ProviderProcess, type ProviderReady } from './process.js'
export { Provider, type ProviderComponents, type ProviderInit } from './provider.js'
export { WarmWorkshop, commandOf, type TakenSandbox, type Workshop } from './machine/workshop.js'
export { LedgerLane } from './ledger/ledger-lane.js'
export { AskBook, type Ware } from './ledger/asks.js'
export { Auctions, type AuctionsComponents, type AuctionsInit } from './ledger/auctions.js'
export { KemKeys } from './ledger/kem-keys.js'
export { RunStore } from './output/run-store.js'
export { readSettings, settingsSchema, type ProviderSettings } from './settings.js'
export { loadIdentity, joinLedger, type Identity } from './ledger/identity.js'
export { joinNetwork, type JoinedNetwork, type JoinRequestInit } from './ledger/join.js'
export * from './constants.js'
