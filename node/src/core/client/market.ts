import {
  PekkaError,
  asksSchema,
  equalBytes,
  hasGpu,
  openSigned,
  sortedJson,
  toJson,
  transactionId,
  type Ask,
  type AskView,
  type Clock,
  type Primitives,
  type Resources
} from '../protocol/index.js'
import type { Http } from './transport.js'

/** An ask whose signature this client checked itself (R3). */
export interface VerifiedAsk {
  ask: Ask
  provider: AskView['provider']
  /** The agent's key: it signed the ask and must sign the run's header. */
  agentKey: Uint8Array
  /** Id of the transaction that published it. */
  published: Uint8Array
  running: number
}

export interface Requirements {
  image: string
  resources: Resources
  /** Micro-credits a second at most; null: any price. */
  maxPrice: bigint | null
  /** Providers to use exclusively; null: all. */
  only: Uint8Array[] | null
  avoid: Uint8Array[]
}

/** Why an ask does not serve, as UX §4 lists it. */
export type Mismatch = 'image' | 'memory' | 'cpus' | 'disk' | 'gpu' | 'price' | 'list' | 'busy'

/** Published prices, verified; kept for a while so that a click need not wait for them. */
export class Market {
  #cache: { at: number; asks: VerifiedAsk[] } | null = null
  #pending: Promise<VerifiedAsk[]> | null = null

  constructor(
    private readonly components: { http: Http; primitives: Primitives; clock: Clock },
    private readonly network: Uint8Array
  ) {}

  /**
   * All live asks. `maxAge` in ms: 0 asks the bridge now. What is older than {@link LATE_MS} is answered with all the same, and
   * asked for in the background for the next time.
   */
  async asks(maxAge = MAX_AGE_MS): Promise<VerifiedAsk[]> {
    const known = this.#known(maxAge)
    if (known === null) return await this.#refresh()
    if (known.age > LATE_MS) this.#refresh().catch(() => undefined)
    return known.asks
  }

  /** Asks for them now, in the background, where it is long ago: for somebody who has time, so that a click need not. */
  freshen(): void {
    const age = this.#cache === null ? Infinity : this.components.clock.now() - this.#cache.at
    if (age > FRESH_MS) this.#refresh().catch(() => undefined)
  }

  #known(maxAge: number): { age: number; asks: VerifiedAsk[] } | null {
    if (this.#cache === null) return null
    const now = this.components.clock.now()
    const age = now - this.#cache.at
    const asks = this.#cache.asks.filter(({ ask }) => ask.expiry > now && ask.kemExpiry > now)
    // None that serve may be why somebody tries again.
    return age <= maxAge && asks.length > 0 ? { age, asks } : null
  }

  #refresh(): Promise<VerifiedAsk[]> {
    this.#pending ??= this.#fetch().finally(() => {
      this.#pending = null
    })
    return this.#pending
  }

  async #fetch(): Promise<VerifiedAsk[]> {
    const { http, clock } = this.components
    const { asks } = await http.request('GET', '/v1/asks', asksSchema)
    const verified = await Promise.all(asks.map(view => this.#verify(view)))
    const good = verified.filter(ask => ask !== null)
    this.#cache = { at: clock.now(), asks: good }
    return good
  }

  /** R3: signature, account id, expiry, KEM key inside the ask. That the key is the account's says the ledger's proof (R3b). */
  async #verify(view: AskView): Promise<VerifiedAsk | null> {
    const { primitives, clock } = this.components
    try {
      const { transaction } = await openSigned(view.transaction, primitives.verifier)
      const { body, key } = transaction
      const now = clock.now()
      const holds =
        body.kind === 'ask' &&
        key !== null &&
        equalBytes(transaction.network, this.network) &&
        equalBytes(transaction.account, view.provider.provider) &&
        sortedJson(toJson(body.ask)) === sortedJson(toJson(view.ask)) &&
        body.ask.expiry > now &&
        body.ask.kemExpiry > now
      if (!holds) return null
      const published = transactionId(transaction)
      return { ask: body.ask, provider: view.provider, agentKey: key, published, running: view.running }
    } catch {
      return null
    }
  }
}

/**
 * Asks change rarely, live for hours and are checked by the ledger again: one that has ended is refused by it, and the alternate
 * serves. A minute spares who runs cell after cell a round trip at each click (30 ms through Lab's proxy).
 */
const MAX_AGE_MS = 60_000

/** Younger ones aren't asked for again when a task has ended, ms. */
const FRESH_MS = 5_000
/** Nor at a click, when the page, the bridge and a machine have other work, ms. */
const LATE_MS = 30_000

/** Splits asks into those that serve and the reasons why the others do not. */
export function match(
  asks: VerifiedAsk[],
  need: Requirements
): { fit: VerifiedAsk[]; misfit: { ask: VerifiedAsk; why: Mismatch }[] } {
  const fit: VerifiedAsk[] = []
  const misfit: { ask: VerifiedAsk; why: Mismatch }[] = []
  for (const ask of asks) {
    const why = mismatch(ask, need)
    if (why === null) fit.push(ask)
    else misfit.push({ ask, why })
  }
  return { fit, misfit }
}

function mismatch({ ask, provider, running }: VerifiedAsk, need: Requirements): Mismatch | null {
  const named = (list: Uint8Array[]) => list.some(id => equalBytes(id, provider.provider))
  if (ask.image.name !== need.image) return 'image'
  if (ask.resources.memoryBytes < need.resources.memoryBytes) return 'memory'
  if (ask.resources.milliCpus < need.resources.milliCpus) return 'cpus'
  if (ask.resources.diskBytes < need.resources.diskBytes) return 'disk'
  if (!hasGpu(need.resources.gpu, ask.resources.gpu)) return 'gpu'
  if (need.maxPrice !== null && ask.pricePerSecond > need.maxPrice) return 'price'
  if (named(need.avoid) || (need.only !== null && !named(need.only))) return 'list'
  if (running >= ask.concurrency) return 'busy'
  return null
}

/**
 * Candidates in order: cheapest first, at random among equals so that no provider is favoured, at most `count` and at
 * most one of a provider. That a machine is busy is the bridge's bare word: within one build of the image it decides
 * between equal prices alone, or a bridge that calls all others busy would name a friend. A machine that is busy
 * indeed gives way within moments (PLACE_WAIT_SHARED_MS of the provider) to the next one; so that nobody queues while
 * another machine is free, the last place is one's that is said to be free, where all before it are said to be busy.
 * @throws PekkaError NO_MATCH, IMAGE_UNKNOWN
 */
export function chooseCandidates(
  asks: VerifiedAsk[],
  need: Requirements,
  count: number,
  random: Primitives['random']
): VerifiedAsk[] {
  const { fit, misfit } = match(asks, need)
  const busy = misfit.filter(({ why }) => why === 'busy').map(({ ask }) => ask)
  const serving = new Map<string, VerifiedAsk>()
  // Free ones first: the sort is stable, so they stay so among equals.
  const all = byPrice([...shuffled(fit, random), ...shuffled(busy, random)])
  // One offer names one image: builds with another digest under the same name are left out. A build of which all
  // machines are busy isn't the one while another has a free machine: nobody would be left to give way to.
  const sameBuild = (one: VerifiedAsk, other: VerifiedAsk): boolean =>
    equalBytes(one.ask.image.digest, other.ask.image.digest)
  const build = all.find(ask => fit.some(free => sameBuild(free, ask))) ?? all[0]
  for (const ask of all) {
    const id = ask.provider.provider.join()
    if (build && !serving.has(id) && sameBuild(build, ask)) serving.set(id, ask)
  }
  const chosen = [...serving.values()].slice(0, count)
  const free = chosen.every(ask => busy.includes(ask)) && [...serving.values()].find(ask => !busy.includes(ask))
  if (free && count > 1) chosen.splice(-1, 1, free)
  if (chosen.length > 0) return chosen
  const known = [...new Set(asks.map(({ ask }) => ask.image.name))].sort()
  if (!known.includes(need.image))
    throw new PekkaError('IMAGE_UNKNOWN', { image: need.image, known: known.join(', ') || 'none' })
  throw new PekkaError('NO_MATCH')
}

function shuffled(asks: readonly VerifiedAsk[], random: Primitives['random']): VerifiedAsk[] {
  const keyed = asks.map(ask => ({ ask, order: random.bytes(4).reduce((sum, byte) => sum * 256 + byte, 0) }))
  return keyed.sort((a, b) => a.order - b.order).map(({ ask }) => ask)
}

const byPrice = (asks: VerifiedAsk[]): VerifiedAsk[] =>
  asks.sort((a, b) => {
    const difference = a.ask.pricePerSecond - b.ask.pricePerSecond
    return difference < 0n ? -1 : difference > 0n ? 1 : 0
  })
