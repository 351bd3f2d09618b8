import { readFileSync, readdirSync } from 'node:fs'

/** Linux counts in hundredths of a second, whatever the machine. */
const TICK_MS = 10

/** CPU that a process and its descendants have taken, those that have ended included, ms. */
export function cpuOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // After the name in brackets, which may hold anything: utime, stime, and those of children that were waited for.
    const [utime, stime, childUtime, childStime] = stat
      .slice(stat.lastIndexOf(')'))
      .split(' ')
      .slice(12, 16)
      .map(Number)
    const own = (utime ?? 0) + (stime ?? 0) + (childUtime ?? 0) + (childStime ?? 0)
    const children = readdirSync(`/proc/${pid}/task`).flatMap(task =>
      readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number)
    )
    return own * TICK_MS + children.reduce((sum, child) => sum + cpuOf(child), 0)
  } catch {
    return 0 // it has ended
  }
}
