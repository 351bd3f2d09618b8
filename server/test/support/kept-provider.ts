import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toHex } from '@pekka/node/protocol'
import { writeSigner } from '@pekka/node/host/crypto'
import { seed } from '../../../node/test/agents/witness/support.js'
import type { World } from './world.js'

const PROCESS = new URL('./kept-provider-process.ts', import.meta.url)

/** A provider that keeps machines, in a process of its own, on a world's bridge and ledger. */
export class KeptProvider {
  #child: ChildProcess | null = null
  log = ''

  private constructor(
    private readonly settings: string,
    private readonly root: string | undefined
  ) {}

  /** With the root of an image its sandboxes are real. */
  static async start(world: World, change: object = {}, root?: string): Promise<KeptProvider> {
    const folder = join(world.folder, 'kept-provider')
    await mkdir(folder)
    await writeSigner(join(folder, 'account.key'), seed())
    const settings = join(folder, 'settings.json')
    await writeFile(
      settings,
      JSON.stringify({
        home: world.folder,
        network: toHex(world.network),
        account: 'account.key',
        bridges: [world.address],
        witnesses: world.witness.addresses(),
        images: { home: world.folder, names: ['base'] },
        name: 'kept',
        concurrency: 4,
        poolMemoryBytes: 0,
        pricePerSecond: '1000',
        holdPricePerSecond: '100',
        ...change
      })
    )
    const provider = new KeptProvider(settings, root)
    await provider.start()
    return provider
  }

  async start(): Promise<void> {
    const child = fork(PROCESS, this.root === undefined ? [this.settings] : [this.settings, this.root], {
      execArgv: ['--conditions=pekka-source', '--import=tsx'],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc']
    })
    this.#child = child
    child.stderr?.on('data', (data: Buffer) => (this.log += data.toString()))
    const ended = once(child, 'exit').then(() => Promise.reject(new Error(`the provider ended:\n${this.log}`)))
    await Promise.race([once(child, 'message'), ended])
    ended.catch(() => undefined)
  }

  /** Sandboxes that exist there now. */
  async sandboxes(): Promise<number> {
    this.#child?.send('sandboxes')
    // The only message it sends once it serves.
    const [{ sandboxes }] = (await once(this.#child ?? process, 'message')) as [{ sandboxes: number }]
    return sandboxes
  }

  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    await ended
  }
}
