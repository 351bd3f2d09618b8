import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Redis } from 'ioredis'

/** A real Redis (or Valkey) of the test's own, on a unix socket; `PEKKA_TEST_REDIS` names the program. */
export class TestRedis {
  #child: ChildProcess | null = null

  constructor(readonly folder: string) {}

  get path(): string {
    return join(this.folder, 'redis.sock')
  }

  /** @throws TypeError where it doesn't run */
  get pid(): number {
    const pid = this.#child?.pid
    if (pid === undefined) throw new TypeError('Redis is stopped')
    return pid
  }

  /** @param keep whether what an earlier one stored is read; else it starts with nothing */
  async start(keep = true): Promise<void> {
    if (!keep) await rm(join(this.folder, 'appendonlydir'), { recursive: true, force: true })
    if (!keep) await rm(join(this.folder, 'dump.rdb'), { force: true })
    await rm(this.path, { force: true })
    const program = process.env['PEKKA_TEST_REDIS'] ?? 'redis-server'
    const options = ['--port', '0', '--unixsocket', this.path, '--dir', this.folder, '--appendonly', 'yes']
    const child = spawn(program, [...options, '--maxmemory-policy', 'noeviction', '--save', ''], { stdio: 'ignore' })
    child.on('error', () => undefined)
    this.#child = child
    const redis = new Redis(this.path, { retryStrategy: () => 20, maxRetriesPerRequest: null })
    redis.on('error', () => undefined)
    const gone = once(child, 'exit').then(() => {
      throw new Error(`${program} doesn't start; install redis-server or set PEKKA_TEST_REDIS`)
    })
    try {
      await Promise.race([redis.ping(), gone])
    } finally {
      gone.catch(() => undefined)
      redis.disconnect()
    }
  }

  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child
    this.#child = null
    if (child === null || child.exitCode !== null) return
    const exit = once(child, 'exit')
    child.kill(signal)
    await exit
  }

  /** Everything it holds, as text. */
  async dump(): Promise<string> {
    const redis = new Redis(this.path)
    try {
      const out: string[] = []
      for (const key of await redis.keys('*')) {
        out.push(key)
        const bytes = await redis.dumpBuffer(key)
        if (bytes !== null) out.push(bytes.toString('latin1'))
      }
      return out.join('\n')
    } finally {
      redis.disconnect()
    }
  }
}
