import type { CellNames, ImageChoice } from '@pekka/node/scan'
import { absentSentence, lackSentences, travelHints } from '../scan/index.js'
import type { TravelPlan } from '../values/index.js'

/** What is worth knowing before a run. */
export interface RunNotes {
  /** What a quote says beside the environment's own notes. */
  hints: string[]
  /** What the user has to have seen once, so that a quote is shown where none would be asked about. */
  asking: string[]
}

/** Notes on cells, on what travels with them, and on their environment. */
export function notesOf(
  cells: readonly CellNames[],
  { absent, busy }: Pick<TravelPlan, 'absent' | 'busy'>,
  choice: Pick<ImageChoice, 'image' | 'missing' | 'notes'>
): RunNotes {
  const hints = [...travelHints(cells), ...(busy ? [BUSY] : [])]
  return {
    // A file that is nowhere asks nobody: the code may make it in a way that nobody sees.
    hints: absent.length === 0 ? hints : [...hints, absentSentence(absent)],
    asking: [...hints, ...choice.notes, ...lackSentences(choice)]
  }
}

const BUSY = 'Your kernel is busy, so its values can’t be taken now: only the code goes. Wait for it to send them.'
