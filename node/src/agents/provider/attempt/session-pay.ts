import {
  PekkaError,
  toHex,
  type CommitClaim,
  type Done,
  type ManifestEnvelope,
  type Result,
  type RunFacts,
  type SessionReport,
  type TaskView
} from '@pekka/node/protocol'
import type { SessionDigester } from '@pekka/node/verification'
import { claimable } from '../intake/claims.js'
import type { Ordered } from '../ledger/ledger-lane.js'
import type { FrameWriter } from '../output/frame-writer.js'
import type { KeptSession } from './session.js'

/** Where the chain of frames stands. */
export interface Chain {
  count: number
  head: Uint8Array
}

/** What is claimed of a session: running time, and the rest. */
export interface SessionClaimed {
  wallMs: number
  session: NonNullable<CommitClaim['session']>
}

export interface SessionPayComponents {
  session: KeptSession
  digester: SessionDigester
  writer: FrameWriter
  /** Sends an `alive`; resolves when it is final. */
  alive: (chain: Chain, report: SessionReport) => Promise<Ordered>
  /** The ledger's word about the task, now. */
  view: () => Promise<TaskView | null>
  /** The manifest over results and what precedes it. */
  manifest: (
    result: Result,
    raw: RunFacts['raw'],
    end: Pick<Done, 'usage' | 'envRead'>,
    before: Chain
  ) => ManifestEnvelope
  /** The claim that fixes a manifest. */
  claim: (
    manifest: ManifestEnvelope,
    end: Pick<Done, 'usage' | 'outcome'>,
    claimed: SessionClaimed,
    chain: Chain
  ) => Promise<CommitClaim>
  /** Posts a tranche; resolves when it is final. */
  send: (claim: CommitClaim) => Promise<Ordered>
  log: { warn(data: object, text: string): void }
}

export interface SessionPayInit {
  task: Uint8Array
  taskKey: Uint8Array
  /** From 0. */
  attempt: number
}

/** Claims a session's pay in parts (R33): while it goes on as tranches, at its end for the commit. */
export class SessionPay {
  #claiming = false
  #underWay: Promise<void> = Promise.resolve()

  constructor(
    private readonly components: SessionPayComponents,
    private readonly init: SessionPayInit
  ) {}

  /** A claim is under way: no other `alive` may overtake what it says. */
  get claiming(): boolean {
    return this.#claiming
  }

  /** Resolves when no tranche is under way. */
  get settled(): Promise<void> {
    return this.#underWay
  }

  /** Fixes what the session has come to and is paid for it; one that fails is made up for by the next. */
  tranche(): Promise<void> {
    if (this.#claiming) return this.#underWay
    this.#claiming = true
    this.#underWay = this.#tranche()
      .catch((error: unknown) =>
        this.components.log.warn({ err: error, task: toHex(this.init.task) }, 'a tranche was not paid')
      )
      .finally(() => (this.#claiming = false))
    return this.#underWay
  }

  async #tranche(): Promise<void> {
    const { session, digester, writer, manifest: manifestOf, claim: claimOf, send } = this.components
    const { result, raw } = digester.prefix(this.init.taskKey)
    const { totals } = session
    const made: ManifestEnvelope[] = []
    const chain = await writer.write(before => {
      const manifest = manifestOf(result, raw, totals, before)
      made.push(manifest)
      return { events: [], manifest }
    }, true)
    const [manifest] = made
    if (manifest === undefined) throw new TypeError('a frame was not made')
    const claimed = await this.#claimed(chain)
    const claim = await claimOf(manifest, { ...totals, outcome: result.outcome }, claimed, chain)
    const outcome = await send(claim)
    if (outcome.status === 'failed') throw new PekkaError('TASK_STATE', { state: outcome.code, body: 'tranche' })
  }

  /** What the commit claims. No `alive` may follow. */
  async last(chain: Chain): Promise<SessionClaimed> {
    await this.#underWay
    this.#claiming = true
    return await this.#claimed(chain)
  }

  /** An `alive` covers the time up to now; what of it counts the ledger says. */
  async #claimed(chain: Chain): Promise<SessionClaimed> {
    const { session, alive, view, log } = this.components
    const { times, report } = session
    try {
      await alive(chain, report)
    } catch (error) {
      log.warn({ err: error, task: toHex(this.init.task) }, 'a claim covers the time up to the last lease')
    }
    const attempt = (await view())?.attempts[this.init.attempt]
    const { wallMs, heldMs } = attempt === undefined ? { wallMs: 0, heldMs: 0 } : claimable(attempt, times)
    return { wallMs, session: { heldMs, ...report } }
  }
}
