/** What /proc tells about processes that aren't our children. */
import { readdir, readFile } from 'node:fs/promises'

/** A process that can't be mistaken for a later one with the same number. */
export interface ProcessIdentity {
  pid: number
  /** Clock ticks between boot and its start (field 22 of /proc/PID/stat). */
  started: string
}

interface Stat {
  state: string
  parent: number
  /** Clock ticks of CPU: own and of reaped children. */
  ticks: number
  started: string
}

/** Clock ticks per second as /proc shows them: USER_HZ, 100 on every architecture we run on. */
const TICKS_PER_SECOND = 100

async function stat(pid: number): Promise<Stat | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  if (text === undefined) return undefined
  // The name in parentheses may hold anything, also spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state = 'X', parent = '0'] = fields
  const ticks = fields.slice(11, 15).reduce((sum, value) => sum + Number(value), 0)
  return { state, parent: Number(parent), ticks, started: fields[19] ?? '' }
}

export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const found = await stat(pid)
  return found === undefined ? undefined : { pid, started: found.started }
}

/** A zombie counts as gone: it runs nothing and holds nothing. */
export async function isAlive({ pid, started }: ProcessIdentity): Promise<boolean> {
  const found = await stat(pid)
  return found !== undefined && found.started === started && found.state !== 'Z' && found.state !== 'X'
}

export async function killIfAlive(identity: ProcessIdentity): Promise<boolean> {
  if (!(await isAlive(identity))) return false
  try {
    process.kill(identity.pid, 'SIGKILL')
    return true
  } catch {
    return false
  }
}

/** The process and all below it. */
export async function family(root: number): Promise<number[]> {
  const names = await readdir('/proc')
  const pids = names.map(Number).filter(pid => Number.isInteger(pid) && pid > 0)
  const parents = new Map<number, number>()
  for (const pid of pids) parents.set(pid, (await stat(pid))?.parent ?? 0)
  const members = new Set([root])
  for (let grown = true; grown;) {
    grown = false
    for (const [pid, parent] of parents) {
      if (!members.has(pid) && members.has(parent)) {
        members.add(pid)
        grown = true
      }
    }
  }
  return [...members]
}

/** CPU and memory of a family, for machines without control groups. What was never reaped in between is missed. */
export async function familyUsage(root: number): Promise<{ cpuMs: number; memoryBytes: number }> {
  let ticks = 0
  let memoryBytes = 0
  for (const pid of await family(root)) {
    ticks += (await stat(pid))?.ticks ?? 0
    const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
    memoryBytes += Number(/^VmHWM:\s*(\d+) kB/m.exec(status)?.[1] ?? 0) * 1024
  }
  return { cpuMs: (ticks * 1000) / TICKS_PER_SECOND, memoryBytes }
}
