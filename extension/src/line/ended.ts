import { billCredits, credits, describeEnd, duration, memory, size } from '@pekka/node/client'
// Past the room's index, which needs JupyterLab: words are tested without a page.
import { costOf, type TaskSnapshot } from '../run/snapshot.js'
import { keptLine } from './kept.js'
import { AGAIN, FILES, RECEIPT, VALUES, line, type LineAction, type LineContext, type LineView } from './parts.js'
import { REFUTED, REFUTED_ADVICE, REFUTED_WORDS, isRefuted, settledWords } from './proof.js'

/** The line of a task that is over. */

export const receiptOf = ({ phase, files, values, brought, canFetch }: TaskSnapshot): LineAction[] => [
  ...(canFetch && brought === null && values.some(({ stays }) => stays === null) ? [VALUES] : []),
  ...(canFetch && files.some(({ stays }) => !stays) ? [FILES] : []),
  ...(phase.phase === 'settled' ? [RECEIPT] : [])
]

/** Time, price, machine, environment. */
export function endFacts(snapshot: TaskSnapshot, { now }: Pick<LineContext, 'now'>): string[] {
  const { end, provider, image, cells } = snapshot
  const cost = costOf(snapshot, now)
  const forAll = cells.length > 1 ? ` for ${cells.length} cells` : ''
  return [
    ...(end === null ? [] : [duration(end.usage.wallMs)]),
    `${billCredits(cost.amount)} credits${forAll}`,
    ...(provider === null ? [] : [provider]),
    ...(image === null ? [] : [image])
  ]
}

export function overLine(snapshot: TaskSnapshot, cell: string, context: LineContext): LineView {
  const { phase, end, refunded, attempt, tries } = snapshot
  const { number } = context
  // Before anything that only the bridge says: a kept machine that isn't lost, a cap that didn't come back.
  if (isRefuted(phase))
    return line('refuted', 'error', REFUTED, {
      tone: 'bad',
      facts: [REFUTED_ADVICE],
      actions: receiptOf(snapshot),
      notes: [`What it was paid and how it ended can’t be believed: ${REFUTED_WORDS}.`],
      spoken: { text: `Cell ${number}: ${REFUTED_WORDS}.`, assertive: true }
    })
  const kept = snapshot.kept === null ? null : keptLine(snapshot, context)
  if (kept !== null) return kept
  // What it did stands, whatever became of its machine; the money is the session's.
  if (snapshot.kept !== null && end !== null && phase.phase === 'refunded')
    return endedLine(snapshot, end, cell, context)
  switch (phase.phase) {
    case 'refused':
      return line('refused', 'error', 'Not started', {
        tone: 'bad',
        facts: [refusedWords(phase.code), 'nothing charged'],
        actions: [AGAIN],
        spoken: { text: `Cell ${number} was not started. Nothing was charged.`, assertive: true }
      })
    case 'mismatch':
      return line('mismatch', 'error', 'Output and signature don’t agree', {
        tone: 'bad',
        facts: ['don’t use this result'],
        actions: [AGAIN],
        notes: ['The machine sent something else than it fixed on the ledger. Run it again on another machine.'],
        spoken: { text: `Cell ${number}: output and signature don’t agree. Don’t use this result.`, assertive: true }
      })
    case 'refunded': {
      const back = billCredits(refunded ?? 0n)
      if (phase.reason === 'cancelled')
        return line('cancelled-free', 'stop', 'Cancelled by you', {
          facts: ['nothing charged', `${back} credits came back`, settledWords(phase)],
          actions: [AGAIN],
          spoken: { text: `Cell ${number} cancelled. Nothing was charged.`, assertive: true }
        })
      const why =
        phase.reason === 'no-provider'
          ? 'no machine took it'
          : `${Math.max(attempt, Math.min(tries, attempt))} ${attempt === 1 ? 'machine' : 'machines'} lost contact`
      return line('refunded', 'returned', `Not finished, ${back} credits came back`, {
        facts: [why, '0 charged', settledWords(phase)],
        actions: [AGAIN],
        spoken: { text: `Cell ${number} not finished. ${back} credits came back.`, assertive: true }
      })
    }
    default:
  }
  if (end === null)
    return line('settled', 'settled', 'Done, not re-run', {
      facts: endFacts(snapshot, context),
      actions: receiptOf(snapshot)
    })
  return endedLine(snapshot, end, cell, context)
}

const refusedWords = (code: string): string =>
  ({
    FUNDS_MISSING: 'you have too few credits',
    DELEGATE_CAP: 'this browser’s key has spent what it may',
    DELEGATE_EXPIRED: 'this browser’s key has expired',
    TRANSACTION_EXPIRED: 'it came too late'
  })[code] ?? code

function endedLine(
  snapshot: TaskSnapshot,
  end: NonNullable<TaskSnapshot['end']>,
  cell: string,
  context: LineContext
): LineView {
  const { number } = context
  const facts = endFacts(snapshot, context)
  const own = snapshot.progress.get(cell)
  const notes =
    snapshot.cells.at(-1) === cell || snapshot.cells.length <= 1
      ? [...valuesNotes(snapshot), ...filesNotes(snapshot)]
      : []
  const receipt = receiptOf(snapshot)
  const cost = `${billCredits(costOf(snapshot, context.now).amount)} credits`
  // A cell that was all right stays so when a later one stopped.
  const ownEnd = snapshot.cells.length > 1 ? own?.status : undefined
  if (ownEnd === 'not-run')
    return line('not-run', 'info', 'Not run', { facts: ['a cell above stopped'], actions: [AGAIN] })
  if (ownEnd === 'skipped') return line('skipped', 'info', 'Skipped, as its tag says', {})
  if (end.outcome === 'ok' || ownEnd === 'ok') {
    const last = snapshot.cells.length <= 1 || snapshot.cells.at(-1) === cell
    const spoken = last
      ? { text: `Cell ${number} done, ${duration(end.usage.wallMs)}, ${cost}.`, assertive: false }
      : null
    // Received: recomputed here and equal to what was fixed. Settled: only once the ledger's proof was checked here.
    if (snapshot.phase.phase === 'received')
      return line('received', 'done', 'Done', {
        facts: [...facts, snapshot.kept === null ? 'payment under way' : 'on the kept machine'],
        actions: snapshot.kept === null ? [] : receipt,
        notes,
        spoken
      })
    return line('settled', 'settled', 'Done, not re-run', {
      facts: [...facts, settledWords(snapshot.phase)],
      actions: receipt,
      notes,
      spoken
    })
  }
  if (end.reason === 'cancelled')
    return line('cancelled', 'stop', 'Cancelled by you', {
      facts: [duration(end.usage.wallMs), cost, 'output so far is kept'],
      actions: [AGAIN, ...receipt],
      notes,
      spoken: { text: `Cell ${number} cancelled. ${cost}.`, assertive: true }
    })
  if (end.reason === 'out-of-memory') {
    const asked = typeof end.detail['memoryBytes'] === 'number' ? end.detail['memoryBytes'] : null
    return line('out-of-memory', 'error', 'Out of memory', {
      tone: 'bad',
      facts: [
        ...(asked === null ? [] : [`asked ${memory(asked)}`]),
        `needed more at ${duration(end.usage.wallMs)}`,
        cost
      ],
      actions: [
        asked === null ? AGAIN : { id: 'more-memory', label: `Run again with ${memory(asked * 2)}`, icon: 'again' },
        ...receipt
      ],
      notes,
      spoken: { text: `Cell ${number} ran out of memory.`, assertive: true }
    })
  }
  const words = describeEnd(end.reason, end.detail)
  const error =
    end.reason === 'exception' && snapshot.error !== null ? `Your code stopped: ${snapshot.error}` : words.title
  if (end.detail['atCap'] === true) return atCapLine(snapshot, end, notes, receipt, context)
  const module = snapshot.missingModule
  const image = module === null || context.environmentWith === undefined ? undefined : context.environmentWith(module)
  if (image !== undefined && image !== snapshot.image)
    return line('module-missing', 'error', error, {
      tone: 'bad',
      facts: [...facts, `${image} has ${module ?? ''}`],
      actions: [{ id: 'in-environment', label: `Run again in ${image}`, icon: 'again' }, AGAIN, ...receipt],
      notes,
      spoken: { text: `Cell ${number}: ${error}. ${image} has ${module ?? ''}.`, assertive: true }
    })
  const added = module === null || image !== undefined ? undefined : context.packageWith?.(module)
  if (added !== undefined)
    return line('package-missing', 'error', error, {
      tone: 'bad',
      facts: [...facts, `the bridge can look ${added} up`],
      actions: [{ id: 'add-package', label: `Add ${added} and run again`, icon: 'again' }, AGAIN, ...receipt],
      notes,
      spoken: { text: `Cell ${number}: ${error}. ${added} can be added.`, assertive: true }
    })
  const limit = end.reason === 'wall-limit' || end.reason === 'cpu-limit'
  return line(`ended-${end.reason}`, limit ? 'gauge' : 'error', error, {
    tone: limit ? 'warn' : 'bad',
    facts: [...facts, ...words.facts],
    actions: [limit ? { id: 'more-time', label: 'Run again with more time', icon: 'again' } : AGAIN, ...receipt],
    notes: [...(words.advice === null || limit ? [] : [words.advice]), ...notes],
    spoken: { text: `Cell ${number}: ${error}.`, assertive: true }
  })
}

/** Stopped where its money ended: the way on is more of it. */
function atCapLine(
  snapshot: TaskSnapshot,
  end: NonNullable<TaskSnapshot['end']>,
  notes: readonly string[],
  receipt: LineAction[],
  { number }: LineContext
): LineView {
  const { cap } = snapshot
  return line('at-cap', 'gauge', `Stopped at your cap of ${credits(cap)} credits`, {
    tone: 'warn',
    facts: ['output so far is kept', duration(end.usage.wallMs)],
    actions: [{ id: 'raise-cap', label: `Raise to ${credits(cap * 2n)} and run again`, icon: 'again' }, ...receipt],
    notes,
    spoken: { text: `Cell ${number} stopped at your cap of ${credits(cap)} credits. Output is kept.`, assertive: true }
  })
}

/** Names listed; more are counted. */
const LISTED_FILES = 5
const LISTED_VALUES = 8

function valuesNotes({ values, brought }: TaskSnapshot): string[] {
  if (values.length === 0) return []
  const named = values
    .slice(0, LISTED_VALUES)
    .map(
      ({ name, type, size: bytes, stays }) => `${name} (${type}, ${stays === null ? size(bytes) : `stays: ${stays}`})`
    )
  const rest = values.length - named.length
  const list = `${values.length} ${values.length === 1 ? 'value' : 'values'}: ${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
  return brought === null ? [list] : [list, brought]
}

function filesNotes({ files, moreFiles, saved }: TaskSnapshot): string[] {
  if (files.length === 0) return []
  const named = files
    .slice(0, LISTED_FILES)
    .map(file => `${file.name} (${size(file.size)}${file.stays ? ', too large to come back' : ''})`)
  const rest = files.length - named.length + moreFiles
  const count = files.length + moreFiles
  const total = size(files.reduce((sum, file) => sum + file.size, 0))
  const list = `${count} ${count === 1 ? 'file' : 'files'} · ${total}: ${named.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`
  return saved === null ? [list] : [list, saved]
}
