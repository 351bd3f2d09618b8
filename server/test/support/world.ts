import { mkdtemp, mkdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { io } from 'socket.io-client'
import { pino } from 'pino'
import {
  CLIENT_BODIES,
  CREDIT,
  DEVNET_PARAMETERS,
  SOCKET_PATH,
  networkId,
  viewKeyFrom,
  type Clock,
  type Parameters,
  type Policy,
  type Signer
} from '@pekka/node/protocol'
import { PekkaClient, comeBack, type Identity, type TaskRequest } from '@pekka/node/client'
import { createPrimitives, createSigner, createVerifier, systemClock } from '@pekka/node/host/crypto'
import { createNetworkHost, loadPeerKey, serveLedger, type NetworkHost } from '@pekka/node/host/network'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { createLoneLedger, type LocalLedger } from '@pekka/node/agents/witness'
import { parseSettings, startBridge, type Bridge } from '@pekka/server'
import { createTestNetwork, seed, Sender, type TestNetwork } from '../../../node/test/agents/witness/support.js'
import { lastingPort } from '../../../node/test/support/ports.js'
import { BridgeProcess } from './bridge-process.js'
import { StandInProvider, expectApplied } from './provider.js'
import { TestRedis } from './redis.js'

const primitives = createPrimitives()

/** A client's delegate with its secrets. */
export interface Person {
  identity: Identity
  signer: Signer
  owner: Sender
}

export interface WorldInit {
  parameters?: Parameters
  /** Who registers the network's images; default nobody. */
  images?: Policy
  providers?: number
  settings?: object
  /** The bridge as a process of its own, from its sources or as it was built. */
  process?: boolean | 'built'
  /** The bridge's clock (in this process); default the system's. */
  clock?: Clock
  /** Where the bridge's log goes; default nowhere. */
  logTo?: (line: string) => void
}

/** A whole network in one process, every part real but the sandbox: ledger, witness, Redis, bridge, providers' links. */
export class World {
  readonly providers: StandInProvider[] = []
  #bridge: Bridge | null = null
  #process: BridgeProcess | null = null
  readonly #clients: PekkaClient[] = []
  address = ''

  private constructor(
    readonly folder: string,
    readonly net: TestNetwork,
    readonly ledger: LocalLedger,
    readonly witness: NetworkHost,
    readonly redis: TestRedis,
    private readonly init: WorldInit
  ) {}

  static async start(init: WorldInit = {}): Promise<World> {
    const folder = await mkdtemp(join(tmpdir(), 'pekka-bridge-'))
    const net = createTestNetwork(init.parameters ?? DEVNET_PARAMETERS, init.images)
    const log = pino({ level: 'silent' })
    const ledger = createLoneLedger(
      { store: new MemoryLedgerStore(), signer: net.witness, verifier: createVerifier(), clock: systemClock, log },
      { genesis: net.bytes }
    )
    await ledger.start()
    const witness = createNetworkHost(
      { key: await loadPeerKey(join(folder, 'witness.key')) },
      { listen: ['/ip4/127.0.0.1/tcp/0'] }
    )
    await serveLedger(witness, ledger)
    await witness.start()
    await mkdir(join(folder, 'redis'))
    const redis = new TestRedis(join(folder, 'redis'))
    await redis.start()
    const world = new World(folder, net, ledger, witness, redis, init)
    try {
      await world.startBridge()
      for (let i = 0; i < (init.providers ?? 1); i++) await world.addProvider(i)
    } catch (error) {
      await world.stop()
      throw error
    }
    return world
  }

  /** Where the bridge is, in this process or another. */
  get at(): { url: string; addresses: string[]; key: Uint8Array } {
    return this.#process ?? this.bridge
  }

  get process(): BridgeProcess {
    if (this.#process === null) throw new TypeError('the bridge is no process')
    return this.#process
  }

  get bridge(): Bridge {
    if (this.#bridge === null) throw new TypeError('the bridge is stopped')
    return this.#bridge
  }

  get network(): Uint8Array {
    return networkId(this.net.genesis)
  }

  settings(port = 0, libp2p = 0): object {
    return {
      home: join(this.folder, 'bridge'),
      http: { host: '127.0.0.1', port },
      libp2p: { listen: [`/ip4/127.0.0.1/tcp/${libp2p}`] },
      redis: { path: this.redis.path },
      witnesses: this.witness.addresses(),
      ...this.init.settings
    }
  }

  async startBridge(http?: number, link?: number): Promise<void> {
    const port = http ?? (await lastingPort())
    const libp2p = link ?? (await lastingPort())
    if (this.init.process !== undefined && this.init.process !== false) {
      const built = this.init.process === 'built'
      this.#process = await BridgeProcess.start(join(this.folder, 'bridge.json'), this.settings(port, libp2p), built)
      this.address = this.#process.addresses[0] ?? ''
      return
    }
    const write = this.init.logTo
    const loud = process.env['PEKKA_TEST_LOG'] !== undefined
    const quiet = pino({ level: loud ? 'trace' : 'silent' }, pino.destination(2))
    const log = write === undefined ? quiet : pino({ level: 'trace' }, { write })
    const fatal = (error: unknown): void => void process.stderr.write(`bridge: ${String(error)}\n`)
    this.#bridge = await startBridge(parseSettings(this.settings(port, libp2p)), {
      log,
      fatal,
      clock: this.init.clock
    })
    this.address = this.#bridge.addresses[0] ?? ''
  }

  /** Kills the bridge's process and starts it anew where it was. */
  async killAndRestart(): Promise<void> {
    const port = Number(new URL(this.at.url).port)
    const libp2p = Number(/\/tcp\/(\d+)/.exec(this.address)?.[1])
    await this.process.end('SIGKILL')
    await this.startBridge(port, libp2p)
  }

  async stopBridge(): Promise<void> {
    await this.#process?.end('SIGTERM')
    this.#process = null
    await this.#bridge?.stop()
    this.#bridge = null
  }

  async addProvider(index: number): Promise<StandInProvider> {
    const owner = this.net.providers[index]
    if (owner === undefined) throw new TypeError('only two providers have money')
    const provider = await StandInProvider.create(`provider-${index + 1}`, this.folder, this.ledger, owner, 1000)
    this.providers.push(provider)
    await provider.connect(this.address)
    return provider
  }

  /** A delegate of an account (default: the demo account's), with room to spend. */
  async person(owner: Sender = this.net.demo, cap = 5n * CREDIT, life = 3_600_000): Promise<Person> {
    const signer = createSigner(seed())
    const { timestamp } = await this.ledger.time()
    const delegate = {
      key: signer.publicKey,
      cap,
      perTask: CREDIT,
      bodies: [...CLIENT_BODIES],
      expiry: timestamp + life
    }
    expectApplied(await owner.send(this.ledger, { kind: 'grant', delegate }))
    const identity = {
      network: this.network,
      account: owner.account,
      signer,
      viewKey: viewKeyFrom(seed()),
      bridge: this.at.key
    }
    return { identity, signer, owner }
  }

  client(person: Person, base = this.at.url): PekkaClient {
    const client = new PekkaClient(
      {
        fetch: (url, init) => fetch(url, init),
        live: token =>
          comeBack(
            io(base, {
              path: SOCKET_PATH,
              transports: ['websocket'],
              autoConnect: false,
              reconnectionDelay: 50,
              reconnectionDelayMax: 200,
              auth: send => void token().then(value => send({ token: value }))
            }),
            { later: setTimeout, first: 50, longest: 200 }
          ),
        primitives,
        clock: systemClock
      },
      { base, identity: person.identity }
    )
    this.#clients.push(client)
    return client
  }

  async stop(): Promise<void> {
    for (const client of this.#clients) client.close()
    for (const provider of this.providers) {
      provider.stopped = true
      await provider.stop()
    }
    await this.stopBridge()
    await this.witness.stop()
    await this.ledger.stop()
    await this.redis.kill()
    await rm(this.folder, { recursive: true, force: true })
  }
}

/** A task of one cell. */
export const cell = (source: string): TaskRequest => ({
  program: { kind: 'cells', cells: [{ id: 'a', source, tags: [] }], stopOnError: true },
  cap: 10_000n,
  note: { v: 1, title: 'a cell', kind: 'cell', path: null, cells: ['a'] }
})

/** Waits for something that events bring about; fails after `limit` ms. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limit = 8_000): Promise<void> {
  const end = performance.now() + limit
  while (!(await holds())) {
    if (performance.now() > end) throw new Error(`it never came: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}
