import { billCredits, describeEnd, describeRefund, duration, type TaskUpdate } from '../../core/client/index.js'
import { shortId, type Done } from '../../core/protocol/index.js'
import { EXIT, exitCodeOf } from '../exit-codes.js'
import { ERRORS, type ErrorCode } from '../../core/protocol/index.js'

/** How a task ended, for people, for --json and for the shell. */
export interface TaskOutcome {
  exitCode: number
  /** One line, PEKKA's own words. */
  line: string
  /** What to do next; null where nothing is to be done. */
  advice: string | null
}

/** Characters of a task id that people see; enough to tell the tasks of a day apart. */
export const SHOWN_ID = 8

export function describeOutcome(task: Uint8Array, update: TaskUpdate): TaskOutcome {
  const { phase, item, finished } = update
  const receipt = `receipt: pekka receipt ${shortId(task, SHOWN_ID)}`
  if (phase.phase === 'refused') {
    const code: ErrorCode = Object.hasOwn(ERRORS, phase.code) ? (phase.code as ErrorCode) : 'INTERNAL' // just looked up
    return {
      exitCode: exitCodeOf(code),
      line: `Not started: ${plainTitle(code)} (${code}) Nothing was charged.`,
      advice: ERRORS[code].advice
    }
  }
  if (phase.phase === 'mismatch') {
    return {
      exitCode: EXIT.ours,
      line: 'The output is not what the machine fixed on the ledger (HEAD_MISMATCH).',
      advice: 'Do not use this result. Run again on another machine.'
    }
  }
  const paid = billCredits(item?.view?.paid ?? 0n)
  if (phase.phase === 'refunded') {
    const back = billCredits(item?.view?.refunded ?? 0n)
    const cancelled = phase.reason === 'cancelled'
    const exitCode = cancelled ? EXIT.cancelled : EXIT.noMachine
    return {
      exitCode,
      line: `${describeRefund(phase.reason)}. ${back} credits came back.`,
      advice: cancelled ? null : 'Run again.'
    }
  }
  const done = finished?.done
  if (!done) return { exitCode: EXIT.notConnected, line: 'The task goes on.', advice: 'pekka tasks' }
  const { title, facts, advice } = describeEnd(done.reason, done.detail, done.exitCode)
  const words = done.reason === 'completed' ? 'Done, not re-run' : title
  const line = [words, ...facts, duration(done.usage.wallMs), `${paid} credits`, receipt].join('  ')
  return { exitCode: exitCodeOfRun(done), line, advice }
}

/** What a code means where the facts behind it aren't known: the bridge passes on the ledger's code alone. */
function plainTitle(code: ErrorCode): string {
  if (code === 'DELEGATE_CAP') return 'This key may not spend that much.'
  if (code === 'FUNDS_MISSING') return 'You have not enough credits.'
  return ERRORS[code].title.replace(/:? ?[("]?\{\w+\}[)"]?/g, '')
}

/** The program's own code, or PEKKA's where a limit or a cancel ended it (UX §5). */
function exitCodeOfRun(done: Done): number {
  if (done.outcome === 'limit') return EXIT.limit
  if (done.outcome === 'stopped') return EXIT.cancelled
  if (done.reason === 'runner-lost') return EXIT.ours
  // A shell says 128 + signal of a killed program.
  const code = done.exitCode ?? (done.outcome === 'ok' ? 0 : 1)
  return code < 0 ? 128 - code : code
}
