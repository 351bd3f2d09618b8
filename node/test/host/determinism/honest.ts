import { SCRIPT_CELL, resultRoot, toHex, type TaskEvent } from '@pekka/node/protocol'
import { RunDigester, RunOutputs, compareRuns, type Comparison } from '@pekka/node/verification'
import type { RunCommand } from '@pekka/node/host/runner'
import { cellsCommand, scriptCommand } from '../runner/sandboxed-runner.js'
import type { Program } from './programs/index.js'

const SEED = 20_240_229

/** What a program becomes when it is sent; both runs have the same seed, as those of one task. */
export const commandFor = ({ source }: Pick<Program, 'source'>): RunCommand =>
  typeof source === 'string' ? scriptCommand(source, [], { seed: SEED }) : cellsCommand(source, { seed: SEED })

/** One run of a program: its events, in order, the last one `done`. */
export interface HonestRun {
  events: readonly TaskEvent[]
}

/** root(result) of a run, hex. */
export function rootOf({ events }: HonestRun): string {
  const digester = new RunDigester()
  for (const event of events) digester.add(event)
  const done = events.at(-1)
  if (done?.type !== 'done') throw new Error('the run is not done')
  return toHex(resultRoot(digester.result(done)))
}

/** The comparison that `pekka run --runs 2` makes. */
export function compareHonest({ source }: Pick<Program, 'source'>, a: HonestRun, b: HonestRun): Comparison {
  const sources = new Map(
    typeof source === 'string' ? [[SCRIPT_CELL, source]] : source.map((text, i) => [`c${i + 1}`, text])
  )
  const [first, second] = [a, b].map(({ events }) => {
    const outputs = new RunOutputs()
    for (const event of events) outputs.add(event)
    return outputs
  })
  if (first === undefined || second === undefined) throw new Error('two runs')
  return compareRuns(first, second, { sources, entropy: false })
}

/** What a run said of what went wrong, for the message of a failed test. */
export const wordsOf = ({ events }: HonestRun): string =>
  events
    .flatMap(event => {
      if (event.type === 'error') return [`${event.ename}: ${event.evalue}`]
      if (event.type !== 'stream') return []
      const text =
        typeof event.text === 'string'
          ? event.text
          : event.text instanceof Uint8Array
            ? Buffer.from(event.text).toString()
            : ''
      return [text]
    })
    .join('')
    .slice(-1500)
