import { writeFile } from 'node:fs/promises'
import { credits, type TaskRequest, type TaskUpdate } from '../../core/client/index.js'
import {
  PekkaError,
  SCRIPT_CELL,
  asPekkaError,
  equalBytes,
  resultRoot,
  shortId,
  toJson,
  type NumericPath
} from '../../core/protocol/index.js'
import {
  CAUSES,
  RunOutputs,
  SECOND_RUN,
  compareRuns,
  describeComparison,
  type Comparison
} from '../../core/verification/index.js'
import { random } from '../../host/crypto/index.js'
import type { CliContext } from '../context.js'
import { EXIT } from '../exit-codes.js'
import { describeOutcome, SHOWN_ID } from './outcome.js'
import { Printer } from './printer.js'
import type { LoadedProgram } from './program.js'
import { saveReceipt } from './receipts.js'
import { NotebookRecorder } from './recorder.js'
import type { Session } from './session.js'

export interface TwiceInit {
  loaded: LoadedProgram
  request: TaskRequest & { image: string }
  /** What is said before it starts. */
  lines: readonly string[]
  /** Where the executed notebook of the first run goes. */
  out?: string | undefined
}

/**
 * Runs a program twice, with the same seeds and on differently simulated processors, compares what came out cell by cell, and says for each
 * difference what it likely comes from (`pekka run --runs 2`). The first run's output is printed as always.
 *
 * @returns the exit code: the program's own where the runs agree (or differ in their last digits alone), EXIT.differs where they don't
 */
export async function runTwice(session: Session, context: CliContext, init: TwiceInit): Promise<number> {
  const { client } = session
  const { request, loaded } = init
  const [quote, { balance }] = await Promise.all([client.quote(request), client.account()])
  const need = 2n * request.cap
  if (balance < need) throw new PekkaError('FUNDS_MISSING', { have: balance, need })
  context.say(
    `${request.image} · two runs · ${credits(quote.most)} credits a second · at most ${credits(need)} together`
  )
  context.say('The provider can read your code and data while it runs.')
  for (const line of init.lines) context.say(line)
  // The same seed in both: what then differs is what no seed reaches.
  const seed = request.seed === undefined ? new DataView(random.bytes(4).buffer).getUint32(0) : request.seed
  const printer = new Printer(context, { json: context.json })
  const recorder = new NotebookRecorder({ now: () => Date.now() })
  const [first, second] = [new Run(), new Run()]
  const stop = new AbortController()
  const one = (run: Run, numeric: NumericPath | undefined, isFirst: boolean): Promise<TaskUpdate | null> =>
    follow(session, context, run, {
      request: { ...request, seed, ...(numeric !== undefined && { numeric }) },
      printer: isFirst ? printer : null,
      recorder: isFirst ? recorder : null,
      stop: stop.signal
    })
  try {
    const [a, b] = await Promise.all([one(first, request.numeric, true), one(second, SECOND_RUN, false)])
    if (a === null || b === null) {
      context.say('Not connected any more. The tasks go on: pekka tasks')
      return EXIT.notConnected
    }
    if (loaded.notebook && init.out !== undefined)
      await writeFile(init.out, `${JSON.stringify(recorder.notebook(loaded.notebook), null, 1)}\n`)
    return await conclude(session, context, init, seed, [
      { run: first, update: a },
      { run: second, update: b }
    ])
  } finally {
    stop.abort()
  }
}

/** The outputs of one run; a new attempt begins them anew. */
class Run {
  task: Uint8Array | null = null
  outputs = new RunOutputs()
}

interface FollowInit {
  request: TaskRequest & { image: string }
  printer: Printer | null
  recorder: NotebookRecorder | null
  stop: AbortSignal
}

/** Null where the connection was lost. */
async function follow(
  { client, network }: Session,
  context: CliContext,
  run: Run,
  { request, printer, recorder, stop }: FollowInit
): Promise<TaskUpdate | null> {
  const task = await client.submit(request)
  run.task = task
  const follower = await client.follow(task, {
    reset: () => {
      run.outputs = new RunOutputs()
      recorder?.reset()
    },
    events: async events => {
      for (const event of events) {
        run.outputs.add(event)
        recorder?.add(event)
      }
      await printer?.print(events)
    }
  })
  const cancel = (): void => {
    client
      .cancel(task)
      .catch((error: unknown) => context.say(`Cancelling ${shortId(task, SHOWN_ID)}: ${asPekkaError(error).message}`))
  }
  if (context.signal.aborted) cancel()
  context.signal.addEventListener('abort', cancel, { once: true })
  const left = new Promise<null>(resolve => {
    for (const signal of [network.gone, context.hurry, stop])
      signal.addEventListener('abort', () => resolve(null), { once: true })
  })
  try {
    return await Promise.race([follower.ended, left])
  } finally {
    context.signal.removeEventListener('abort', cancel)
    follower.stop()
  }
}

interface Finished {
  run: Run
  update: TaskUpdate
}

async function conclude(
  session: Session,
  context: CliContext,
  { loaded, request }: TwiceInit,
  seed: number | null,
  finished: [Finished, Finished]
): Promise<number> {
  const outcomes = []
  for (const [i, { run, update }] of finished.entries()) {
    if (run.task === null) throw new PekkaError('TASK_UNKNOWN')
    const outcome = describeOutcome(run.task, update)
    outcomes.push(outcome)
    if (update.phase.phase === 'settled' || update.phase.phase === 'refunded')
      await saveReceipt(context.home, await session.client.receipt(run.task, update.finished))
    context.say(`Run ${i + 1}: ${outcome.line}`)
  }
  const [a, b] = finished
  const incomplete = finished.findIndex(({ update }) => update.finished === null || update.phase.phase === 'mismatch')
  if (incomplete >= 0 || !a.update.finished || !b.update.finished) {
    context.say('There is nothing to compare: one of the runs brought no result.')
    return outcomes[Math.max(0, incomplete)]?.exitCode ?? EXIT.ours
  }
  const { program } = request
  const sources = new Map(
    program.kind === 'cells'
      ? program.cells.map(({ id, source }) => [id, source] as const)
      : [[SCRIPT_CELL, new TextDecoder().decode(program.source)] as const]
  )
  const comparison = compareRuns(a.run.outputs, b.run.outputs, { sources, entropy: seed === null })
  const sameDigest = equalBytes(
    resultRoot(a.update.finished.manifest.result),
    resultRoot(b.update.finished.manifest.result)
  )
  const names = namesOf(loaded)
  for (const line of describeComparison(comparison, names)) context.say(line)
  if (context.json) context.result(JSON.stringify(toJson(facts(comparison, sameDigest, seed, finished))))
  return comparison.verdict === 'different' ? EXIT.differs : (outcomes[0]?.exitCode ?? EXIT.ok)
}

function facts(comparison: Comparison, sameDigest: boolean, seed: number | null, finished: Finished[]): object {
  return {
    type: 'comparison',
    verdict: comparison.verdict,
    sameDigest,
    seed,
    tasks: finished.map(({ run }) => run.task),
    cells: comparison.cells.map(({ cause, ...cell }) => ({
      ...cell,
      cause,
      sentence: cause === null ? null : CAUSES[cause]
    }))
  }
}

/** How people call the cells: by their number among the notebook's code cells. */
function namesOf({ program }: LoadedProgram): Map<string, string> {
  if (program.kind === 'script') return new Map([[SCRIPT_CELL, 'The output']])
  return new Map(program.cells.map(({ id }, index) => [id, `Cell ${index + 1}`]))
}
