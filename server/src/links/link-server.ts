import {
  JOIN_PROTOCOL,
  LINK_PROTOCOL,
  MAX_LINK_MESSAGE,
  PekkaError,
  asPekkaError,
  joinRequestSchema,
  providerMessageSchema,
  toHex,
  type BridgeMessage,
  type JoinAnswer,
  type LedgerAccess,
  type ProviderMessage,
  type Random
} from '@pekka/node/protocol'
import {
  Liveness,
  TypedChannel,
  serveBlobs,
  serveLedger,
  serveRequests,
  type BlobName,
  type MessageChannel,
  type NetworkHost
} from '@pekka/node/host/network'
import type { BlobStore } from '../eventlog/index.js'
import { HELLO_TIMEOUT_MS } from './constants.js'
import { ProviderBlobs } from './blob-service.js'
import { checkHello } from './hello.js'
import type { LinkDirectory, ProviderLink } from './index.js'
import { Intake, type IntakeComponents } from './intake.js'
import type { Invites } from './invites.js'
import { Link } from './link.js'

export interface LinkServerComponents extends IntakeComponents {
  host: NetworkHost
  ledger: LedgerAccess
  blobs: BlobStore
  invites: Invites
  /** What belongs to no client: packages and inputs, by hash. */
  shared: (hash: Uint8Array) => Promise<{ size: number; chunks: AsyncIterable<Uint8Array> } | null>
  random: Random
}

export interface LinkServerInit {
  /** What a provider that joins or says hello is told. */
  witnesses: string[]
  genesis: Uint8Array
}

type CellsSaid = Extract<ProviderMessage, { kind: 'cells' }>
type Typed = TypedChannel<ProviderMessage, BridgeMessage>

/** Everything the bridge serves over libp2p. */
export class LinkServer implements LinkDirectory {
  readonly #links = new Map<string, Link>()
  readonly #peers = new Map<string, Uint8Array>()
  readonly #intakes = new Map<Link, Intake>()
  readonly #wanted = new Map<string, Link>()
  #onCells: (link: ProviderLink, said: CellsSaid) => void = () => undefined
  readonly #arrivals: ((link: ProviderLink, resume: Uint8Array[]) => void)[] = []

  constructor(
    private readonly components: LinkServerComponents,
    private readonly init: LinkServerInit
  ) {}

  /** Registers the protocols; before the host starts. */
  async start(): Promise<void> {
    const { host, ledger, store, refs, blobs, disk, shared } = this.components
    await host.handle(LINK_PROTOCOL, (channel, stopping) => this.#serve(channel, stopping), {
      maxMessageBytes: MAX_LINK_MESSAGE
    })
    const providerOf = (peer: string): Uint8Array | undefined => this.#peers.get(peer)
    const stored = (provider: Uint8Array, name: BlobName): void => this.#have(provider, name)
    const full = (provider: Uint8Array): void => {
      disk.ranOut()
      const link = this.#links.get(toHex(provider))
      if (link !== undefined) this.#intakes.get(link)?.parked()
    }
    await serveBlobs(host, new ProviderBlobs({ store, refs, blobs, disk, shared, providerOf, full, stored }))
    await serveRequests(host, JOIN_PROTOCOL, joinRequestSchema, async ({ code }) => this.#join(code))
    await serveLedger(host, ledger)
  }

  get size(): number {
    return this.#links.size
  }

  of(provider: Uint8Array): ProviderLink | undefined {
    return this.#links.get(toHex(provider))
  }

  onArrival(listener: (link: ProviderLink, resume: Uint8Array[]) => void): void {
    this.#arrivals.push(listener)
  }

  /** Providers say how many of their sessions' later cells they have (R33). */
  onCells(listener: (link: ProviderLink, said: CellsSaid) => void): void {
    this.#onCells = listener
  }

  /** The task has ended: no link needs its log any more. */
  done(task: Uint8Array): void {
    for (const intake of this.#intakes.values()) intake.done(task)
  }

  async #serve(channel: MessageChannel, stopping: AbortSignal): Promise<void> {
    const typed: Typed = new TypedChannel<ProviderMessage, BridgeMessage>(channel, providerMessageSchema)
    const { network, signer, random, verifier, ledger, clock } = this.components
    const bridge = signer.publicKey
    const nonce = random.bytes(32)
    await typed.send({ kind: 'challenge', v: 1, network, bridge, nonce })
    const hello = await typed.expect(AbortSignal.any([stopping, AbortSignal.timeout(HELLO_TIMEOUT_MS)]))
    if (hello.kind !== 'hello') throw new PekkaError('LINK_PROTOCOL', { issue: 'hello was due' })
    let account
    try {
      account = await checkHello({ ledger, verifier, network, bridge }, hello, nonce, channel.remotePeer, clock.now())
    } catch (error) {
      return this.#turnAway(typed, error)
    }
    const link = new Link(channel, account, hello.name)
    link.tell({ kind: 'welcome', witnesses: this.init.witnesses })
    const intake = this.#enter(link)
    try {
      for (const run of hello.resume) await this.#guard(link, () => intake.resume(run))
      for (const listener of this.#arrivals)
        listener(
          link,
          hello.resume.map(run => run.task)
        )
      await this.#read(typed, link, intake)
    } finally {
      this.#leave(link, intake)
    }
  }

  async #read(typed: Typed, link: Link, intake: Intake): Promise<void> {
    const liveness = new Liveness(typed.channel, {})
    for (;;) {
      const message = await typed.receive()
      if (message === null) break
      liveness.heard()
      await this.#guard(link, () => this.#take(link, intake, message))
      liveness.heard()
    }
    await typed.channel.close()
  }

  async #take(link: Link, intake: Intake, message: ProviderMessage): Promise<void> {
    switch (message.kind) {
      case 'run':
        return intake.run(message.header)
      case 'frames':
        return intake.frames(message)
      case 'head':
        return intake.head(message.head)
      case 'want':
        return this.#want(link, message)
      case 'declined':
        this.components.log.info(
          { provider: link.name, task: toHex(message.task), reason: message.reason },
          'a provider declined'
        )
        return
      case 'cells':
        return this.#onCells(link, message)
      case 'ping':
        return link.tell({ kind: 'pong', n: message.n })
      case 'hello':
        throw new PekkaError('LINK_PROTOCOL', { issue: 'a second hello' })
    }
  }

  /** What a provider may get wrong is told to it; the link goes on. Anything else ends the link, never the process. */
  async #guard(link: Link, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (cause) {
      const error = asPekkaError(cause)
      if (error.code === 'INTERNAL' || error.code === 'BRIDGE_FULL' || error.code.startsWith('LINK_')) throw cause
      this.components.metrics.linkRefusals.inc({ code: error.code })
      link.tell({ kind: 'refused', code: error.code, issue: error.message.slice(0, 512) })
    }
  }

  async #turnAway(typed: Typed, cause: unknown): Promise<void> {
    const { code, message } = asPekkaError(cause)
    this.components.metrics.linkRefusals.inc({ code })
    this.components.log.warn({ err: cause, peer: typed.remotePeer }, 'a provider was turned away')
    await typed.send({ kind: 'refused', code, issue: message.slice(0, 512) })
    await typed.channel.close()
  }

  #enter(link: Link): Intake {
    const name = toHex(link.provider)
    // A provider that comes again has lost its old link, also where we haven't noticed.
    this.#links.get(name)?.end(new PekkaError('LINK_CLOSED'))
    this.#links.set(name, link)
    this.#peers.set(link.peer, link.provider)
    const intake = new Intake(this.components, link)
    this.#intakes.set(link, intake)
    this.components.metrics.links.set(this.#links.size)
    this.components.log.info({ provider: link.name, account: name, peer: link.peer }, 'a provider is connected')
    return intake
  }

  #leave(link: Link, intake: Intake): void {
    intake.end()
    this.#intakes.delete(link)
    const name = toHex(link.provider)
    if (this.#links.get(name) === link) {
      this.#links.delete(name)
      this.#peers.delete(link.peer)
      this.components.log.info({ provider: link.name }, 'a provider is gone')
    }
    for (const [wanted, from] of this.#wanted) if (from === link) this.#wanted.delete(wanted)
    this.components.metrics.links.set(this.#links.size)
  }

  /** A provider will send a blob over BLOB_PROTOCOL and wants to know when it is here. */
  async #want(link: Link, { task, hash }: BlobName): Promise<void> {
    const record = await this.components.store.get(task)
    if (record === null) throw new PekkaError('TASK_UNKNOWN')
    if (await this.components.refs.has(record.account, task, hash)) return link.tell({ kind: 'have', task, hash })
    this.#wanted.set(`${toHex(task)}/${toHex(hash)}`, link)
  }

  #have(provider: Uint8Array, { task, hash }: BlobName): void {
    const name = `${toHex(task)}/${toHex(hash)}`
    const link = this.#wanted.get(name) ?? this.of(provider)
    this.#wanted.delete(name)
    link?.tell({ kind: 'have', task, hash })
  }

  #join(code: string): JoinAnswer {
    if (!this.components.invites.take(code)) return { kind: 'refused', code: 'PAIRING_FAILED' }
    const { network, host } = this.components
    const { genesis, witnesses } = this.init
    return { kind: 'welcome', network, genesis, bridges: host.addresses(), witnesses }
  }
}
