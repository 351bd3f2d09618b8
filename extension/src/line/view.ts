import type { PekkaError } from '@pekka/node/protocol'
import { billCredits, duration } from '@pekka/node/client'
import { listed } from '@pekka/node/scan'
// Past the room's index, which needs JupyterLab: words are tested without a page.
import { isOver } from '../run/snapshot.js'
import type { CellRun } from '../run/index.js'
import type { CellMetadata } from '../outputs/index.js'
import { endFacts, overLine, receiptOf } from './ended.js'
import { AGAIN, CANCEL, RECEIPT, RETRY, line, type LineAction, type LineContext, type LineView } from './parts.js'
import { cellEndLine, endedCell, offlineLine, underwayLine } from './underway.js'

export type { LineAction, LineActionId, LineContext, LineView } from './parts.js'

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
    case 'fetching':
      return line('fetching', 'spinner', `Fetching from ${listed(run.hosts)}`, {
        tone: 'live',
        facts: ['nothing charged'],
        bar: 'moving',
        spoken: { text: `Fetching data for cell ${context.number}.`, assertive: false }
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
          ...(SETTINGS_HELP.has(error.code) ? [{ id: 'settings', label: 'Change', icon: 'gear' } as const] : []),
          ...(QUOTE_HELPS.has(error.code) ? [{ id: 'why', label: 'Choose again', icon: 'gear' } as const] : [])
        ],
        notes: [error.advice],
        spoken: spoken(`not sent. ${error.message}`)
      })
  }
}

const SETTINGS_HELP = new Set(['FUNDS_MISSING', 'CAP_TOO_LOW', 'DELEGATE_CAP'])

/** The quote has a tick for what these are about. */
const QUOTE_HELPS = new Set(['INPUT_REFUSED', 'INPUT_UNREACHABLE', 'INPUT_TOO_BIG'])

const bare = (sentence: string): string => sentence.replace(/\.$/, '')

function rememberedLine(
  { metadata, edited, unknown, writer }: Extract<CellRun, { kind: 'remembered' }>,
  context: LineContext
): LineView {
  const facts = rememberedFacts(metadata)
  if (metadata.state === 'running') {
    const sent = metadata.submitted === undefined ? [] : [`sent ${context.clock(metadata.submitted)}`]
    if (unknown && writer === 'here')
      return line('other-browser', 'remote', 'Running from another browser', {
        facts: [...sent, 'its page writes the output here', 'it can be cancelled there'],
        spoken: { text: `Cell ${context.number} runs remotely from another browser.`, assertive: false }
      })
    if (unknown)
      return line('unknown', 'info', 'Sent from another browser', {
        facts: [...sent, 'its output comes when the notebook is opened there: this browser’s key can’t fetch it'],
        actions: [AGAIN]
      })
    return line('remembered-running', 'offline', 'Not connected', {
      tone: 'warn',
      facts: [...sent, 'output catches up'],
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
  if (connection.status === 'off' || connection.status === 'unpaired') {
    // What has come of a batch is here, whatever becomes of the rest.
    const ended = endedCell(snapshot, cell)
    return ended === undefined ? offlineLine(snapshot, context) : cellEndLine(ended, snapshot, context)
  }
  const view = underwayLine(snapshot, cell, context)
  return elsewhere ? { ...view, facts: [...view.facts, 'output goes into your other tab'] } : view
}
