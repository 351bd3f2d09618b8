import { pause } from '@pekka/node/host/network'
import { isPekkaError, toHex, type CommitClaim, type TaskView } from '@pekka/node/protocol'
import type { LedgerLane, Ordered } from '../ledger/ledger-lane.js'
import type { RunRecord, RunStore } from '../output/run-store.js'

export interface CommitterComponents {
  lane: LedgerLane
  store: RunStore
  /** The newest commit's timestamp that is known, ms: the clock that the ledger counts by. */
  ledgerNow: () => number
  /** Aborted when the provider stops; what isn't committed then is committed at the next start. */
  stopping: AbortSignal
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

/** Pause before a commit is tried again when the ledger can't be reached, ms. */
const RETRY_MS = 2_000

/** Says nothing of the commit: the ledger is away, or takes no more just now (R30). */
const FOR_LATER: ReadonlySet<string> = new Set(['LEDGER_UNREACHABLE', 'RATE_LIMITED', 'BANDWIDTH_SPENT'])

/** Brings finished runs onto the ledger: no commit, no pay (R10). */
export class Committer {
  constructor(private readonly components: CommitterComponents) {}

  /** Commits a finished run; resolves when the ledger has taken or refused it, or the provider stops. */
  async commit(record: RunRecord, wallLimit: number, view: () => TaskView | null): Promise<void> {
    const { store, stopping, log } = this.components
    if (record.finished === null) throw new TypeError('the run is not finished')
    const { claim } = record.finished
    claim.usage.wallMs = Math.min(claim.usage.wallMs, wallLimit)
    while (!stopping.aborted) {
      claim.usage.wallMs = Math.min(claim.usage.wallMs, this.#untilCancel(record, view()))
      const outcome = await this.#try(record, claim)
      if (outcome === null) {
        await pause(RETRY_MS, stopping)
        continue
      }
      if (outcome.status === 'failed' && outcome.code === 'LIMIT_EXCEEDED') {
        const most = this.#sinceAccept(record, view())
        if (most < claim.usage.wallMs) {
          claim.usage.wallMs = most
          continue
        }
      }
      record.ledger = outcome.status === 'applied' ? 'committed' : 'lost'
      if (outcome.status === 'failed')
        log.warn({ task: toHex(record.task), code: outcome.code }, 'the commit was refused')
      await store.put(record)
      return
    }
  }

  /** null: the ledger could not be reached. */
  async #try(
    { task, attempt }: RunRecord,
    claim: CommitClaim
  ): Promise<(Pick<Ordered, 'status'> & { code: string }) | null> {
    try {
      const outcome = await this.components.lane.send(
        { kind: 'commit', task, attempt, claim },
        this.components.stopping
      )
      return outcome.status === 'failed' ? outcome : { status: 'applied', code: '' }
    } catch (error) {
      if (isPekkaError(error) && !FOR_LATER.has(error.code) && !error.code.startsWith('LINK_')) {
        return { status: 'failed', code: error.code }
      }
      this.components.log.warn({ err: error, task: toHex(task) }, 'a commit waits for the ledger')
      return null
    }
  }

  /** In STOPPING no more than the time up to the cancel may be claimed (R10). */
  #untilCancel({ attempt }: RunRecord, view: TaskView | null): number {
    const accepted = view?.attempts[attempt - 1]?.acceptedAt
    if (accepted === undefined || view?.state !== 'stopping' || view.cancelledAt === null) return Infinity
    return Math.max(0, view.cancelledAt - accepted)
  }

  /** What certainly isn't more than the ledger allows: from the accept's commit to the newest one known. */
  #sinceAccept({ attempt }: RunRecord, view: TaskView | null): number {
    const accepted = view?.attempts[attempt - 1]?.acceptedAt
    return accepted === undefined ? 0 : Math.max(0, this.components.ledgerNow() - accepted)
  }
}
