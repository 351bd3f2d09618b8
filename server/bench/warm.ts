// Takes away what providers keep warm, so that a run begins cold. For sandboxes that are processes of this machine (bubblewrap).
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'

/** Processes come and go within it, ms. */
const LOOK_MS = 100
/** A provider begins to replace what it lost at once; a busy machine gets this long, ms. */
const PATIENCE_MS = 20_000

const pause = (): Promise<void> => new Promise(resolve => setTimeout(resolve, LOOK_MS))

/** All processes below these. */
async function below(roots: readonly number[]): Promise<number[]> {
  const parents = new Map<number, number>()
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const stat = await readFile(join('/proc', name, 'stat'), 'utf8').catch(() => '')
    // The name in brackets may hold anything.
    const [, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (parent !== undefined) parents.set(Number(name), Number(parent))
  }
  const isBelow = (pid: number): boolean => {
    for (let at = parents.get(pid); at !== undefined && at > 1; at = parents.get(at))
      if (roots.includes(at)) return true
    return false
  }
  return [...parents.keys()].filter(isBelow)
}

function signal(pids: Iterable<number>, name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name)
    } catch {
      // it is gone
    }
  }
}

/** The providers of a network that `pekka up` has brought up. */
export async function providersOf(home: string): Promise<number[]> {
  const ready = (name: string): Promise<string> => readFile(join(home, 'devnet', name, 'ready.json'), 'utf8')
  const said: { pid: number }[] = await Promise.all(
    ['provider-1', 'provider-2'].map(async name => JSON.parse(await ready(name)) as { pid: number }) // we wrote it
  )
  return said.map(({ pid }) => pid)
}

/**
 * Ends the sandboxes that wait, and holds those that begin to take their place, so that the next run finds none and has the machine
 * for itself. Resolves with what lets providers go on as before; undefined where sandboxes are no processes below a provider.
 */
export async function holdWarm(providers: readonly number[]): Promise<(() => void) | undefined> {
  const waiting = new Set(await below(providers))
  if (waiting.size === 0) return undefined
  signal(waiting, 'SIGKILL')
  const held = new Set<number>()
  const until = Date.now() + PATIENCE_MS
  for (let quiet = 0; quiet < 3;) {
    if (Date.now() > until) throw new Error('providers did not replace what they lost')
    const all = await Promise.all(providers.map(provider => below([provider])))
    const fresh = all.flat().filter(pid => !waiting.has(pid))
    signal(fresh, 'SIGSTOP')
    const isNew = fresh.some(pid => !held.has(pid))
    for (const pid of fresh) held.add(pid)
    const each = all.every(pids => pids.some(pid => held.has(pid)))
    quiet = each && !isNew ? quiet + 1 : 0
    await pause()
  }
  return () => signal(held, 'SIGKILL')
}
