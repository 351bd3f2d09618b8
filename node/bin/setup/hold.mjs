/**
 * A lock that a killed holder can't leave behind: a file that names its holder by process id and start time, so that a process
 * which got the same id later isn't taken for it.
 */
import { readFileSync } from 'node:fs'
import { link, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/** How often a lock that is held is looked at again, ms. A person waits; a tenth of a core-second an hour. */
const POLL = 300

/**
 * When a process started, in clock ticks since boot (proc(5), field 22), or undefined if there is no such process. One that has
 * ended and waits to be reaped is none: in a container whose first process reaps nobody it stays for ever. @param {number} pid
 */
export function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
  } catch {
    return undefined
  }
}

function bootId() {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  } catch {
    return ''
  }
}

/** @typedef {{ pid: number, started: string, boot: string }} Holder */

/** How this process, or another, is written into a lock. @param {number} [pid] @returns {Holder} */
export function holder(pid = process.pid) {
  return { pid, started: startTime(pid) ?? '', boot: bootId() }
}

/** Whether the process that a lock names still lives. @param {Partial<Holder>} named */
export function lives(named) {
  return named.pid !== undefined && named.boot === bootId() && startTime(named.pid) === named.started
}

/**
 * Who holds the lock now, or undefined.
 * @param {string} path
 * @returns {Promise<(Holder & Record<string, unknown>) | undefined>}
 */
export async function holderOf(path) {
  try {
    const named = JSON.parse(await readFile(path, 'utf8'))
    return lives(named) ? named : undefined
  } catch {
    return undefined
  }
}

/**
 * Takes the lock if nobody alive has it; returns the way to give it back, or undefined.
 * @param {string} path
 * @param {Record<string, unknown>} [extra] told to those who find it taken
 */
export async function tryHold(path, extra = {}) {
  await mkdir(dirname(path), { recursive: true })
  const mine = `${path}.${process.pid}`
  await writeFile(mine, JSON.stringify({ ...holder(), ...extra }), { mode: 0o600 })
  try {
    for (let attempt = 0; attempt < 2; attempt++) {
      try {
        // link() is atomic and fails where the name exists, so a lock is never seen half written
        await link(mine, path)
        return {
          release: () => rm(path, { force: true }),
          /** Tells more to those who find it taken. @param {Record<string, unknown>} more */
          tell: async more => {
            await writeFile(`${mine}.new`, JSON.stringify({ ...holder(), ...extra, ...more }), { mode: 0o600 })
            await rename(`${mine}.new`, path)
          }
        }
      } catch (error) {
        if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EEXIST') throw error
        if (await holderOf(path)) return undefined
        await rm(path, { force: true })
      }
    }
    return undefined
  } finally {
    await rm(mine, { force: true })
  }
}

/**
 * Takes the lock, waiting for whoever has it.
 * @param {string} path
 * @param {{ signal?: AbortSignal, waiting?: (pid: number) => void }} [options]
 */
export async function hold(path, options = {}) {
  for (let told = false; ;) {
    options.signal?.throwIfAborted()
    const held = await tryHold(path)
    if (held) return held
    const other = await holderOf(path)
    if (other && !told) options.waiting?.(other.pid)
    told = true
    await new Promise(resolve => setTimeout(resolve, POLL))
  }
}
