import { mkdir, rm } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { replaceFile } from '../../host/files/index.js'
import type { Logger } from 'pino'
import { createPrimitives, systemClock } from '@pekka/node/host/crypto'
import { LedgerClient, createNetworkHost, type NetworkHost } from '@pekka/node/host/network'
import { processRegistry, serveMetrics, type MetricsServer } from '@pekka/node/host/metrics'
import { toHex } from '@pekka/node/protocol'
import { AgentGrant } from './ledger/agent-grant.js'
import { AskBook } from './ledger/asks.js'
import { Auctions } from './ledger/auctions.js'
import { TaskExtras } from './intake/extras.js'
import { joinLedger, loadIdentity } from './ledger/identity.js'
import { KemKeys } from './ledger/kem-keys.js'
import { LedgerLane } from './ledger/ledger-lane.js'
import { RegistryRows } from './ledger/registry-rows.js'
import { openMachine, type Machine } from './machine/machine.js'
import { createProviderMetrics } from './metrics.js'
import { Provider } from './provider.js'
import { RunStore } from './output/run-store.js'
import { readSettings, type ProviderSettings } from './settings.js'
import { WarmWorkshop } from './machine/workshop.js'

/** How long a start waits for its first bridge, ms. Without one it serves all the same, as soon as one is there. */
const LINKED_WAIT_MS = 5_000

/** What a provider says when it serves. */
export interface ProviderReady {
  pid: number
  name: string
  /** Account, hex. */
  provider: string
  peer: string
  runtime: string
  /** 1 to 4. */
  isolation: number
  /** Images that are offered. */
  images: string[]
  /** Where its metrics are, where they are served. */
  metrics?: string
}

/** The provider process: puts the parts together from its settings file, and takes them apart again. */
export class ProviderProcess {
  #host: NetworkHost | null = null
  #ledger: LedgerClient | null = null
  #machine: Machine | null = null
  #provider: Provider | null = null
  #grant: AgentGrant | null = null
  #settings: ProviderSettings | null = null
  #extras: TaskExtras | null = null
  #metrics: MetricsServer | null = null

  constructor(
    private readonly log: Logger,
    private readonly settingsFile: string,
    /** Finds images and runtime; a test may bring its own. */
    private readonly machineOf: typeof openMachine = openMachine
  ) {}

  /** @throws PekkaError SANDBOX_UNUSABLE, IMAGE_NOT_BUILT, NETWORK_MISMATCH, LEDGER_UNREACHABLE, USAGE */
  async start(signal: AbortSignal): Promise<ProviderReady> {
    const settings = await readSettings(this.settingsFile)
    this.#settings = settings
    const directory = join(dirname(this.settingsFile), 'state')
    await mkdir(directory, { recursive: true, mode: 0o700 })
    const { log } = this
    const primitives = createPrimitives()
    const clock = systemClock
    const { network } = settings
    const accountFile = resolve(dirname(this.settingsFile), settings.account)
    const identity = await loadIdentity(network, accountFile, directory, primitives.random)
    const { provider, agent, peer } = identity

    const host = createNetworkHost({ key: identity.peerKey })
    this.#host = host
    await host.start()
    const ledger = new LedgerClient({ host }, { addresses: [...settings.witnesses, ...settings.bridges] })
    this.#ledger = ledger

    // The sandbox proves itself while the ledger is told who we are; without it nothing is published.
    const [machine] = await Promise.all([
      this.machineOf(log, { settings, owner: directory, signal }).then(found => (this.#machine = found)),
      joinLedger({ ledger, clock, log }, identity, settings, signal)
    ])
    this.#grant = new AgentGrant({ ledger, clock, log }, identity)
    this.#grant.start(signal)
    const { report, runtime } = machine
    const extras = new TaskExtras({ host, log }, { folder: directory })
    this.#extras = extras
    const workshop = new WarmWorkshop(
      { runtime, extras, log },
      { images: machine.images, resources: settings.resources, poolMemoryBytes: settings.poolMemoryBytes }
    )
    const lane = new LedgerLane({ ledger, clock }, { network, account: provider, signer: agent, lane: 'delegate' })
    const kem = new KemKeys({ agreement: primitives.agreement, clock }, join(directory, 'kem'))
    const { concurrency, name, bridges } = settings
    const registry = new RegistryRows({ ledger, verifier: primitives.verifier }, network)
    const asks = new AskBook(
      { ledger, registry, lane, kem, clock, random: primitives.random, log },
      { provider, wares: machine.wares, concurrency }
    )
    const paths = new Map(
      machine.wares.flatMap(({ image, path }) => (path ? [[toHex(image.digest), path] as const] : []))
    )
    const auctions = settings.auctions.bid
      ? new Auctions(
          {
            ledger,
            lane,
            random: primitives.random,
            asks: () => asks.list(),
            free: () => (this.#provider?.status().free ?? 0) > 0,
            log
          },
          {
            network,
            provider,
            file: join(directory, 'bids.json'),
            pricePerSecond: settings.auctions.pricePerSecond
          }
        )
      : undefined
    this.#provider = new Provider(
      {
        host,
        ledger,
        lane,
        signer: agent,
        primitives,
        clock,
        kem,
        asks,
        store: new RunStore(join(directory, 'runs')),
        workshop,
        extras,
        auctions,
        log
      },
      {
        network,
        provider,
        name,
        peer,
        bridges,
        concurrency,
        runtime: report.name,
        isolation: report.isolation,
        paths,
        trancheEvery: settings.trancheEveryMs
      }
    )
    await this.#provider.start()
    await this.#provider.linked(LINKED_WAIT_MS)
    await this.#measure(this.#provider, settings)
    const ready: ProviderReady = {
      pid: process.pid,
      name,
      provider: Buffer.from(provider).toString('hex'),
      peer: host.peerId,
      runtime: report.name,
      isolation: report.isolation,
      images: machine.wares.map(ware => ware.image.name),
      ...(this.#metrics === null ? {} : { metrics: this.#metrics.url })
    }
    await this.#announce(ready)
    return ready
  }

  async stop(): Promise<void> {
    if (this.#settings?.readyFile !== undefined) await rm(this.#settings.readyFile, { force: true })
    this.#extras?.stop()
    await this.#metrics?.stop()
    await this.#provider?.stop()
    await this.#grant?.stop()
    await this.#machine?.runtime.close()
    await this.#ledger?.stop()
    await this.#host?.stop()
  }

  async #measure(provider: Provider, { metrics }: ProviderSettings): Promise<void> {
    if (metrics === null) return
    const registry = processRegistry()
    createProviderMetrics({ registry, status: () => provider.status() })
    this.#metrics = await serveMetrics(registry, metrics)
  }

  async #announce(ready: ProviderReady): Promise<void> {
    const file = this.#settings?.readyFile
    if (file === undefined) return
    await replaceFile(file, JSON.stringify(ready), { flush: false })
  }
}
