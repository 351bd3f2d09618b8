/**
 * Machines that are kept for notebooks (R33, docs/sessions.md): later remote cells see what earlier ones made. One machine for a
 * notebook at most; it is found again when the page is opened anew.
 *
 * ```ts
 * const machines = new Machines({ connection, tasks, runner, travels, questions, agreements, say, now })
 * await machines.keep(notebook)
 * await runner.run(notebook, [cell], 'cell') // goes there, by machines.place(notebook)
 * await machines.letGo(notebook)
 * ```
 */
export { MachineBar, type MachineBarComponents } from './bar.js'
export { KeptMachine } from './kept-machine.js'
export { Machines, type MachinesComponents, type SessionSettings } from './machines.js'
export { SESSION_KEY, parseSessionMetadata, type SessionMetadata } from './metadata.js'
export { type MachineActionId } from './view.js'
