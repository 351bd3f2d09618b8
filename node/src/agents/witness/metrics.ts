import type { CommitView, LedgerAccess, TransactionOutcome } from '@pekka/node/protocol'
import { Counter, Gauge, Histogram, Registry } from '@pekka/node/host/metrics'
import type { LedgerStore } from '@pekka/node/host/storage'
import type { AgreementStatus } from './network/status.js'

export interface WitnessMetricsComponents {
  registry: Registry
  /** The ledger's, once it is open. */
  store: Pick<LedgerStore, 'last' | 'first' | 'historyBytes'>
  /** How the committee stands, where one decides; null before its first commit. */
  status?: () => Promise<AgreementStatus | null>
}

/** All metrics of a witness (docs/metrics.md). Those of a committee stay 0 where one witness decides alone. */
export function createWitnessMetrics({ registry, store, status }: WitnessMetricsComponents) {
  const registers = [registry]
  /** Each asks for its own value: they are collected at once, not one after the other. */
  const gauge = (name: string, help: string, value: () => number | Promise<number | null>): Gauge =>
    new Gauge({
      name: `pekka_witness_${name}`,
      help,
      registers,
      async collect() {
        const now = await value()
        if (now !== null) this.set(now)
      }
    })
  const ofCommittee = (name: string, help: string, value: (now: AgreementStatus) => number): Gauge =>
    gauge(name, help, async () => {
      const now = (await status?.()) ?? null
      return now === null ? null : value(now)
    })
  gauge('commit_index', 'Index of the last commit on disk, -1 before the first', () => store.last())
  gauge('oldest_commit_index', 'Index of the oldest commit that is kept', () => store.first())
  gauge('history_bytes', 'About how many bytes commits take on disk, with what finds them', () => store.historyBytes())
  ofCommittee('epoch', 'Epoch of the committee', now => now.epoch)
  ofCommittee('round', 'Round of the latest own block in this epoch', now => now.round)
  ofCommittee('certified_commit_index', 'Last commit that a quorum has vouched for', now => now.certified)
  ofCommittee('writes_blocks', '1 where it writes blocks now, 0 where it only follows', now => (now.writes ? 1 : 0))
  ofCommittee('committee_members', 'Members of the committee', now => now.committee.length)
  ofCommittee('peers', 'Connected witnesses and observers', now => now.peers.length)
  ofCommittee('mempool_transactions', 'Transactions that wait to be ordered', now => now.mempool)
  ofCommittee('suspended_blocks', 'Blocks that wait for others they name', now => now.waiting)
  new Counter({
    name: 'pekka_witness_equivocations_total',
    help: 'Rounds in which another witness signed two blocks, since it started',
    registers,
    async collect() {
      const now = (await status?.()) ?? null
      this.reset()
      this.inc(now?.equivocations ?? 0)
    }
  })
  new Gauge({
    name: 'pekka_witness_finality_seconds',
    help: 'From submission to final and on disk, of the last thousand transactions of own clients, by quantile',
    labelNames: ['quantile'] as const,
    registers,
    async collect() {
      const now = (await status?.()) ?? null
      if (now !== null && now.finalityP50 !== null) this.set({ quantile: '0.5' }, now.finalityP50 / 1000)
      if (now !== null && now.finalityP95 !== null) this.set({ quantile: '0.95' }, now.finalityP95 / 1000)
    }
  })
  const ordered = new Counter({
    name: 'pekka_witness_transactions_total',
    help: 'Transactions that were ordered since it started, by outcome: applied or failed',
    labelNames: ['outcome'] as const,
    registers
  })
  const submissions = new Counter({
    name: 'pekka_witness_submissions_total',
    help: 'Transactions that own clients handed in, by outcome: applied, failed or refused',
    labelNames: ['outcome'] as const,
    registers
  })
  const submitSeconds = new Histogram({
    name: 'pekka_witness_submit_seconds',
    help: 'From taking a transaction in to its answer',
    buckets: [0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
    registers
  })
  return {
    /** A commit is on disk. */
    committed: ({ transactions }: CommitView): void => {
      for (const { outcome } of transactions) ordered.inc({ outcome: outcome.status })
    },
    /** A client's transaction was answered. */
    submitted: ({ status: outcome }: TransactionOutcome, milliseconds: number): void => {
      submissions.inc({ outcome })
      submitSeconds.observe(milliseconds / 1000)
    }
  }
}
export type WitnessMetrics = ReturnType<typeof createWitnessMetrics>

/** Counts the commits after an index, until the ledger stops or the signal aborts. */
export async function countCommits(
  ledger: Pick<LedgerAccess, 'follow'>,
  { committed }: Pick<WitnessMetrics, 'committed'>,
  after: number,
  signal: AbortSignal
): Promise<void> {
  try {
    for await (const commit of ledger.follow(after, signal)) committed(commit)
  } catch {
    // The ledger has stopped: there is nothing more to count.
  }
}
