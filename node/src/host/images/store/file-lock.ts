import { spawn } from 'node:child_process'
import { once } from 'node:events'

/**
 * Runs `body` while no other process (or call) holds the lock file `path`. The kernel holds the lock (flock(1)), through a child that
 * ends when we do, so a killed process leaves nothing to clean up.
 *
 * `onWait` is called where somebody else holds it.
 */
export async function withFileLock<T>(
  path: string,
  options: { signal?: AbortSignal; onWait?: () => void },
  body: () => Promise<T>
): Promise<T> {
  options.signal?.throwIfAborted()
  const script = 'flock --nonblock 9 || { echo wait; flock 9; }; echo held; exec cat'
  const child = spawn('sh', ['-c', `exec 9>>"$1"; ${script}`, 'sh', path], {
    stdio: ['pipe', 'pipe', 'ignore'],
    detached: true
  })
  const release = (): void => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL')
    } catch {
      // ended in the meantime
    }
  }
  const closed = once(child, 'close')
  try {
    await new Promise<void>((resolve, reject) => {
      options.signal?.addEventListener('abort', () => reject(options.signal?.reason), { once: true })
      child.once('error', reject)
      child.once('exit', () => reject(new Error(`flock could not lock ${path}`)))
      child.stdout.on('data', (words: Buffer) => {
        if (words.includes('held')) resolve()
        else options.onWait?.()
      })
    })
    return await body()
  } finally {
    release()
    await closed.catch(() => undefined)
  }
}
