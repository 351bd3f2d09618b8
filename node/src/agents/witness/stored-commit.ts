import { encodeCanonical, type CommitView } from '@pekka/node/protocol'
import { encodeRow, type CommitResult } from '@pekka/node/ledger'
import type { LedgerBatch } from '@pekka/node/host/storage'

/** A commit as the store takes it: what it wrote, itself as its readers see it, and where its transactions and accounts are found again. */
export const batchOf = (result: CommitResult, commit: CommitView): LedgerBatch => ({
  index: result.header.index,
  rows: result.writes.map(({ table, key, row }) => ({ table, key, value: row === null ? null : encodeRow(row) })),
  commit: encodeCanonical(commit),
  transactions: result.ordered.map(({ outcome }) => outcome.id),
  closedTasks: result.tasks
    .filter(task => task.state === 'closed')
    .map(task => ({ task: task.task, view: encodeCanonical(task) })),
  accounts: result.accounts
})

/** What an executed commit comes to for its readers. @param signature the header's */
export const commitView = (result: CommitResult, signature: Uint8Array): CommitView => ({
  header: { ...result.header, signature },
  transactions: result.ordered.map(({ transaction, outcome }) => ({ bytes: transaction.bytes, outcome })),
  tasks: result.tasks,
  ...(result.auctions.length > 0 ? { auctions: result.auctions } : {}),
  asks: result.asks,
  accounts: result.accounts
})
