/**
 * `npm run simulate -- [--witnesses N] [--seeds A..B] [--faults SET|all|none] [--mutate NAME] [--jobs N] [--trace] [--json]`
 *
 * `npm run simulate -- --delays --json`: finality in link delays, for 4, 10 and 20 witnesses (delays.ts).
 *
 * Runs seeded worlds A to B−1 (simulation/README.md). A seed that breaks a check prints the command that replays it and what
 * happened last. The last line is one JSON object: `{"figures": {"violations": 0, …}}`. Exit code 1: a violation; with
 * --mutate 1: none.
 */
import { fork } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { playChase } from './chase.js'
import { delayRatios } from './delays.js'
import { FAULTS, type Fault } from './faults.js'
import { MUTANTS, type Mutant } from './mutants.js'
import { World, type Outcome } from './world.js'

/** What some seeds came to, in a form that adds up. */
interface Tally {
  seeds: number
  violations: number
  failed: number[]
  commits: number
  transactions: number
  epochs: number
  finality: number[]
  delay: number
  cpu: number
}

interface Options {
  witnesses: number
  from: number
  to: number
  faults: readonly Fault[] | 'all'
  mutate: string | null
  jobs: number
  trace: boolean
  json: boolean
}

/** Lines of the trace that a failing seed prints. */
const SHOWN_LINES = 60
/** Finality times kept of one seed; the median of many seeds needs no more. */
const KEPT_TIMES = 20

function options(): Options {
  const { values } = parseArgs({
    options: {
      witnesses: { type: 'string', default: '4' },
      seeds: { type: 'string', default: '0..100' },
      faults: { type: 'string' },
      mutate: { type: 'string' },
      jobs: { type: 'string' },
      trace: { type: 'boolean', default: false },
      json: { type: 'boolean', default: false }
    }
  })
  const [from, to] = values.seeds.split('..').map(Number)
  if (from === undefined || to === undefined || !(to > from)) throw new TypeError('--seeds A..B, B is not included')
  const mutant = values.mutate === undefined ? undefined : MUTANTS[values.mutate]
  if (values.mutate !== undefined && mutant === undefined) {
    throw new TypeError(`--mutate is one of ${Object.keys(MUTANTS).join(', ')}`)
  }
  return {
    witnesses: Number(values.witnesses),
    from,
    to,
    faults: values.faults === undefined ? (mutant?.faults ?? 'all') : faultsOf(values.faults),
    mutate: values.mutate ?? null,
    jobs: Number(values.jobs ?? availableParallelism()),
    trace: values.trace,
    json: values.json
  }
}

function faultsOf(text: string): readonly Fault[] | 'all' {
  if (text === 'all') return 'all'
  return text.split(',').flatMap(name => {
    if (name === 'none') return []
    const fault = FAULTS.find(known => known === name)
    if (fault === undefined) throw new TypeError(`--faults is all, none, or some of ${FAULTS.join(',')}`)
    return [fault]
  })
}

function runSeed(seed: number, traced: boolean, { witnesses, faults, mutate }: Options): Outcome {
  const mutant = mutate === null ? undefined : MUTANTS[mutate]
  if (mutant?.scripted) return scripted(seed, mutant)
  return new World({ seed, witnesses, faults, rules: mutant?.rules, traced }).run()
}

/** The scripted schedule in the form of a world's outcome. */
function scripted(seed: number, { rules }: Mutant): Outcome {
  const { commits } = playChase(rules)
  const violations = commits > 0 ? [] : [{ at: 0, check: 'liveness', detail: 'no commit in 60 rounds (chase.ts)' }]
  const nothing = { transactions: 0, epochs: 1, finality: [], delay: 0, fingerprint: '', trace: [] }
  return { seed, faults: [], violations, commits, ...nothing }
}

function run(options: Options): Tally {
  const began = process.cpuUsage()
  const tally: Tally = {
    seeds: 0,
    violations: 0,
    failed: [],
    commits: 0,
    transactions: 0,
    epochs: 0,
    finality: [],
    delay: 0,
    cpu: 0
  }
  for (let seed = options.from; seed < options.to; seed++) {
    const outcome = runSeed(seed, options.trace, options)
    tally.seeds += 1
    tally.violations += outcome.violations.length
    tally.commits += outcome.commits
    tally.transactions += outcome.transactions
    tally.epochs += outcome.epochs
    tally.finality.push(...outcome.finality.slice(-KEPT_TIMES))
    tally.delay += outcome.delay
    if (options.trace && outcome.violations.length === 0) console.log(outcome.trace.join('\n'))
    if (outcome.violations.length === 0) continue
    tally.failed.push(seed)
    report(outcome, options)
    // A mutant is caught with the first.
    if (options.mutate !== null) break
  }
  const { user, system } = process.cpuUsage(began)
  tally.cpu = (user + system) / 1000
  return tally
}

/** Runs a failing seed again, with its trace: the same seed does the same. */
function report({ seed, faults, violations }: Outcome, options: Options): void {
  const { witnesses, mutate } = options
  const set = options.faults === 'all' ? 'all' : options.faults.join() || 'none'
  const command = `npm run simulate -- --witnesses ${witnesses} --seeds ${seed}..${seed + 1} --faults ${set} --jobs 1`
  console.log(`seed ${seed} (${faults.join(', ') || 'no faults'})`)
  for (const { at, check, detail } of violations) console.log(`  ${at} ms  ${check}: ${detail}`)
  console.log(`  replay: ${command} --trace${mutate === null ? '' : ` --mutate ${mutate}`}`)
  if (mutate !== null) return
  const { trace } = runSeed(seed, true, options)
  for (const line of trace.slice(-SHOWN_LINES)) console.log(`    ${line}`)
}

/** Several processes, each with its share of the seeds. */
async function runMany(options: Options): Promise<Tally> {
  const { from, to, jobs } = options
  if (jobs <= 1 || to - from < 2 * jobs || options.mutate !== null) return run(options)
  const share = Math.ceil((to - from) / jobs)
  const parts = Array.from({ length: jobs }, (_, i) => ({
    from: from + i * share,
    to: Math.min(to, from + (i + 1) * share)
  }))
  const tallies = await Promise.all(parts.map(part => runChild(part)))
  return tallies.reduce((a, b) => ({
    seeds: a.seeds + b.seeds,
    violations: a.violations + b.violations,
    failed: [...a.failed, ...b.failed],
    commits: a.commits + b.commits,
    transactions: a.transactions + b.transactions,
    epochs: a.epochs + b.epochs,
    finality: a.finality.concat(b.finality),
    delay: a.delay + b.delay,
    cpu: a.cpu + b.cpu
  }))
}

function runChild({ from, to }: { from: number; to: number }): Promise<Tally> {
  const own = process.argv
    .slice(2)
    .filter((arg, i, all) => !/^--(seeds|jobs)/.test(arg) && !/^--(seeds|jobs)$/.test(all[i - 1] ?? ''))
  const child = fork(fileURLToPath(import.meta.url), [...own, '--seeds', `${from}..${to}`, '--jobs', '1'], {
    env: { ...process.env, PEKKA_SIMULATION_CHILD: '1' }
  })
  return new Promise((resolve, reject) => {
    child.once('message', tally => resolve(tally as Tally)) // our own main() below sends it
    child.once('error', reject)
    child.once('exit', code => reject(new Error(`a job ended with ${code}`)))
  })
}

const median = (values: readonly number[]): number =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN

const rounded = (value: number): number => Math.round(value * 100) / 100

async function main(): Promise<void> {
  if (process.argv.includes('--delays')) {
    console.log(JSON.stringify({ bench: 'simulate', figures: delayRatios() }))
    return
  }
  const chosen = options()
  const tally = await runMany(chosen)
  if (process.env['PEKKA_SIMULATION_CHILD'] !== undefined && process.send !== undefined) {
    process.send(tally)
    return
  }
  const delay = tally.delay / tally.seeds
  const finality = median(tally.finality)
  const figures = {
    violations: tally.violations,
    seeds: tally.seeds,
    failed_seeds: tally.failed.length,
    commits: tally.commits,
    transactions: tally.transactions,
    epochs: tally.epochs,
    finality_p50_ms: rounded(finality),
    delay_ratio: rounded(finality / delay),
    cpu_ms_per_seed: rounded(tally.cpu / tally.seeds)
  }
  if (!chosen.json) {
    console.log(`${tally.seeds} seeds, ${tally.violations} violations, ${rounded(tally.cpu / 1000)} s of CPU`)
    if (tally.failed.length > 0) console.log(`failed: ${tally.failed.slice(0, 20).join(' ')}`)
  }
  console.log(JSON.stringify({ bench: 'simulate', witnesses: chosen.witnesses, mutate: chosen.mutate, figures }))
  process.exitCode = (tally.violations === 0) === (chosen.mutate === null) ? 0 : 1
}

await main()
