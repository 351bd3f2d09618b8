import type { Run, TestNetwork } from '../../../node/test/support/network.js'

/** A script that prints one line after another at a distance, seconds: long enough to be struck. */
export interface Counting {
  source: string
  /** All that it prints. */
  all: string
}

export const counting = (lines: number, seconds: number): Counting => ({
  source: `import time\nfor i in range(${lines}):\n    print("line", i, flush=True)\n    time.sleep(${seconds})\n`,
  all: Array.from({ length: lines }, (_, i) => `line ${i}\n`).join('')
})

/** Runs it, and strikes once it has begun to print. */
export async function struck(network: TestNetwork, { source }: Counting, strike: () => Promise<unknown>): Promise<Run> {
  const path = await network.file('count.py', source)
  const before = await network.free()
  const command = network.begin(['run', path])
  await command.printed('line 5\n')
  await strike()
  const ended = await command.ended
  return { ...ended, item: await network.newest(), before, after: await network.free() }
}
