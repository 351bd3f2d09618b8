import {
  toHex,
  type AccountView,
  type AuctionView,
  type LedgerTime,
  type ProviderView,
  type TaskView
} from '../protocol/index.js'
import { isLive } from './ask.js'
import { needSystem } from './money.js'
import { firstTime } from './queue.js'
import { laneKey, type Row } from './rows.js'
import { viewOf } from './task/index.js'
import { scan, type Reader } from './view.js'

/** The state as APIs show it. */

export function accountView(state: Reader, account: Uint8Array): AccountView | null {
  const row = state.get('account', toHex(account))
  if (row === undefined) return null
  const lanes = [...scan(state, 'lane', `${toHex(account)}/`)].map(([, lane]) => lane)
  return {
    account,
    policy: row.policy,
    balance: row.balance,
    locked: row.locked,
    bond: row.bond,
    bondReserved: row.bondReserved,
    unbonding: row.unbonding,
    faucetDrawn: row.faucetDrawn,
    ...(row.recovery !== undefined && { recovery: row.recovery }),
    ...(row.recovering !== undefined && { recovering: row.recovering }),
    lanes: lanes.map(lane => ({
      key: lane.key,
      sequence: lane.sequence,
      previous: lane.previous,
      delegate: lane.delegate,
      used: lane.spent + lane.locked
    }))
  }
}

export function providerView(state: Reader, provider: Uint8Array): ProviderView | null {
  const row = state.get('provider', toHex(provider))
  if (row === undefined) return null
  const { name, operator, peerKey, completed, failed } = row
  const bond = state.get('account', toHex(provider))?.bond ?? 0n
  return { provider, name, operator, peerKey, bond, completed, failed }
}

export function taskView(state: Reader, task: Uint8Array): TaskView | null {
  const row = state.get('task', toHex(task))
  return row === undefined ? null : viewOf(row)
}

/** An auction, until some minutes after its end. */
export const auctionView = (state: Reader, auction: Uint8Array): AuctionView | null =>
  state.get('auction', toHex(auction)) ?? null

/** Auctions that haven't ended, ascending by id. */
export const openAuctions = (state: Reader): AuctionView[] =>
  [...scan(state, 'auction')].map(([, row]) => row).filter(row => row.state !== 'ended')

/** Asks that live at `timestamp`, for one image or all; ascending by id. */
export const liveAsks = (state: Reader, image: string | null, timestamp: number): Row<'ask'>[] =>
  [...scan(state, 'ask')]
    .map(([, row]) => row)
    .filter(row => isLive(row, timestamp) && (image === null || row.ask.image.name === image))

/** What the registry says of images, by digest. */
export const registeredImages = (state: Reader): Row<'image'>[] => [...scan(state, 'image')].map(([, row]) => row)

/** Attempts under way for an ask. */
export const runningFor = (state: Reader, ask: Uint8Array): number => state.get('load', toHex(ask))?.running ?? 0

/** The next sequence number and the last transaction of a lane; undefined: no such lane. */
export const laneHead = (state: Reader, account: Uint8Array, key: Uint8Array | null): Row<'lane'> | undefined =>
  state.get('lane', laneKey(account, key))

/**
 * When a commit is due though nobody sends anything. `first`: there is none yet; `timers`: contract time must go on, so
 * commit at least once a second (R12); `overdue`: timers were left over, commit at once; `expiry`: the first timestamp after
 * which a row goes.
 */
export function pending(state: Reader): { first: boolean; timers: boolean; overdue: boolean; expiry: number | null } {
  const next = firstTime(state, 'timer')
  const { contractTime, index } = needSystem(state)
  return {
    first: index < 0,
    timers: next !== null,
    overdue: next !== null && next <= contractTime,
    expiry: firstTime(state, 'expiry')
  }
}

/** Where the ledger stands, after its first commit. */
export function timeView(state: Reader): LedgerTime {
  const { network, index, timestamp, contractTime, tips, parameters: id } = needSystem(state)
  const parameters = state.get('parameters', String(id))
  if (parameters === undefined) throw new TypeError('the parameters in force are gone')
  const parents = [...tips].sort((a, b) => (toHex(a) < toHex(b) ? -1 : 1))
  return { network, index, timestamp, contractTime, parents, parameters }
}
