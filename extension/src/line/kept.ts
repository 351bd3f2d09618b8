import { duration } from '@pekka/node/client'
// Past the room's index, which needs JupyterLab: words are tested without a page.
import type { TaskSnapshot } from '../run/snapshot.js'
import { AGAIN, line, type LineContext, type LineView } from './parts.js'

/** What is said of a kept machine's cell that no task of its own can come to; null: the same as of any other. */
export function keptLine(snapshot: TaskSnapshot, context: LineContext): LineView | null {
  const { phase, end, provider } = snapshot
  const { number } = context
  // One that had ended all right when the word to stop it came is done.
  if (end?.detail['interrupted'] === true && end.outcome !== 'ok') {
    const word = end.detail['restarted'] === true ? 'Stopped by the restart' : 'Interrupted by you'
    return line('kept-interrupted', 'stop', word, {
      facts: [duration(end.usage.wallMs), end.detail['notRun'] === true ? 'not run' : 'output so far is kept'],
      actions: [AGAIN],
      spoken: { text: `Cell ${number}: ${word.toLowerCase()}.`, assertive: true }
    })
  }
  if (phase.phase !== 'refunded') return null
  const machine = provider ?? 'The machine'
  if (end !== null && end.outcome === 'ok')
    return line('kept-lost-since', 'done', 'Done', {
      facts: [duration(end.usage.wallMs), `${machine} is gone since, and what this cell made with it`]
    })
  if (end !== null) return null
  const lost = phase.reason === 'provider-lost'
  return line(lost ? 'kept-lost' : 'kept-not-run', lost ? 'error' : 'info', lost ? `${machine} was lost` : 'Not run', {
    tone: lost ? 'bad' : 'plain',
    facts: [lost ? 'the notebook’s line says what came back' : 'the machine was let go before'],
    actions: [AGAIN],
    spoken: {
      text: `Cell ${number}: ${lost ? `${machine} was lost` : 'not run, the machine was let go before'}.`,
      assertive: true
    }
  })
}
