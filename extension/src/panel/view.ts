import { billCredits, credits, describeEnd, duration, guessCredits } from '@pekka/node/client'
import type { ConnectionState } from '../connection/index.js'
import type { IconName } from '../line/index.js'
// Past the room's index, which needs JupyterLab: words are tested without a page.
import { REFUTED, isRefuted } from '../line/proof.js'
import { costOf, isOver, timeOf, type TaskSnapshot } from '../run/snapshot.js'

/** A row of the panel. */
export interface TaskRow {
  id: string
  icon: IconName
  tone: 'plain' | 'live' | 'bad' | 'warn'
  title: string
  /** On the right: time while it runs, price once it is over. */
  figure: string
  /** Second line. */
  state: string
  running: boolean
}

export interface TaskGroup {
  title: string
  rows: TaskRow[]
}

interface Look {
  icon: IconName
  tone: TaskRow['tone']
  state: string
}

/** How a task stands, in a few words: as the line under a cell, without what only concerns one cell. */
export function lookOf(snapshot: TaskSnapshot): Look {
  const { phase, provider, end, error, lost, cancelling } = snapshot
  if (!isOver(snapshot)) {
    if (cancelling || phase.phase === 'stopping') return { icon: 'spinner', tone: 'live', state: 'Cancelling' }
    if (lost !== null && phase.phase !== 'running')
      return { icon: 'again', tone: 'warn', state: `${lost} lost contact, trying another` }
    switch (phase.phase) {
      case 'sending':
        return { icon: 'spinner', tone: 'live', state: 'Sending' }
      case 'starting':
        return { icon: 'starting', tone: 'live', state: `Starting on ${provider ?? 'a machine'}` }
      case 'running':
        return { icon: 'spinner', tone: 'live', state: `Running on ${provider ?? 'a machine'}` }
      default:
        return { icon: 'hourglass', tone: 'plain', state: 'Waiting for a machine' }
    }
  }
  if (isRefuted(phase)) return { icon: 'error', tone: 'bad', state: REFUTED }
  switch (phase.phase) {
    case 'refused':
      return { icon: 'error', tone: 'bad', state: 'Not started' }
    case 'mismatch':
      return { icon: 'error', tone: 'bad', state: 'Output and signature don’t agree' }
    case 'refunded':
      return phase.reason === 'cancelled'
        ? { icon: 'stop', tone: 'plain', state: 'Cancelled by you' }
        : { icon: 'returned', tone: 'plain', state: 'Not finished' }
    default:
  }
  if (end === null || end.outcome === 'ok')
    return phase.phase === 'received'
      ? { icon: 'done', tone: 'plain', state: 'Done' }
      : { icon: 'settled', tone: 'plain', state: 'Done, not re-run' }
  if (end.outcome === 'stopped') return { icon: 'stop', tone: 'plain', state: 'Cancelled by you' }
  if (end.outcome === 'limit') return { icon: 'gauge', tone: 'warn', state: limitWords(snapshot) }
  return {
    icon: 'error',
    tone: 'bad',
    state: error === null ? 'Your code stopped' : `Your code stopped: ${error}`
  }
}

/** Without its output nothing but "a limit" is known of a task. */
const limitWords = ({ end, progress }: TaskSnapshot): string =>
  end === null || (progress.size === 0 && Object.keys(end.detail).length === 0)
    ? 'Stopped at a limit'
    : describeEnd(end.reason, end.detail).title

export function rowOf(snapshot: TaskSnapshot, now: number, offline: boolean): TaskRow {
  const running = !isOver(snapshot)
  const look = lookOf(snapshot)
  const time = timeOf(snapshot, now)
  const cost = costOf(snapshot, now)
  if (running && offline)
    return {
      id: snapshot.task,
      icon: 'offline',
      tone: 'warn',
      title: snapshot.title,
      figure: '',
      state: asSeen(snapshot),
      running
    }
  const details: string[] = []
  if (running && cost.amount > 0n) details.push(`about ${guessCredits(cost.amount)} credits`)
  if (!running && time !== null) details.push(duration(time))
  return {
    id: snapshot.task,
    icon: look.icon,
    tone: look.tone,
    title: snapshot.title,
    figure: running ? (time === null ? '' : duration(time)) : cost.amount === 0n ? '0' : billCredits(cost.amount),
    state: [look.state, ...details].join(' · '),
    running
  }
}

/** Of a task under way while nothing is heard of it: how it stood, and what it can cost at most. Never a number that goes on. */
function asSeen(snapshot: TaskSnapshot): string {
  if (snapshot.cancelling) return 'Will cancel when connected'
  const { state } = lookOf(snapshot)
  const most = snapshot.cap > 0n ? [`at most ${credits(snapshot.cap)} credits`] : []
  return [`Was ${state.charAt(0).toLowerCase()}${state.slice(1)}`, ...most].join(' · ')
}

/** Now · Earlier today · days, newest first; filtered by name, machine and state. */
export function groupTasks(
  snapshots: readonly TaskSnapshot[],
  options: { now: number; offline: boolean; filter: string; day: (ms: number) => string }
): TaskGroup[] {
  const { now, offline, filter, day } = options
  const wanted = filter.trim().toLowerCase()
  const groups = new Map<string, TaskRow[]>()
  const today = day(now)
  for (const snapshot of snapshots) {
    const row = rowOf(snapshot, now, offline)
    const text = `${row.title} ${row.state} ${snapshot.provider ?? ''} ${snapshot.image ?? ''}`.toLowerCase()
    if (!text.includes(wanted)) continue
    const on = day(snapshot.submittedAt)
    const title = row.running ? 'Now' : on === today ? 'Earlier today' : on
    const rows = groups.get(title) ?? []
    rows.push(row)
    groups.set(title, rows)
  }
  const now_ = groups.get('Now')
  groups.delete('Now')
  return [
    ...(now_ === undefined ? [] : [{ title: 'Now', rows: now_ }]),
    ...[...groups].map(([title, rows]) => ({ title, rows }))
  ]
}

/** What stands in the panel's foot about the connection. */
export function connectionWords(
  state: ConnectionState,
  clock: (ms: number) => string
): { icon: IconName; tone: TaskRow['tone']; text: string; help: string | null } {
  switch (state.status) {
    case 'connected':
      return { icon: 'online', tone: 'plain', text: `Connected to ${nameOf(state.address)}`, help: null }
    case 'connecting':
      return { icon: 'spinner', tone: 'live', text: 'Connecting…', help: null }
    case 'unpaired':
      return { icon: 'offline', tone: 'warn', text: state.reason, help: 'How to connect' }
    case 'off':
      return { icon: 'offline', tone: 'warn', text: `No connection since ${clock(state.since)}`, help: 'Try now' }
  }
}

/** A bridge behind Lab's proxy is the one of this Jupyter. */
const nameOf = (address: string): string => {
  const { host, pathname } = new URL(address)
  return /\/proxy\/(?:https:)?\d+\/?$/.test(pathname) ? 'the local bridge' : host
}

/** The status bar's text. */
export function statusWords(
  state: ConnectionState,
  running: readonly TaskSnapshot[],
  now: number
): { icon: IconName; text: string } {
  if (state.status === 'off')
    return { icon: 'offline', text: running.length > 0 ? 'Not connected: tasks go on' : 'PEKKA: not connected' }
  if (state.status === 'unpaired') return { icon: 'offline', text: 'PEKKA: connect…' }
  if (running.length === 0)
    return { icon: 'remote', text: state.status === 'connecting' ? 'PEKKA: connecting' : 'PEKKA' }
  const cost = running.reduce((sum, snapshot) => sum + costOf(snapshot, now).amount, 0n)
  const tasks = running.length === 1 ? '1 task' : `${running.length} tasks`
  return { icon: 'remote', text: cost > 0n ? `${tasks} · ${guessCredits(cost)} credits` : tasks }
}

/** What a notification says of a task's end. */
export function endMessage(snapshot: TaskSnapshot, now: number): { text: string; failed: boolean } {
  const look = lookOf(snapshot)
  const time = timeOf(snapshot, now)
  const cost = costOf(snapshot, now)
  const facts = [...(time === null ? [] : [duration(time)]), `${billCredits(cost.amount)} credits`].join(', ')
  const done = look.icon === 'done' || look.icon === 'settled'
  return {
    text: done ? `${snapshot.title} is done. ${facts}.` : `${snapshot.title}: ${look.state}. ${facts}.`,
    failed: look.tone === 'bad' || look.tone === 'warn'
  }
}

/** What a task costs, of its cap where that is known: `About 0.02 of at most 0.50 credits`. */
export function costWords({ amount, known }: ReturnType<typeof costOf>, cap: bigint): string {
  const cost = known ? billCredits(amount) : `About ${guessCredits(amount)}`
  return cap > 0n ? `${cost} of at most ${credits(cap)} credits` : `${cost} credits`
}

/** `4.218 credits`, `0.50 on hold`. */
export const balanceWords = (account: { balance: bigint; locked: bigint }): { free: string; held: string } => ({
  free: `${credits(account.balance - (account.balance % 1000n))} credits`,
  held: account.locked > 0n ? `${credits(account.locked)} on hold` : ''
})
