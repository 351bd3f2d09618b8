import {
  AGENT_BODIES,
  PekkaError,
  equalBytes,
  type AccountView,
  type Clock,
  type LedgerAccess
} from '@pekka/node/protocol'
import { AGENT_LOOK_MS, BID_DEPOSIT, BID_DEPOSITS, DELEGATE_LIFE_MS } from '../constants.js'
import type { Identity } from './identity.js'
import { LedgerLane } from './ledger-lane.js'

export interface AgentGrantComponents {
  ledger: LedgerAccess
  clock: Clock
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

/** Keeps the agent's key good (R28): it lives thirty days, a provider runs for years. */
export class AgentGrant {
  #timer: NodeJS.Timeout | null = null
  #looking: Promise<void> | null = null

  constructor(
    private readonly components: AgentGrantComponents,
    private readonly identity: Pick<Identity, 'network' | 'provider' | 'account' | 'agent'>,
    /** `interval`: how often it looks, ms. */
    private readonly init: { interval?: number } = {}
  ) {}

  /** From now on the key is renewed in the last tenth of its life. {@link ensure} has made it good before. */
  start(signal?: AbortSignal): void {
    this.#timer = setInterval(() => void this.#look(signal), this.init.interval ?? AGENT_LOOK_MS).unref()
  }

  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#looking
  }

  /** Grants the agent its key, unless it has one that lasts. @throws PekkaError ACCOUNT_UNKNOWN, and the ledger's own codes */
  async ensure(signal?: AbortSignal): Promise<void> {
    const { ledger, clock, log } = this.components
    const { network, provider, account, agent } = this.identity
    const view = await ledger.account(provider, signal)
    if (view === null) throw new PekkaError('ACCOUNT_UNKNOWN', { account: 'of this provider' })
    if (lasts(view, agent.publicKey, clock.now())) return
    const lane = new LedgerLane({ ledger, clock }, { network, account: provider, signer: account, lane: 'account' })
    const expiry = clock.now() + DELEGATE_LIFE_MS
    const delegate = {
      key: agent.publicKey,
      cap: BID_DEPOSITS,
      perTask: BID_DEPOSIT,
      bodies: [...AGENT_BODIES],
      expiry
    }
    await lane.apply({ kind: 'grant', delegate }, signal)
    log.info({ expiry }, 'the agent has its key')
  }

  #look(signal?: AbortSignal): Promise<void> {
    this.#looking ??= this.ensure(signal)
      .catch((error: unknown) => this.components.log.warn({ err: error }, "the agent's key could not be renewed yet"))
      .finally(() => (this.#looking = null))
    return this.#looking
  }
}

/** Whether the account's delegate for `key` lets an agent work, and will for a while. */
function lasts(view: AccountView, key: Uint8Array, now: number): boolean {
  const lane = view.lanes.find(one => one.key !== null && equalBytes(one.key, key))
  const delegate = lane?.delegate
  if (!delegate) return false
  return delegate.expiry - now > DELEGATE_LIFE_MS / 10 && AGENT_BODIES.every(body => delegate.bodies.includes(body))
}
