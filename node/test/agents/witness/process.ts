import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { networkId, toHex } from '@pekka/node/protocol'
import { writeSigner } from '@pekka/node/host/crypto'
import { createNetworkHost, LedgerClient, loadPeerKey, type NetworkHost } from '@pekka/node/host/network'
import { lastingPort } from '../../support/ports.js'
import type { TestNetwork } from './support.js'

const MAIN = new URL('../../../src/agents/witness/main.ts', import.meta.url)

/** Starts real witness processes on one folder, one after another. */
export class WitnessProcess {
  child: ChildProcess | null = null
  /** What it wrote to its log. */
  log = ''
  #listen: string | undefined

  constructor(
    readonly folder: string,
    private readonly network: Pick<TestNetwork, 'genesis' | 'bytes' | 'witnessSeed'>,
    /** `main`: another program in its place. */
    private readonly among: {
      listen?: string
      peers?: string[]
      main?: URL
      registers?: boolean
      keepHistory?: string
    } = {}
  ) {
    this.#listen = among.listen
  }

  /** Gives the address it serves at; the same port after a restart. */
  async start(): Promise<string> {
    await mkdir(this.folder, { recursive: true })
    await writeFile(join(this.folder, 'genesis.cbor'), this.network.bytes)
    await writeSigner(join(this.folder, 'block.key'), this.network.witnessSeed)
    this.#listen ??= `/ip4/127.0.0.1/tcp/${await lastingPort()}`
    const settings = {
      home: this.folder,
      network: toHex(networkId(this.network.genesis)),
      genesis: 'genesis.cbor',
      listen: [this.#listen],
      peers: this.among.peers ?? [],
      accountKey: this.among.registers === true ? 'account.key' : null,
      readyFile: 'ready.json',
      keepHistory: this.among.keepHistory ?? 'all',
      logLevel: 'info'
    }
    const path = join(this.folder, 'settings.json')
    await writeFile(path, JSON.stringify(settings))
    const main = this.among.main ?? MAIN
    const child = fork(main, ['--settings', path], {
      // What is built needs no translating.
      execArgv: main.pathname.endsWith('.ts') ? ['--conditions=pekka-source', '--import=tsx'] : [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc']
    })
    this.child = child
    child.stderr?.on('data', (data: Buffer) => (this.log += data.toString()))
    const ended = once(child, 'exit').then(() => {
      throw new Error(`the witness ended:\n${this.log}`)
    })
    const [message]: unknown[] = await Promise.race([once(child, 'message'), ended])
    ended.catch(() => {})
    return addressIn(message)
  }

  /** @param signal SIGTERM stops it cleanly, SIGKILL doesn't ask. Gives the exit code. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<number | null> {
    const { child } = this
    if (child === null || child.exitCode !== null || child.signalCode !== null) return child?.exitCode ?? null
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
    return child.exitCode
  }
}

/** A witness process in a folder of its own, and a client that has dialled it. */
export class ServedWitness {
  #folder = ''
  #process: WitnessProcess | null = null
  #host: NetworkHost | null = null
  #client: LedgerClient | null = null

  /** @param prepare fills the witness's folder before its first start */
  constructor(
    private readonly network: TestNetwork,
    private readonly init: { keepHistory?: string; prepare?: (folder: string) => Promise<void> } = {}
  ) {}

  /** The witness's own. */
  get folder(): string {
    return join(this.#folder, 'witness')
  }

  get process(): WitnessProcess {
    return started(this.#process)
  }

  get client(): LedgerClient {
    return started(this.#client)
  }

  async start(): Promise<void> {
    const { keepHistory, prepare } = this.init
    this.#folder = await mkdtemp(join(tmpdir(), 'pekka-witness-'))
    await prepare?.(this.folder)
    this.#process = new WitnessProcess(this.folder, this.network, { keepHistory })
    const address = await this.#process.start()
    this.#host = createNetworkHost({ key: await loadPeerKey(join(this.#folder, 'client.key')) })
    await this.#host.start()
    this.#client = new LedgerClient({ host: this.#host }, { addresses: [address] })
  }

  async stop(): Promise<void> {
    await this.#client?.stop()
    await this.#host?.stop()
    await this.#process?.end('SIGKILL')
    await rm(this.#folder, { recursive: true, force: true })
  }
}

function started<T>(part: T | null): T {
  if (part === null) throw new Error('it is not started')
  return part
}

function addressIn(message: unknown): string {
  if (message !== null && typeof message === 'object' && 'addresses' in message && Array.isArray(message.addresses)) {
    const [address]: unknown[] = message.addresses
    if (typeof address === 'string') return address
  }
  throw new TypeError('the witness said no address')
}
