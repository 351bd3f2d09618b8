/**
 * What a provider prints and shows, made safe and put into the notebook's cells.
 *
 * ```ts
 * const preludes = new Preludes()
 * rendermime.addFactory(interactiveRendererFactory(preludes), INTERACTIVE_RANK)
 * const cleaner = new OutputCleaner({ markdown, preludes }, { run: `${task}/${attempt}` })
 * const writer = new TaskWriter({ locate, claims, cleaner }, { cells, metadata, date, onEvent })
 * writer.begin()
 * for await (const event of events) writer.push(event)
 * await writer.finish()
 * ```
 *
 * Nothing else of the extension writes outputs of a task, so everything passes {@link OutputCleaner}.
 */
export { CELL_STATES, METADATA_KEY, cellMetadataJson, memoryOf, parseCellMetadata, runIdOf } from './cell-metadata.js'
export type { CellMetadata, CellState } from './cell-metadata.js'
export { CellClaims, writerLock } from './claims.js'
export type { Claimant, Locks } from './claims.js'
export { OutputCleaner } from './clean.js'
export type { CleanBundle, CleanError, OutputCleanerComponents, OutputCleanerInit, RawBundle } from './clean.js'
export { INTERACTIVE_MIME } from './constants.js'
export { createFrame, createInteractive, parseInteractive, Preludes } from './interactive.js'
export type { InteractiveOutput, InteractiveView } from './interactive.js'
export { INTERACTIVE_RANK, interactiveRendererFactory } from './interactive-renderer.js'
export { RemoteFuture } from './remote-future.js'
export type { CellEvent, RemoteFutureComponents, RemoteFutureInit } from './remote-future.js'
export { TaskWriter } from './task-writer.js'
export type { CellPlace, TaskWriterComponents, TaskWriterInit } from './task-writer.js'
export { cleanText, StreamText } from './text.js'
export { clearUntrusted } from './trust.js'
export type { WriterEvent } from './writer-events.js'
