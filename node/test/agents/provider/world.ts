import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TaskReader, prepareTask, type PreparedTask, type TaskRequest, type VerifiedAsk } from '@pekka/node/client'
import { createPrimitives, createSigner, writeSigner } from '@pekka/node/host/crypto'
import {
  LedgerClient,
  TypedChannel,
  createNetworkHost,
  peerKeyFromSeed,
  publicKeyOfPeer,
  serveBlobs,
  serveLedger,
  serveRequests,
  type MessageChannel,
  type NetworkHost
} from '@pekka/node/host/network'
import {
  CLIENT_BODIES,
  JOIN_PROTOCOL,
  LINK_PROTOCOL,
  MAX_LINK_MESSAGE,
  chainOf,
  concat,
  equalBytes,
  helloMessage,
  isEnded,
  isPekkaError,
  joinRequestSchema,
  networkId,
  providerMessageSchema,
  readKey,
  storedMessage,
  taskKey,
  toHex,
  verifyHead,
  verifyRunHeader,
  viewKeyFrom,
  type BridgeMessage,
  type LedgerAccess,
  type LogEntry,
  type Parameters,
  type Program,
  type ProviderMessage,
  type RunHeader,
  type SignedHead,
  type TaskEvent,
  type TaskState,
  type TaskView
} from '@pekka/node/protocol'
import { lastingPort } from '../../support/ports.js'
import { WitnessProcess } from '../witness/process.js'
import { Sender, createTestNetwork, seed, type TestNetwork } from '../witness/support.js'

const PROVIDER = new URL('./provider-process.ts', import.meta.url)
const primitives = createPrimitives()

interface StoredRun {
  header: RunHeader
  frames: Uint8Array[]
  heads: SignedHead[]
}

/**
 * As much of a bridge as a provider sees: links, frames, acknowledgements, blobs. It checks everything it is told and keeps it in memory; the
 * real one has tests of its own.
 */
export class TestBridge {
  readonly signer = createSigner(seed())
  readonly runs = new Map<string, StoredRun>()
  readonly blobs = new Map<string, Uint8Array>()
  readonly declined: string[] = []
  links: TypedChannel<ProviderMessage, BridgeMessage>[] = []
  hellos = 0
  /** Frames are taken, but not acknowledged. */
  silent = false
  /** What was wrong with what a provider sent. */
  readonly complaints: string[] = []
  host: NetworkHost | null = null
  #port: number | undefined
  readonly #seed = seed()

  /** Codes that are open, and what who shows one is told. */
  readonly codes = new Set<string>()
  genesis: Uint8Array = new Uint8Array()
  /** The way to the ledger, for providers that can't reach a witness. */
  ledger: LedgerAccess | null = null

  constructor(
    readonly network: Uint8Array,
    private readonly ip = '127.0.0.1'
  ) {}

  get address(): string {
    return this.host?.addresses()[0] ?? ''
  }

  async start(): Promise<void> {
    this.#port ??= await lastingPort(this.ip)
    const host = createNetworkHost(
      { key: await peerKeyFromSeed(this.#seed) },
      {
        listen: [`/ip4/${this.ip}/tcp/${this.#port}`],
        // A link that is cut is part of the tests; anything else is the provider's mistake.
        onHandlerError: (protocol, _peer, error) => {
          if (!isPekkaError(error) || error.code !== 'LINK_LOST') this.complaints.push(`${protocol}: ${String(error)}`)
        }
      }
    )
    await host.handle(LINK_PROTOCOL, channel => this.#serve(channel), { maxMessageBytes: MAX_LINK_MESSAGE })
    await serveBlobs(host, {
      get: async ({ hash }) => {
        const bytes = this.blobs.get(toHex(hash))
        if (bytes === undefined) return null
        return {
          size: bytes.length,
          chunks: (async function* () {
            yield bytes
          })()
        }
      },
      put: async ({ hash }, chunks) => {
        const parts: Uint8Array[] = []
        for await (const chunk of chunks) parts.push(chunk)
        this.blobs.set(toHex(hash), concat(...parts))
      }
    })
    await serveRequests(host, JOIN_PROTOCOL, joinRequestSchema, async ({ code }) =>
      this.codes.delete(code)
        ? { kind: 'welcome', network: this.network, genesis: this.genesis, bridges: host.addresses(), witnesses: [] }
        : { kind: 'refused', code: 'PAIRING_FAILED' }
    )
    if (this.ledger !== null) await serveLedger(host, this.ledger)
    await host.start()
    this.host = host
  }

  async stop(): Promise<void> {
    await this.host?.stop()
    this.links = []
  }

  async tell(message: BridgeMessage): Promise<void> {
    await this.links.at(-1)?.send(message)
  }

  /** The output of a task's newest run as an event log has it. */
  entries(task: Uint8Array): LogEntry[] {
    const runs = [...this.runs.values()].filter(({ header }) => equalBytes(header.task, task))
    const entries: LogEntry[] = []
    for (const { header, frames, heads } of runs) {
      const { attempt, run } = header
      entries.push({ n: entries.length, kind: 'run', header })
      frames.forEach((sealed, index) => entries.push({ n: entries.length, kind: 'frame', attempt, run, index, sealed }))
      for (const head of heads.slice(-1)) entries.push({ n: entries.length, kind: 'head', head })
    }
    return entries
  }

  async #serve(channel: MessageChannel): Promise<void> {
    const typed = new TypedChannel<ProviderMessage, BridgeMessage>(channel, providerMessageSchema)
    const nonce = seed()
    const bridge = this.signer.publicKey
    await typed.send({ kind: 'challenge', v: 1, network: this.network, bridge, nonce })
    const hello = await typed.expect()
    if (hello.kind !== 'hello') throw new Error('no hello')
    const peer = publicKeyOfPeer(channel.remotePeer) ?? new Uint8Array()
    const message = helloMessage(this.network, bridge, nonce, peer, hello.provider)
    if (!(await primitives.verifier.verify(hello.key, message, hello.signature))) throw new Error('hello is not signed')
    this.hellos += 1
    this.links.push(typed)
    await typed.send({ kind: 'welcome', witnesses: [] })
    for (const { task, attempt, run } of hello.resume) {
      const count = this.runs.get(`${toHex(task)}/${attempt}/${run}`)?.frames.length ?? 0
      await typed.send({ kind: 'ack', task, attempt, run, count, stored: null })
    }
    for await (const one of typed) await this.#take(typed, one)
  }

  async #take(typed: TypedChannel<ProviderMessage, BridgeMessage>, message: ProviderMessage): Promise<void> {
    const idOf = (one: { task: Uint8Array; attempt: number; run: number }) =>
      `${toHex(one.task)}/${one.attempt}/${one.run}`
    switch (message.kind) {
      case 'ping':
        return await typed.send({ kind: 'pong', n: message.n })
      case 'declined':
        this.declined.push(message.reason)
        return
      case 'run': {
        if (!(await verifyRunHeader(message.header, primitives.verifier)))
          this.complaints.push('a header is not signed')
        const id = idOf(message.header)
        if (!this.runs.has(id)) this.runs.set(id, { header: message.header, frames: [], heads: [] })
        return
      }
      case 'frames': {
        const run = this.runs.get(idOf(message))
        if (run === undefined || message.index > run.frames.length)
          return void this.complaints.push('frames with a gap')
        run.frames.push(...message.frames.slice(run.frames.length - message.index))
        const { task, attempt, run: number } = message
        if (this.silent) return
        return await typed.send({ kind: 'ack', task, attempt, run: number, count: run.frames.length, stored: null })
      }
      case 'head': {
        const { head } = message
        const run = this.runs.get(idOf(head))
        if (run === undefined) return void this.complaints.push('a head without a run')
        if (!(await verifyHead(this.network, head, primitives.verifier))) this.complaints.push('a head is not signed')
        const chain = chainOf(run.header, run.frames.slice(0, head.count))
        if (chain.count !== head.count || !equalBytes(chain.head, head.head))
          this.complaints.push('a head of another chain')
        run.heads.push(head)
        if (this.silent) return
        const signature = await this.signer.sign(storedMessage(this.network, head))
        const stored = { key: this.signer.publicKey, count: head.count, head: head.head, signature }
        const { task, attempt, run: number, count } = head
        return await typed.send({ kind: 'ack', task, attempt, run: number, count, stored })
      }
    }
  }
}

export interface SentTask {
  task: Uint8Array
  prepared: PreparedTask
  transaction: Uint8Array
}

/** A real witness, a real provider process with real sandboxes, a bridge for the test, and a client. */
export class World {
  readonly network: TestNetwork
  readonly networkId: Uint8Array
  readonly bridge: TestBridge
  readonly viewKey = viewKeyFrom(seed())
  readonly #client = createSigner(seed())
  readonly sender: Sender
  folder = ''
  provider: ChildProcess | null = null
  providerLog = ''
  #witness: WitnessProcess | null = null
  #host: NetworkHost | null = null
  #ledger: LedgerClient | null = null
  witnessAddress = ''

  constructor(
    readonly imageRoot: string,
    private readonly init: { settings?: object; bridgeIp?: string; parameters?: Parameters } = {}
  ) {
    this.network = createTestNetwork(init.parameters)
    this.networkId = networkId(this.network.genesis)
    this.sender = new Sender(this.network.demo.account, this.#client.publicKey, this.#client)
    this.bridge = new TestBridge(this.networkId, init.bridgeIp)
  }

  get ledger(): LedgerClient {
    if (this.#ledger === null) throw new Error('the world has not begun')
    return this.#ledger
  }

  get witness(): WitnessProcess {
    if (this.#witness === null) throw new Error('the world has not begun')
    return this.#witness
  }

  async start(): Promise<void> {
    this.folder = await mkdtemp(join(tmpdir(), 'pekka-world-'))
    this.#witness = new WitnessProcess(join(this.folder, 'witness'), this.network)
    this.witnessAddress = await this.#witness.start()
    this.#host = createNetworkHost({ key: await peerKeyFromSeed(seed()) })
    await this.#host.start()
    this.#ledger = new LedgerClient({ host: this.#host }, { addresses: [this.witnessAddress] })
    this.bridge.genesis = this.network.bytes
    this.bridge.ledger = this.#ledger
    await this.bridge.start()
    const delegate = {
      key: this.#client.publicKey,
      cap: 1_000_000_000n,
      perTask: 1_000_000_000n,
      bodies: [...CLIENT_BODIES],
      expiry: Date.now() + 3_600_000
    }
    const granted = await this.network.demo.send(this.#ledger, { kind: 'grant', delegate })
    if (granted.status !== 'applied') throw new Error(`grant: ${JSON.stringify(granted, String)}`)
  }

  /** Settings for a provider on this machine, and its start. */
  async addProvider(): Promise<void> {
    const folder = join(this.folder, 'provider')
    await mkdir(folder)
    await writeSigner(join(folder, 'account.key'), seed())
    await writeFile(
      join(folder, 'settings.json'),
      JSON.stringify({
        home: this.folder,
        network: toHex(this.networkId),
        account: 'account.key',
        bridges: [this.bridge.address],
        witnesses: [this.witnessAddress],
        images: { home: this.folder, names: ['base-small'] },
        name: 'provider-1',
        concurrency: 2,
        bond: '1000000',
        resources: { memoryBytes: 1 << 30, diskBytes: 1 << 28 },
        ...this.init.settings
      })
    )
    await this.startProvider()
  }

  async startProvider(): Promise<void> {
    await this.watch(
      fork(PROVIDER, [join(this.folder, 'provider', 'settings.json'), this.imageRoot], {
        execArgv: ['--conditions=pekka-source', '--import=tsx'],
        stdio: ['ignore', 'ignore', 'pipe', 'ipc']
      })
    )
  }

  /** Takes a process as the provider and waits until it serves. */
  async watch(child: ChildProcess): Promise<void> {
    this.provider = child
    child.stderr?.on('data', (data: Buffer) => (this.providerLog += data.toString()))
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the provider ended:\n${this.providerLog}`)
    })
    await Promise.race([once(child, 'message'), ended])
    ended.catch(() => {})
    await eventually(() => this.bridge.links.length > 0)
  }

  /** Gives the exit code. */
  async endProvider(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const child = this.provider
    if (child === null || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
    this.bridge.links = []
    return child.exitCode
  }

  async stop(): Promise<void> {
    await this.endProvider('SIGTERM')
    await this.bridge.stop()
    await this.#ledger?.stop()
    await this.#host?.stop()
    await this.#witness?.end('SIGTERM')
    await rm(this.folder, { recursive: true, force: true })
  }

  /** Seals a program to the provider and brings the offer onto the ledger. */
  async offer(program: Program, change: Partial<TaskRequest> = {}): Promise<SentTask> {
    const asks = await this.ledger.asks(null)
    const [candidate] = asks.slice(-1)
    if (candidate === undefined) throw new Error('there is no ask')
    const identity = {
      network: this.networkId,
      account: this.network.demo.account,
      signer: this.#client,
      viewKey: this.viewKey,
      bridge: this.bridge.signer.publicKey
    }
    const verified: VerifiedAsk = { ...candidate, agentKey: new Uint8Array(32), published: new Uint8Array(32) }
    const prepared = await prepareTask(
      { primitives, identity },
      {
        program,
        cap: 1_000_000n,
        memoryBytes: 1 << 29,
        diskBytes: 1 << 28,
        note: { v: 1, title: 'test', kind: 'cell', path: null, cells: [] },
        ...change
      },
      [verified]
    )
    const { bytes } = await this.sender.sign(this.ledger, { kind: 'offer', tasks: [prepared.offer] })
    const outcome = await this.ledger.submit(bytes)
    if (outcome.status !== 'applied') throw new Error(`offer: ${JSON.stringify(outcome, String)}`)
    return { task: prepared.offer.task, prepared, transaction: bytes }
  }

  /** Tells the provider of an offer. */
  async notice(
    { task, prepared, transaction }: SentTask,
    change: Partial<Extract<BridgeMessage, { kind: 'notice' }>> = {}
  ): Promise<void> {
    const box = prepared.boxes[0] ?? null
    const bundle = prepared.inline ? prepared.sealedBundle : null
    if (bundle === null) this.bridge.blobs.set(toHex(prepared.offer.bundle.hash), prepared.sealedBundle)
    await this.bridge.tell({ kind: 'notice', task, transaction, candidate: 0, final: true, box, bundle, ...change })
  }

  async run(program: Program, change: Partial<TaskRequest> = {}): Promise<SentTask> {
    const sent = await this.offer(program, change)
    await this.notice(sent)
    return sent
  }

  /** Waits until the task is in one of the states; fails at once when it has ended otherwise. */
  async until(task: Uint8Array, ...states: TaskState[]): Promise<TaskView> {
    let view: TaskView | null = null
    await eventually(
      async () => {
        view = await this.ledger.task(task)
        if (view !== null && states.includes(view.state)) return true
        if (view !== null && isEnded(view.state)) throw new Error(`the task is ${view.state}, ${String(view.reason)}`)
        return false
      },
      `the task never was ${states.join(' or ')}`
    )
    if (view === null) throw new Error('no view')
    return view
  }

  /** What the client sees of a task, checked as the client checks it. */
  async read(task: Uint8Array): Promise<{ events: TaskEvent[]; reader: TaskReader }> {
    const reader = new TaskReader(
      {
        primitives,
        blob: async hash => {
          const blob = this.bridge.blobs.get(toHex(hash))
          if (blob === undefined) throw new Error('the blob is not there')
          return blob
        }
      },
      {
        network: this.networkId,
        task,
        readKey: await readKey(this.viewKey, task),
        taskKey: await taskKey(this.viewKey, task),
        agents: new Map()
      }
    )
    const events: TaskEvent[] = []
    for await (const output of reader.read(this.bridge.entries(task))) {
      if (output.kind === 'events') events.push(...output.events)
    }
    return { events, reader }
  }

  async text(task: Uint8Array): Promise<string> {
    const { events } = await this.read(task)
    return textOf(events)
  }
}

export const textOf = (events: TaskEvent[]): string =>
  events
    .map(event =>
      event.type !== 'stream'
        ? ''
        : typeof event.text === 'string'
          ? event.text
          : Buffer.from(event.text as Uint8Array).toString()
    )
    .join('')

export const cells = (...sources: string[]): Program => ({
  kind: 'cells',
  cells: sources.map((source, i) => ({ id: `c${i}`, source, tags: [] })),
  stopOnError: true
})

export async function eventually(
  check: () => boolean | Promise<boolean>,
  what = 'it did not come true'
): Promise<void> {
  const deadline = Date.now() + 60_000
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error(what)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
}
