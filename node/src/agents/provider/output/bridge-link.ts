import {
  LINK_PROTOCOL,
  MAX_LINK_MESSAGE,
  PekkaError,
  bridgeMessageSchema,
  equalBytes,
  fromProblem,
  helloMessage,
  type BridgeMessage,
  type ProviderMessage,
  type Signer
} from '@pekka/node/protocol'
import {
  Liveness,
  StandingLink,
  TypedChannel,
  putBlob,
  type MessageChannel,
  type NetworkHost,
  type Startable
} from '@pekka/node/host/network'
import type { LinkSender } from './delivery.js'

/** Runs that a bridge is asked about when a link comes up; the protocol's bound. */
export const MAX_RESUMED = 10_000

export type ResumedRun = { task: Uint8Array; attempt: number; run: number; count: number }

/** What a link does for whom it belongs to. Messages are parsed; what they claim isn't checked. */
export interface BridgeEvents {
  /** Runs whose frames this bridge may lack. */
  resume(link: BridgeLink): ResumedRun[]
  /** The link works, and may be used until `down`. */
  up(link: BridgeLink, sender: LinkSender): void
  down(link: BridgeLink, sender: LinkSender): void
  message(link: BridgeLink, message: BridgeMessage): void
}

export interface BridgeLinkComponents {
  host: NetworkHost
  /** The agent's key, which vouches for our peer key on this link. */
  signer: Signer
  events: BridgeEvents
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

export interface BridgeLinkInit {
  address: string
  network: Uint8Array
  provider: Uint8Array
  name: string
  /** Our peer key, 32 bytes. */
  peer: Uint8Array
}

/** Handing over a blob takes as long as it takes, but not for ever: 65 MiB at 1 Mbit/s are nine minutes. */
const BLOB_TIMEOUT_MS = 900_000

/** Our standing link to one bridge: proves who we are, then passes messages both ways (`/pekka/link/1`). */
export class BridgeLink implements Startable {
  readonly #standing: StandingLink
  #current: Life | null = null

  constructor(
    private readonly components: BridgeLinkComponents,
    private readonly init: BridgeLinkInit
  ) {
    this.#standing = new StandingLink(components, {
      addresses: [init.address],
      protocol: LINK_PROTOCOL,
      maxMessageBytes: MAX_LINK_MESSAGE,
      serve: (channel, signal, established) => this.#serve(channel, signal, established)
    })
  }

  get address(): string {
    return this.init.address
  }

  get connected(): boolean {
    return this.#current !== null
  }

  start(): Promise<void> {
    return this.#standing.start()
  }

  stop(): Promise<void> {
    return this.#standing.stop()
  }

  /** Sends if the link is up; what is lost with it must be told again in another way. */
  tell(message: ProviderMessage): void {
    this.#current?.send(message).catch(() => {})
  }

  async #serve(channel: MessageChannel, signal: AbortSignal, established: () => void): Promise<void> {
    const { events, log } = this.components
    const typed = new TypedChannel<BridgeMessage, ProviderMessage>(channel, bridgeMessageSchema)
    await this.#introduce(typed, signal)
    established()
    log.info({ address: this.init.address }, 'linked to the bridge')
    const life = new Life(typed, this.components.host, this.init.address, signal)
    this.#current = life
    events.up(this, life)
    try {
      for await (const message of typed) {
        life.heard()
        if (message.kind === 'refused') this.#refused(message)
        else if (message.kind !== 'pong') events.message(this, message)
      }
    } finally {
      this.#current = null
      life.stop()
      events.down(this, life)
    }
  }

  /** The bridge didn't like something we said. Where it has lost the thread of a run a new link finds it again. */
  #refused({ code, issue }: Extract<BridgeMessage, { kind: 'refused' }>): void {
    this.components.log.warn({ code, issue, address: this.init.address }, 'the bridge refused a message')
    if (code === 'FRAME_GAP') throw fromProblem({ code })
  }

  /** challenge → hello → welcome. @throws PekkaError NETWORK_MISMATCH, LINK_PROTOCOL, and the code of a refusal */
  async #introduce(typed: TypedChannel<BridgeMessage, ProviderMessage>, signal: AbortSignal): Promise<void> {
    const { network, provider, name, peer } = this.init
    const { signer, events } = this.components
    const limited = AbortSignal.any([signal, AbortSignal.timeout(60_000)])
    const challenge = await typed.expect(limited)
    if (challenge.kind === 'refused') throw fromProblem({ code: challenge.code, data: { issue: challenge.issue } })
    if (challenge.kind !== 'challenge') throw new PekkaError('LINK_PROTOCOL', { issue: 'a challenge was due' })
    if (!equalBytes(challenge.network, network)) throw new PekkaError('NETWORK_MISMATCH', {})
    const signed = helloMessage(network, challenge.bridge, challenge.nonce, peer, provider)
    const signature = await signer.sign(signed)
    const resume = events.resume(this).slice(-MAX_RESUMED)
    await typed.send(
      { kind: 'hello', v: 1, network, provider, name, key: signer.publicKey, signature, resume },
      limited
    )
    const welcome = await typed.expect(limited)
    if (welcome.kind === 'refused') throw fromProblem({ code: welcome.code, data: { issue: welcome.issue } })
    if (welcome.kind !== 'welcome') throw new PekkaError('LINK_PROTOCOL', { issue: 'a welcome was due' })
  }
}

/** One life of the link. */
class Life implements LinkSender {
  readonly #liveness: Liveness
  #pings = 0

  constructor(
    private readonly typed: TypedChannel<BridgeMessage, ProviderMessage>,
    private readonly host: NetworkHost,
    private readonly address: string,
    private readonly signal: AbortSignal
  ) {
    this.#liveness = new Liveness(typed.channel, { ping: () => this.send({ kind: 'ping', n: this.#pings++ }) })
  }

  async send(message: ProviderMessage): Promise<void> {
    await this.typed.send(message, this.signal)
    this.#liveness.sent()
  }

  async putBlob(task: Uint8Array, hash: Uint8Array, sealed: Uint8Array): Promise<void> {
    const signal = AbortSignal.any([this.signal, AbortSignal.timeout(BLOB_TIMEOUT_MS)])
    await putBlob(this.host, this.address, { task, hash }, sealed, signal)
  }

  heard(): void {
    this.#liveness.heard()
  }

  stop(): void {
    this.#liveness.stop()
  }
}
