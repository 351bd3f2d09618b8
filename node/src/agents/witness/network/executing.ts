import { PekkaError, taggedHash, toHex, utf8, type CommitteeMembers } from '@pekka/node/protocol'
import { elect, type Elected, type Member, type PayloadTransaction } from '@pekka/node/consensus'
import { candidatesFor, encodeRow, Overlay, timeView, type CommitResult, type Reader } from '@pekka/node/ledger'
import type { LedgerStore } from '@pekka/node/host/storage'
import { FINAL_WINDOW } from './constants.js'

/** What executing a commit of a committee takes and comes to, beside what the ledger itself does. */

/**
 * Which of the vertices that transactions name are final before the next commit: the last ones of the state, and those of the last FINAL_WINDOW commits. Read
 * from disk, so that it is the same on every witness, also on one that has just been started.
 */
export async function finalBefore(
  transactions: readonly Pick<PayloadTransaction, 'transaction'>[],
  store: Pick<LedgerStore, 'locate'>,
  state: Reader
): Promise<(vertex: Uint8Array) => boolean> {
  const { index, parents: tips } = timeView(state)
  const final = new Set(tips.map(toHex))
  const asked = new Set<string>()
  for (const { transaction } of transactions) {
    for (const parent of transaction.parents) {
      const key = toHex(parent)
      if (asked.has(key)) continue
      asked.add(key)
      const place = await store.locate(parent)
      if (place !== null && place.index > index - FINAL_WINDOW) final.add(key)
    }
  }
  return vertex => final.has(toHex(vertex))
}

/** So many commits before a vertex is too old to be named, a witness takes no transaction any more that names it: it waits for some first. */
const ORDERED_WITHIN = 256

/**
 * Refuses what names a vertex that will be none of {@link finalBefore} when it is ordered: it would be this witness's waste (R30).
 * @throws PekkaError PARENT_UNKNOWN
 */
export async function refuseOldParents(
  { transaction: { parents, previous } }: Pick<PayloadTransaction, 'transaction'>,
  store: Pick<LedgerStore, 'locate'>,
  state: Reader
): Promise<void> {
  const { index, parents: tips } = timeView(state)
  const fresh = new Set([...tips, ...(previous === null ? [] : [previous])].map(toHex))
  for (const parent of parents) {
    if (fresh.has(toHex(parent))) continue
    const place = await store.locate(parent)
    if (place !== null && place.index <= index - FINAL_WINDOW + ORDERED_WITHIN) throw new PekkaError('PARENT_UNKNOWN')
  }
}

/** Who sits in an epoch, by the state after a commit that isn't in `state` yet; null: nobody can be elected. */
export function electAfter(
  state: Reader,
  { writes }: CommitResult,
  { epoch, seats }: { epoch: number; seats: number }
): Elected | null {
  const after = new Overlay(state)
  for (const { table, key, row } of writes) {
    if (row === null) after.delete(table, key)
    else after.put(table, key, row)
  }
  const members = elect(candidatesFor(after, epoch), seats)
  return members.length > 0 ? { epoch, members } : null
}

/** Who signs an epoch's checkpoints. That of epoch 0 stands in the genesis' order, as its readers know it. */
export const signersOf = (members: readonly Member[]): CommitteeMembers =>
  members.map(({ key, stake }): [Uint8Array, bigint] => [key, stake])

/** Equal for equal sequences of changes, and so for equal states: what commit votes are about. */
export function stateDigest(before: Uint8Array, { message, writes }: CommitResult): Uint8Array {
  const rows = writes.flatMap(({ table, key, row }) => [
    utf8(`${table}/${key}`),
    row === null ? new Uint8Array() : encodeRow(row)
  ])
  return taggedHash('pekka/state/v1', before, message, ...rows)
}
