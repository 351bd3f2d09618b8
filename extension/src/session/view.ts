import { billCredits, credits, duration, guessCredits } from '@pekka/node/client'
import { listed } from '@pekka/node/scan'
// Past the rooms' indexes, which need JupyterLab: words are tested without a page.
import type { IconName } from '../line/icons.js'
import { REFUTED, REFUTED_ADVICE, REFUTED_WORDS, isRefuted, settledWords } from '../line/proof.js'
import type { MachineSnapshot } from './snapshot.js'
import type { Opening } from './entries.js'

export type MachineActionId =
  'let-go' | 'interrupt' | 'restart' | 'again' | 'keep' | 'receipt' | 'dismiss' | 'connect' | 'retry'

export interface MachineAction {
  id: MachineActionId
  label: string
  icon: IconName
}

/** The notebook's line about its kept machine, at one moment. */
export interface MachineView {
  /** Changes when the state does, so that each is spoken once. */
  key: string
  icon: IconName
  tone: 'plain' | 'live' | 'bad' | 'warn'
  word: string
  facts: readonly string[]
  actions: readonly MachineAction[]
  spoken: { text: string; assertive: boolean } | null
  ticking: boolean
}

export interface MachineContext {
  now: number
  connected: boolean
  /** A time of day, `14:06`. */
  clock: (ms: number) => string
  /** How many cells ran on it that this notebook still has. */
  cells: number
}

const LET_GO: MachineAction = { id: 'let-go', label: 'Let go', icon: 'stop' }
const INTERRUPT: MachineAction = { id: 'interrupt', label: 'Interrupt', icon: 'pause' }
const RESTART: MachineAction = { id: 'restart', label: 'Restart', icon: 'again' }
const KEEP: MachineAction = { id: 'keep', label: 'Keep one again', icon: 'again' }
const RECEIPT: MachineAction = { id: 'receipt', label: 'Receipt', icon: 'receipt' }
const DISMISS: MachineAction = { id: 'dismiss', label: 'Close', icon: 'close' }

const view = (key: string, icon: IconName, word: string, rest: Partial<MachineView>): MachineView => ({
  ...{ tone: 'plain', facts: [], actions: [], spoken: null, ticking: false },
  ...{ key, icon, word },
  ...rest
})

/** Before there is a machine. */
export function openingView(opening: Opening): MachineView {
  switch (opening.kind) {
    case 'adding':
      return view('adding', 'spinner', `Adding ${listed(opening.packages)}`, {
        tone: 'live',
        facts: ['nothing charged']
      })
    case 'fetching':
      return view('fetching', 'spinner', `Fetching from ${listed(opening.hosts)}`, {
        tone: 'live',
        facts: ['nothing charged']
      })
    case 'sending':
      return view('sending', 'spinner', 'Looking for a machine to keep', { tone: 'live', facts: ['nothing charged'] })
    case 'failed': {
      const { message, advice } = opening.error
      return view(`failed-${opening.error.code}`, 'error', 'No machine is kept', {
        tone: 'bad',
        facts: [message.replace(/\.$/, ''), 'nothing charged', advice.replace(/\.$/, '')],
        actions: [{ ...KEEP, label: 'Try again' }, DISMISS],
        spoken: { text: `No machine is kept. ${message}`, assertive: true }
      })
    }
  }
}

export function machineView(machine: MachineSnapshot, context: MachineContext): MachineView {
  const { phase, provider, lettingGo } = machine
  const name = provider ?? 'A machine'
  if (isRefuted(phase)) return refutedView(machine)
  switch (phase.phase) {
    case 'refused':
      return view('refused', 'error', 'No machine is kept', {
        tone: 'bad',
        facts: [REFUSED[phase.code] ?? phase.code, 'nothing charged'],
        actions: [{ ...KEEP, label: 'Try again' }, DISMISS],
        spoken: { text: 'No machine is kept. Nothing was charged.', assertive: true }
      })
    case 'mismatch':
      return view('mismatch', 'error', 'Output and signature don’t agree', {
        tone: 'bad',
        facts: [`${name} sent something else than it fixed`, 'don’t use its results'],
        actions: [{ ...KEEP, label: 'Run its cells again elsewhere', id: 'again' }, DISMISS],
        spoken: { text: 'The kept machine’s output and signature don’t agree. Don’t use its results.', assertive: true }
      })
    case 'refunded':
      return lostView(machine, phase.reason, context)
    case 'received':
    case 'settled':
      return endView(machine)
    case 'sending':
    case 'waiting':
      return view('waiting', 'hourglass', 'Waiting for a machine to keep', {
        facts: ['nothing charged'],
        actions: context.connected ? [{ ...LET_GO, label: 'Cancel' }] : []
      })
    default:
  }
  if (lettingGo || phase.phase === 'stopping')
    return view('letting-go', 'spinner', `Letting ${name} go`, { tone: 'live', facts: [spentWords(machine)] })
  if (!context.connected)
    return view('offline', 'offline', 'Not connected', {
      tone: 'warn',
      facts: [`${name} was kept when last seen`, ...endWords(machine, context)],
      actions: [{ id: 'retry', label: 'Try now', icon: 'again' }],
      ticking: true
    })
  if (phase.phase === 'starting')
    return view('starting', 'starting', `Starting on ${name}`, { tone: 'live', actions: [LET_GO] })
  return keptView(machine, name, context)
}

function keptView(machine: MachineSnapshot, name: string, context: MachineContext): MachineView {
  const { since, runningSince, queued, hold, price } = machine
  const kept = since === null ? [] : [`kept ${duration(Math.max(0, context.now - since))}`]
  if (runningSince !== null || queued > 0) {
    const more = runningSince === null ? queued - 1 : queued
    return view('running', 'spinner', `${name} is at work for this notebook`, {
      tone: 'live',
      facts: [
        ...kept,
        ...(more > 0 ? [`${more} more ${more === 1 ? 'run waits' : 'runs wait'}`] : []),
        ...(price === null ? [] : [`${credits(price)} credits a second`]),
        spentWords(machine)
      ],
      actions: [INTERRUPT, RESTART, LET_GO],
      ticking: true
    })
  }
  return view('idle', 'remote', `${name} is kept for this notebook`, {
    facts: [
      ...kept,
      spentWords(machine),
      ...endWords(machine, context),
      ...(hold === null ? [] : [`${credits(hold)} credits a second while it waits`])
    ],
    actions: [RESTART, LET_GO],
    spoken: { text: `${name} is kept for this notebook. Its cells see what earlier ones made.`, assertive: false },
    ticking: true
  })
}

const REFUSED: Record<string, string> = {
  FUNDS_MISSING: 'you have too few credits',
  DELEGATE_CAP: 'this browser’s key may not spend that much: ask for less',
  DELEGATE_EXPIRED: 'this browser’s key has expired',
  TRANSACTION_EXPIRED: 'it came too late'
}

const spentWords = ({ spent, cap }: MachineSnapshot): string =>
  spent === 0n ? `at most ${credits(cap)} credits` : `about ${guessCredits(spent)} of ${credits(cap)} credits`

function endWords({ idleEnd, lifeEnd }: MachineSnapshot, { clock }: MachineContext): string[] {
  if (idleEnd !== null && (lifeEnd === null || idleEnd < lifeEnd)) return [`ends ${clock(idleEnd)} if nothing is run`]
  return lifeEnd === null ? [] : [`ends ${clock(lifeEnd)}`]
}

const moneyWords = ({ spent, refunded, phase }: MachineSnapshot): string[] => [
  `${billCredits(spent)} credits`,
  ...(refunded === null ? [] : [`${billCredits(refunded)} came back`]),
  settledWords(phase)
]

/** Neither its end nor its sums are told on: the bridge's word of them is false. */
function refutedView({ phase, provider }: MachineSnapshot): MachineView {
  return view('refuted', 'error', REFUTED, {
    tone: 'bad',
    facts: [`what ${provider ?? 'the machine'} cost and how it ended can’t be believed`, REFUTED_ADVICE],
    actions: [...(phase.phase === 'settled' ? [RECEIPT] : []), DISMISS],
    spoken: { text: `The kept machine: ${REFUTED_WORDS}.`, assertive: true }
  })
}

/** It is over as it should be. */
function endView(machine: MachineSnapshot): MachineView {
  const { provider, phase, done, endedByItself, idleMs, cap } = machine
  const name = provider ?? 'The machine'
  const why =
    done !== null && done.detail['atCap'] === true
      ? `${name} was let go at your cap of ${credits(cap)} credits`
      : done?.reason === 'out-of-memory'
        ? `${name} ran out of memory, and what its cells made is gone`
        : done !== null && (done.reason === 'kernel-died' || done.reason === 'runner-lost')
          ? `Python ended on ${name}, and what its cells made is gone`
          : endedByItself && idleMs !== null
            ? `${name} was let go after ${duration(idleMs)} without a run`
            : `${name} was let go`
  const bad = why.endsWith('gone')
  return view('ended', bad ? 'error' : 'done', why, {
    tone: bad ? 'bad' : 'plain',
    facts: phase.phase === 'settled' ? moneyWords(machine) : ['payment under way'],
    actions: [KEEP, ...(phase.phase === 'settled' ? [RECEIPT] : []), DISMISS],
    spoken: { text: `${why}.`, assertive: bad }
  })
}

/** It is over without what its provider owed. */
function lostView(machine: MachineSnapshot, reason: string, { cells }: MachineContext): MachineView {
  const { provider } = machine
  if (reason === 'provider-lost') {
    const word = `${provider ?? 'The machine'} was lost, and what its cells made with it`
    const again: MachineAction = { id: 'again', label: 'Run its cells again elsewhere', icon: 'again' }
    return view('lost', 'error', word, {
      tone: 'bad',
      facts: moneyWords(machine),
      actions: [cells > 0 ? again : KEEP, DISMISS],
      spoken: { text: `${word}.`, assertive: true }
    })
  }
  const word = reason === 'no-provider' ? 'No machine took it' : 'No machine is kept'
  return view(`refunded-${reason}`, 'returned', word, {
    facts: moneyWords(machine),
    actions: [{ ...KEEP, label: 'Try again' }, DISMISS],
    spoken: { text: `${word}.`, assertive: true }
  })
}
