/**
 * The host's side of a runner: the process inside a sandbox that runs one task and reports it as events. It works over
 * any pair of byte streams, so every runtime uses the same one.
 *
 * ```ts
 * const session = new RunnerSession({ stdin: child.stdin, stdout: child.stdout })
 * await session.ready(signal)
 * for await (const event of session.run(command, signal)) {
 *   if (event.type === 'cell-end') console.log(event.cell, event.status)
 *   if (event.type === 'done') console.log(event.outcome, event.reason)
 * }
 * ```
 *
 * @packageDocumentation
 */
export * from './constants.js'
export { encodeRecord, RecordDecoder, type RawRecord } from './codec.js'
export {
  encodeRun,
  parseEvent,
  parseReady,
  type RunCell,
  type RunCommand,
  type RunLimits,
  type RunReturns,
  type RunnerReady
} from './records.js'
export { RunnerSession, type RunnerStreams } from './session.js'
export { encodePut, encodePuts, parseParts, type Put, type ReturnedPart } from './travel.js'
