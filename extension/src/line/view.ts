import type { PekkaError } from '@pekka/node/protocol'
import { listed } from '@pekka/node/scan'
import { billCredits, credits, describeEnd, duration, guessCredits, memory, size } from '@pekka/node/client'
// Past the room's index, which needs JupyterLab: words are tested without a page.
import { costOf, isOver, timeOf, type TaskSnapshot } from '../run/snapshot.js'
import type { CellRun } from '../run/index.js'
import type { CellMetadata } from '../outputs/index.js'
import type { IconName } from './icons.js'

/** What a button of the line does. */
export type LineActionId =
  | 'files'
  | 'cancel'
  | 'again'
  | 'more-memory'
  | 'more-time'
  | 'raise-cap'
  | 'in-environment'
  | 'add-package'
  | 'wait'
  | 'why'
  | 'receipt'
  | 'retry'
  | 'connect'
  | 'settings'

export interface LineAction {
  id: LineActionId
  label: string
  icon: IconName
}

/** The line under a cell at one moment. Words of UX §2 and §4; `mock/i-badges` shows every state. */
export interface LineView {
  /** Changes when the state does, so that each state is spoken once. */
  key: string
  icon: IconName
  tone: 'plain' | 'live' | 'bad' | 'warn'
  word: string
  facts: readonly string[]
  actions: readonly LineAction[]
  /** Below the facts, where there is more to say. */
  notes: readonly string[]
  /** Two pixels along the lower edge: a share, or a moving piece. */
  bar: number | 'moving' | null
  /** For screen readers; null says nothing. Failures and money interrupt. */
  spoken: { text: string; assertive: boolean } | null
  /** Time goes by in it. */
  ticking: boolean
}

export interface LineContext {
  now: number
  /** Number of the cell as people count. */
  number: number
  connection: { status: 'connecting' | 'connected' | 'off' | 'unpaired'; seenAt: number | null }
  /** A time of day, `14:06`. */
  clock: (ms: number) => string
  /** The smallest environment that has a module. */
  environmentWith?: (module: string) => string | undefined
  /** The package that has a module which no environment has. */
  packageWith?: (module: string) => string | undefined
}

const CANCEL: LineAction = { id: 'cancel', label: 'Cancel', icon: 'stop' }
const AGAIN: LineAction = { id: 'again', label: 'Run again', icon: 'again' }
const FILES: LineAction = { id: 'files', label: 'Save files', icon: 'download' }
const RECEIPT: LineAction = { id: 'receipt', label: 'Receipt', icon: 'receipt' }
const RETRY: LineAction = { id: 'retry', label: 'Try now', icon: 'again' }

const BASE = { tone: 'plain', facts: [], actions: [], notes: [], bar: null, spoken: null, ticking: false } as const
const line = (key: string, icon: IconName, word: string, rest: Partial<LineView>): LineView => ({
  ...BASE,
  key,
  icon,
  word,
  ...rest
})

export function lineOf(run: CellRun, context: LineContext): LineView {
  switch (run.kind) {
    case 'asking':
      return line('asking', 'remote', 'Asking before it runs', {})
    case 'adding':
      return line('adding', 'spinner', `Adding ${listed(run.packages)}`, {
        tone: 'live',
        facts: ['nothing charged'],
        bar: 'moving',
        spoken: { text: `Adding ${listed(run.packages)} for cell ${context.number}.`, assertive: false }
      })
    case 'waiting':
      return line('waiting-for-match', 'hourglass', 'Waiting for a machine that matches', {
        facts: [`until ${context.clock(run.until)}`, 'nothing charged', 'while this page is open'],
        actions: [CANCEL],
        spoken: { text: `Cell ${context.number} waits for a machine that matches.`, assertive: false }
      })
    case 'preparing':
      return line('preparing', 'spinner', 'Sending', { tone: 'live', bar: 'moving' })
    case 'failed':
      return failedLine(run.error, context)
    case 'remembered':
      return rememberedLine(run, context)
    case 'task':
      return taskLine(run, context)
  }
}

function failedLine(error: PekkaError, { number }: LineContext): LineView {
  const spoken = (text: string) => ({ text: `Cell ${number}: ${text}`, assertive: true })
  switch (error.code) {
    case 'NO_MATCH':
    case 'IMAGE_UNKNOWN':
      return line('no-match', 'warning', 'No machine matches', {
        tone: 'warn',
        facts: [...(error.code === 'IMAGE_UNKNOWN' ? [bare(error.message)] : []), 'nothing charged'],
        actions: [
          { id: 'wait', label: 'Wait for one', icon: 'hourglass' },
          { id: 'why', label: 'See why', icon: 'info' },
          { id: 'settings', label: 'Change', icon: 'gear' }
        ],
        spoken: { text: `No machine matches cell ${number}.`, assertive: true }
      })
    case 'NOT_CONNECTED':
    case 'BRIDGE_UNREACHABLE':
      return line('not-connected', 'offline', 'Not sent: not connected', {
        tone: 'warn',
        facts: ['nothing charged'],
        actions: [AGAIN, { id: 'connect', label: 'How to connect', icon: 'info' }],
        spoken: spoken('not sent, because there is no connection.')
      })
    default:
      return line(`failed-${error.code}`, 'error', 'Not sent', {
        tone: 'bad',
        facts: [bare(error.message), 'nothing charged'],
        actions: [
          AGAIN,
          ...(SETTINGS_HELP.has(error.code) ? [{ id: 'settings', label: 'Change', icon: 'gear' } as const] : [])
        ],
        notes: [error.advice],
        spoken: spoken(`not sent. ${error.message}`)
      })
  }
}

const SETTINGS_HELP = new Set(['FUNDS_MISSING', 'CAP_TOO_LOW', 'DELEGATE_CAP'])

const bare = (sentence: string): string => sentence.replace(/\.$/, '')

function rememberedLine(
  { metadata, edited, unknown }: Extract<CellRun, { kind: 'remembered' }>,
  context: LineContext
): LineView {
  const facts = rememberedFacts(metadata)
  if (metadata.state === 'running') {
    if (unknown)
      return line('unknown', 'info', 'Sent from elsewhere', {
        facts: ['its output can’t be fetched with this browser’s key'],
        actions: [AGAIN]
      })
    return line('remembered-running', 'offline', 'Not connected', {
      tone: 'warn',
      facts: [
        ...(metadata.submitted === undefined ? [] : [`sent ${context.clock(metadata.submitted)}`]),
        'output catches up'
      ],
      actions:
        context.connection.status === 'unpaired' ? [{ id: 'connect', label: 'How to connect', icon: 'info' }] : [RETRY]
    })
  }
  if (edited) return editedLine(facts, unknown ? [AGAIN] : [AGAIN, RECEIPT], context)
  const receipt = unknown || context.connection.status !== 'connected' ? [] : [RECEIPT]
  switch (metadata.state) {
    case 'received':
      return line('remembered-received', 'done', 'Done', { facts })
    case 'settled':
      return line('remembered-settled', 'settled', 'Done, not re-run', {
        facts: [...facts, 'as the bridge says'],
        actions: receipt
      })
    case 'cancelled':
      return line('remembered-cancelled', 'stop', 'Cancelled by you', { facts, actions: [AGAIN, ...receipt] })
    case 'failed':
      return line('remembered-failed', 'error', 'Stopped', { tone: 'bad', facts, actions: [AGAIN, ...receipt] })
  }
}

const rememberedFacts = ({ wallMs, price, provider, image }: CellMetadata): string[] => [
  ...(wallMs === undefined ? [] : [duration(wallMs)]),
  ...(price === undefined ? [] : [`${billCredits(BigInt(price))} credits`]),
  ...(provider === undefined ? [] : [provider]),
  ...(image === undefined ? [] : [image])
]

const editedLine = (facts: string[], actions: LineAction[], { number }: LineContext): LineView =>
  line('edited', 'info', 'Result of an earlier version of this cell', {
    facts: ['cell edited since', ...facts],
    actions,
    spoken: { text: `Cell ${number} was edited; its result is from before.`, assertive: false }
  })

function taskLine(run: Extract<CellRun, { kind: 'task' }>, context: LineContext): LineView {
  const { snapshot, cell, edited, elsewhere } = run
  const { connection } = context
  if (isOver(snapshot)) {
    if (run.fetching && connection.status === 'connected')
      return line('fetching', 'spinner', 'Fetching the output', { tone: 'live', bar: 'moving' })
    if (edited) return editedLine(endFacts(snapshot, context), [AGAIN, ...receiptOf(snapshot)], context)
    return overLine(snapshot, cell, context)
  }
  if (connection.status === 'off' || connection.status === 'unpaired') return offlineLine(snapshot, context)
  const view = underwayLine(snapshot, cell, context)
  return elsewhere ? { ...view, facts: [...view.facts, 'output goes into your other tab'] } : view
}

function offlineLine(snapshot: TaskSnapshot, { connection, clock, number }: LineContext): LineView {
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

function underwayLine(snapshot: TaskSnapshot, cell: string, context: LineContext): LineView {
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
  if (many && own !== undefined && own.status !== 'running' && own.status !== 'pending')
    return cellEndLine(own, snapshot, context)
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

/** A cell that has ended while others of its task run on. */
function cellEndLine(
  own: { status: 'ok' | 'error' | 'skipped' | 'not-run'; ms: number | null },
  snapshot: TaskSnapshot,
  { number }: LineContext
): LineView {
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

const receiptOf = ({ phase, files, canFetch }: TaskSnapshot): LineAction[] => [
  ...(canFetch && files.some(({ stays }) => !stays) ? [FILES] : []),
  ...(phase.phase === 'settled' ? [RECEIPT] : [])
]

/** Time, price, machine, environment. */
function endFacts(snapshot: TaskSnapshot, { now }: Pick<LineContext, 'now'>): string[] {
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

function overLine(snapshot: TaskSnapshot, cell: string, context: LineContext): LineView {
  const { phase, end, refunded, attempt, tries } = snapshot
  const { number } = context
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
          facts: ['nothing charged', `${back} credits came back`],
          actions: [AGAIN],
          spoken: { text: `Cell ${number} cancelled. Nothing was charged.`, assertive: true }
        })
      const why =
        phase.reason === 'no-provider'
          ? 'no machine took it'
          : `${Math.max(attempt, Math.min(tries, attempt))} ${attempt === 1 ? 'machine' : 'machines'} lost contact`
      return line('refunded', 'returned', `Not finished, ${back} credits came back`, {
        facts: [why, '0 charged'],
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
  const notes = snapshot.cells.at(-1) === cell || snapshot.cells.length <= 1 ? filesNotes(snapshot) : []
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
    // Received: recomputed here and equal to what was fixed. Settled: as the bridge says, until proofs exist.
    if (snapshot.phase.phase === 'received')
      return line('received', 'done', 'Done', { facts: [...facts, 'payment under way'], notes, spoken })
    return line('settled', 'settled', 'Done, not re-run', {
      facts: [...facts, 'as the bridge says'],
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
