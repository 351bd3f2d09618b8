import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { z } from 'zod'
import { fromHex } from '@pekka/node/protocol'
import { ENGINE_FLAGS } from '../../../node/src/cli/house/processes/engine.js'

const MAIN = new URL('../../src/main.ts', import.meta.url)
/** What people run. */
const BUILT = new URL('../../dist/main.js', import.meta.url)
const readySchema = z.object({
  ready: z.literal(true),
  url: z.string(),
  addresses: z.array(z.string()),
  key: z.string()
})

/** The bridge as a process of its own, to be killed. */
export class BridgeProcess {
  private constructor(
    readonly child: ChildProcess,
    readonly url: string,
    readonly addresses: string[],
    readonly key: Uint8Array,
    private readonly lines: { output: string }
  ) {}

  /** Everything it has written to its streams. */
  get written(): string {
    return this.lines.output
  }

  get hasEnded(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  /** @param built the built program at its usual log level, for benches; else the sources, which log everything */
  static async start(settingsPath: string, settings: object, built = false): Promise<BridgeProcess> {
    await writeFile(settingsPath, JSON.stringify(settings))
    const lines = { output: '' }
    const child = fork(built ? BUILT : MAIN, ['--settings', settingsPath], {
      execArgv: [
        ...(built ? ENGINE_FLAGS : ['--conditions=pekka-source', '--import=tsx']),
        ...(process.env['PEKKA_TEST_PROFILE'] ?? '').split(' ').filter(Boolean)
      ],
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      env: { ...process.env, PEKKA_LOG_LEVEL: built ? 'info' : 'trace' }
    })
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (data: Buffer) => {
        lines.output += data.toString()
        if (process.env['PEKKA_TEST_LOG'] !== undefined) process.stderr.write(data)
      })
    const ended = once(child, 'exit').then(([status]) => {
      throw new Error(`the bridge ended with ${String(status)}:\n${lines.output.slice(-2000)}`)
    })
    const [message]: unknown[] = await Promise.race([once(child, 'message'), ended])
    ended.catch(() => undefined)
    const { url, addresses, key } = readySchema.parse(message)
    return new BridgeProcess(child, url, addresses, fromHex(key), lines)
  }

  /** @returns its exit status */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<number | null> {
    if (this.hasEnded) return this.child.exitCode
    const exit = once(this.child, 'exit')
    this.child.kill(signal)
    await exit
    return this.child.exitCode
  }
}
