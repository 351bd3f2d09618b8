import {
  equalBytes,
  objectId,
  toHex,
  type Ask,
  type Clock,
  type LedgerAccess,
  type Random,
  type Resources
} from '@pekka/node/protocol'
import type { CpuPath } from '../machine/cpu-path.js'
import { ASK_LIFE_MS, ASK_RENEW_MS } from '../constants.js'
import type { KemKeys } from './kem-keys.js'
import type { LedgerLane } from './ledger-lane.js'
import { isRetired, unsoldOf, type Unsold } from './registered.js'
import type { RegistryRows } from './registry-rows.js'

/** What this machine sells: an image with what a task in it may use. */
export interface Ware {
  image: { name: string; digest: Uint8Array }
  contentDigest: Uint8Array
  resources: Resources
  isolation: number
  runtime: string
  cpuClass: string
  /** Micro-credits. */
  pricePerSecond: bigint
  pricePerGiB: bigint
  /** Price of a second between the cells of a session (R33); absent or null: no sessions. */
  holdPricePerSecond?: bigint | null
  /** How this machine computes in the image; absent where it isn't known. Not part of the ask. */
  path?: CpuPath | null
}

export interface AskBookInit {
  provider: Uint8Array
  wares: readonly Ware[]
  concurrency: number
}

export interface AskBookComponents {
  ledger: LedgerAccess
  /** What the network's registrars say of images. */
  registry: Pick<RegistryRows, 'of'>
  lane: LedgerLane
  kem: KemKeys
  clock: Clock
  random: Random
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

/** Our live asks on the ledger: publishes, renews, and withdraws them when we no longer sell. */
export class AskBook {
  readonly #asks = new Map<string, Ask>()
  /** What nobody may buy here, as it was read last. */
  #unsold: Unsold = new Map()
  #timer: NodeJS.Timeout | null = null
  #working: Promise<void> | null = null

  constructor(
    private readonly components: AskBookComponents,
    private readonly init: AskBookInit
  ) {}

  /** Takes over asks of an earlier life that still say the truth and can still be opened, and publishes what is missing. */
  async start(signal: AbortSignal): Promise<void> {
    const { ledger, kem, clock } = this.components
    await kem.open()
    for (const { ask, provider } of await ledger.asks(null, signal)) {
      if (!equalBytes(provider.provider, this.init.provider)) continue
      const ware = this.init.wares.find(one => this.#says(ask, one))
      if (ware !== undefined && kem.get(ask.ask) !== undefined && ask.expiry > clock.now()) {
        this.#asks.set(toHex(ask.ask), ask)
      } else await this.#withdraw(ask.ask)
    }
    await this.#publishMissing(signal)
    this.#timer = setInterval(() => void this.#renew(signal), 60_000)
  }

  /** The ask behind an id, while it can be used. */
  get(ask: Uint8Array): Ask | undefined {
    return this.#asks.get(toHex(ask))
  }

  list(): Ask[] {
    return [...this.#asks.values()]
  }

  /** Ends all asks, so that nobody names us any more. Keys stay until they expire: offers under way can be opened. */
  async withdraw(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer)
    await this.#working
    await Promise.all([...this.#asks.values()].map(({ ask }) => this.#withdraw(ask)))
  }

  async #renew(signal: AbortSignal): Promise<void> {
    if (this.#working !== null) return
    this.#working = this.#publishMissing(signal)
      .then(() => this.components.kem.sweep())
      .catch((error: unknown) => this.components.log.warn({ err: error }, 'asks could not be renewed'))
      .finally(() => (this.#working = null))
    await this.#working
  }

  async #publishMissing(signal: AbortSignal): Promise<void> {
    const now = this.components.clock.now()
    for (const [id, ask] of this.#asks) if (ask.expiry <= now) this.#asks.delete(id)
    await this.#consult(signal)
    for (const ware of this.init.wares) {
      if (this.#unsold.has(ware)) continue
      const lasting = [...this.#asks.values()].some(ask => this.#says(ask, ware) && ask.expiry - now > ASK_RENEW_MS)
      if (lasting) continue
      try {
        await this.#publish(ware, signal)
      } catch (error) {
        // Retired between the look and the price: the next look says so, and the other wares are sold.
        if (!isRetired(error)) throw error
        this.components.log.warn({ err: error, image: ware.image.name }, 'an image is not to be sold any more')
      }
    }
  }

  /** Ends asks of images that the network's registrars have retired; machines with a newer version sell on. */
  async #consult(signal: AbortSignal): Promise<void> {
    const { registry, log } = this.components
    try {
      const before = this.#unsold
      this.#unsold = await unsoldOf(registry, this.init.wares, signal)
      for (const [ware, reason] of this.#unsold) {
        if (before.get(ware) === reason) continue
        log.warn({ image: ware.image.name, reason }, 'not sold: update PEKKA and build the image again')
      }
    } catch (error) {
      signal.throwIfAborted()
      // The ledger refuses the price of a retired image anyhow.
      log.warn({ err: error }, 'the registry of images could not be read')
      return
    }
    for (const ask of this.#asks.values()) {
      if ([...this.#unsold.keys()].some(ware => this.#says(ask, ware))) await this.#withdraw(ask.ask)
    }
  }

  async #publish(ware: Ware, signal: AbortSignal): Promise<void> {
    const { lane, kem, clock, random, log } = this.components
    const { provider, concurrency } = this.init
    const nonce = random.bytes(16)
    const id = objectId(provider, nonce)
    const expiry = clock.now() + ASK_LIFE_MS
    const { publicKey } = await kem.make(id, expiry)
    const { image, contentDigest, resources, isolation, runtime, cpuClass, pricePerSecond, pricePerGiB } = ware
    const terms = {
      image,
      contentDigest,
      resources,
      isolation,
      runtime,
      cpuClass,
      concurrency,
      pricePerSecond,
      holdPricePerSecond: holdOf(ware),
      pricePerGiB
    }
    const ask: Ask = { ask: id, nonce, ...terms, kemKey: publicKey, kemExpiry: expiry, expiry }
    try {
      await lane.apply({ kind: 'ask', ask }, signal)
    } catch (error) {
      await kem.remove(id)
      throw error
    }
    this.#asks.set(toHex(id), ask)
    log.info({ ask: toHex(id), image: image.name, pricePerSecond: pricePerSecond.toString() }, 'ask published')
  }

  async #withdraw(ask: Uint8Array): Promise<void> {
    this.#asks.delete(toHex(ask))
    try {
      await this.components.lane.send({ kind: 'withdraw-ask', ask: ask })
    } catch (error) {
      this.components.log.warn({ err: error, ask: toHex(ask) }, 'an ask could not be withdrawn; it ends by itself')
    }
  }

  #says(ask: Ask, ware: Ware): boolean {
    const { concurrency } = this.init
    return (
      ask.image.name === ware.image.name &&
      equalBytes(ask.image.digest, ware.image.digest) &&
      equalBytes(ask.contentDigest, ware.contentDigest) &&
      ask.resources.milliCpus === ware.resources.milliCpus &&
      ask.resources.memoryBytes === ware.resources.memoryBytes &&
      ask.resources.diskBytes === ware.resources.diskBytes &&
      ask.isolation === ware.isolation &&
      ask.runtime === ware.runtime &&
      ask.cpuClass === ware.cpuClass &&
      ask.concurrency === concurrency &&
      ask.pricePerSecond === ware.pricePerSecond &&
      ask.pricePerGiB === ware.pricePerGiB &&
      ask.holdPricePerSecond === holdOf(ware)
    )
  }
}

/** Waiting costs no more than running. */
const holdOf = ({ holdPricePerSecond = null, pricePerSecond }: Ware): bigint | null =>
  holdPricePerSecond !== null && holdPricePerSecond > pricePerSecond ? pricePerSecond : holdPricePerSecond
