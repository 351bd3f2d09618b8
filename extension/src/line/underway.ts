import { credits, duration, guessCredits } from '@pekka/node/client'
// Past the room's index, which needs JupyterLab: words are tested without a page.
import { costOf, timeOf, type CellProgress, type TaskSnapshot } from '../run/snapshot.js'
import { CANCEL, RETRY, line, type LineContext, type LineView } from './parts.js'

/** The line of a task that is under way, or was when last seen. */

export function offlineLine(snapshot: TaskSnapshot, { connection, clock, number }: LineContext): LineView {
  const seen = connection.seenAt === null ? '' : `, ${clock(connection.seenAt)}`
  const word = snapshot.phase.phase === 'running' ? 'running' : 'waiting'
  return line('offline', 'offline', 'Not connected', {
    tone: 'warn',
    facts: snapshot.cancelling
      ? ['will cancel when connected']
      : [
          `${word} when last seen${seen}`,
          ...(snapshot.cap > 0n ? [`at most ${credits(snapshot.cap)} credits`] : []),
          'output catches up'
        ],
    actions: snapshot.cancelling ? [RETRY] : [RETRY, CANCEL],
    spoken: { text: `Connection lost. Cell ${number} goes on; output will catch up.`, assertive: false }
  })
}

/** `try 2 of 2`. */
const tryOf = ({ attempt, tries }: TaskSnapshot): string => `try ${attempt} of ${Math.max(attempt, tries)}`

export function underwayLine(snapshot: TaskSnapshot, cell: string, context: LineContext): LineView {
  const { phase, provider, image, lost } = snapshot
  const { now, number } = context
  const machine = provider ?? 'a machine'
  if (snapshot.cancelling || phase.phase === 'stopping') {
    const ms = timeOf(snapshot, now)
    return line('cancelling', 'spinner', 'Cancelling', {
      tone: 'live',
      facts: ms === null ? ['nothing charged'] : ['output so far is kept', `you pay for ${duration(ms)}`],
      bar: 'moving',
      spoken: { text: `Cancelling cell ${number}.`, assertive: false }
    })
  }
  if (lost !== null && (phase.phase === 'waiting' || phase.phase === 'starting')) {
    const next =
      phase.phase === 'starting' && provider !== null && provider !== lost
        ? `trying ${provider}`
        : 'trying another machine'
    return line(`lost-${snapshot.attempt}`, 'again', `${lost} lost contact, ${next}`, {
      tone: 'warn',
      facts: [tryOf(snapshot), 'nothing charged so far'],
      actions: [CANCEL],
      bar: 'moving',
      spoken: { text: `${lost} lost contact. ${next}.`, assertive: false }
    })
  }
  switch (phase.phase) {
    case 'sending':
      return line('preparing', 'spinner', 'Sending', { tone: 'live', bar: 'moving' })
    case 'waiting':
      return line('waiting', 'hourglass', 'Waiting for a machine', {
        facts: [
          ...(now - phase.since > 2000 && phase.since > 0 ? [duration(now - phase.since)] : []),
          'nothing charged'
        ],
        actions: [CANCEL],
        // Most tasks wait no longer than it takes to read it.
        spoken: null,
        ticking: true
      })
    case 'starting':
      return line('starting', 'starting', `Starting on ${machine}`, {
        tone: 'live',
        facts: image === null ? [] : [image],
        actions: [CANCEL],
        bar: 'moving'
      })
    default:
      return runningLine(snapshot, cell, machine, context)
  }
}

function runningLine(snapshot: TaskSnapshot, cell: string, machine: string, context: LineContext): LineView {
  const { image, progress, end, fraction } = snapshot
  const { now, number } = context
  const own = progress.get(cell)
  const many = snapshot.cells.length > 1
  if (end !== null)
    return line('finishing', 'spinner', 'Finishing', {
      tone: 'live',
      facts: [duration(end.usage.wallMs)],
      bar: 'moving'
    })
  if (many && own === undefined)
    return line('queued', 'hourglass', 'Waiting for the cells above', { facts: [`on ${machine}`], actions: [CANCEL] })
  const ended = endedCell(snapshot, cell)
  if (ended !== undefined) return cellEndLine(ended, snapshot, context)
  const since = own?.status === 'running' ? now - own.since : timeOf(snapshot, now)
  const cost = costOf(snapshot, now)
  return line('running', 'spinner', `Running on ${machine}`, {
    tone: 'live',
    facts: [
      duration(since ?? 0),
      ...(cost.amount > 0n ? [`about ${guessCredits(cost.amount)} credits`] : []),
      ...(image === null ? [] : [image])
    ],
    actions: [CANCEL],
    bar: fraction ?? 'moving',
    spoken:
      many && snapshot.cells[0] !== cell ? null : { text: `Cell ${number} runs on ${machine}.`, assertive: false },
    ticking: true
  })
}

type EndedCell = Exclude<CellProgress, { status: 'pending' | 'running' }>

/** How a cell of several ended; undefined while it hasn't, or is the only one. */
export function endedCell({ cells, progress }: TaskSnapshot, cell: string): EndedCell | undefined {
  const own = progress.get(cell)
  return cells.length < 2 || own?.status === 'running' || own?.status === 'pending' ? undefined : own
}

/** A cell that has ended while others of its task run on. */
export function cellEndLine(own: EndedCell, snapshot: TaskSnapshot, { number }: LineContext): LineView {
  const time = own.ms === null ? [] : [duration(own.ms)]
  switch (own.status) {
    case 'ok':
      return line('cell-ok', 'done', 'Done', { facts: [...time, 'the cells below go on'] })
    case 'skipped':
      return line('cell-skipped', 'info', 'Skipped, as its tag says', {})
    case 'not-run':
      return line('cell-not-run', 'info', 'Not run', {})
    case 'error':
      return line('cell-error', 'error', `Your code stopped: ${snapshot.error ?? 'an error'}`, {
        tone: 'bad',
        facts: time,
        spoken: { text: `Cell ${number}: your code stopped with ${snapshot.error ?? 'an error'}.`, assertive: true }
      })
  }
}
