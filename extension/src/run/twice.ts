import { PekkaError, type TaskEvent } from '@pekka/node/protocol'
import type { PekkaClient, Quote, TaskRequest } from '@pekka/node/client'
import {
  RunOutputs,
  SECOND_RUN,
  compareRuns,
  comparisonWords,
  type Comparison,
  type ComparisonWords
} from '@pekka/node/verification'
import type { EventSink, RemoteTask } from './remote-task.js'
import type { Tasks } from './tasks.js'

/** All outputs of one run; those of an attempt that was lost don't count. */
class Kept implements EventSink {
  outputs = new RunOutputs()

  superseded(): void {
    this.outputs = new RunOutputs()
  }

  events(events: TaskEvent[]): void {
    for (const event of events) this.outputs.add(event)
  }
}

/** Two runs of one program compared. */
export interface TwiceReport {
  verdict: Comparison['verdict']
  words: ComparisonWords
}

type TwiceRequest = Pick<TaskRequest, 'program' | 'seed' | 'note'>

/**
 * One program sent twice, with the same seeds and on differently simulated processors: what then differs is what neither reaches.
 * The first run belongs to the notebook; of the second only the outputs are kept, to compare them.
 */
export class Twice {
  readonly #kept = [new Kept(), new Kept()] as const

  private constructor(
    readonly first: RemoteTask,
    private readonly second: RemoteTask,
    private readonly request: TwiceRequest
  ) {}

  /** @throws PekkaError; then nothing runs on */
  static async submit(
    tasks: Pick<Tasks, 'submit' | 'follow' | 'cancel'>,
    wanted: TaskRequest,
    quote: Quote
  ): Promise<Twice> {
    const [seed = 0] = crypto.getRandomValues(new Uint32Array(1))
    // null, real entropy, stays: that is what is then compared.
    const request = { ...wanted, seed: wanted.seed === undefined ? seed : wanted.seed }
    const first = await tasks.submit(request, quote)
    try {
      const note = { ...request.note, title: `${request.note.title.slice(0, 180)}, second run`, cells: [] }
      const second = await tasks.submit({ ...request, note, numeric: SECOND_RUN }, quote)
      const twice = new Twice(first, second, request)
      first.keeper = twice.#kept[0]
      await tasks.follow(second.bytes, twice.#kept[1])
      return twice
    } catch (error) {
      await tasks.cancel(first).catch(() => undefined)
      throw error
    }
  }

  /**
   * Resolves when both runs are over and their output is here; null where one brought no result.
   * @param numberOf number of a cell as people count
   */
  async compared(numberOf: (id: string) => number): Promise<TwiceReport | null> {
    const whole = await Promise.all([this.first, this.second].map(wholeOf))
    if (whole.includes(false)) return null
    const { program, seed } = this.request
    const sent = program.kind === 'cells' ? program.cells : []
    const sources = new Map(sent.map(({ id, source }) => [id, source]))
    const names = new Map(sent.map(({ id }) => [id, `Cell ${numberOf(id)}`]))
    const [{ outputs: a }, { outputs: b }] = this.#kept
    const comparison = compareRuns(a, b, { sources, entropy: seed === null })
    return { verdict: comparison.verdict, words: comparisonWords(comparison, names) }
  }
}

/** Whether there is enough for both runs, before one of them is sent. @throws PekkaError FUNDS_MISSING */
export async function affordTwice(client: Pick<PekkaClient, 'account'>, cap: bigint): Promise<void> {
  const { balance } = await client.account()
  if (balance < 2n * cap) throw new PekkaError('FUNDS_MISSING', { have: balance, need: 2n * cap })
}

/** Resolves when all of a followed task's output is here: true; or when nothing more will come: false. */
function wholeOf(task: RemoteTask): Promise<boolean> {
  return new Promise(resolve => {
    const look = (): void => {
      if (!task.complete && task.followed) return
      task.changed.disconnect(look)
      resolve(task.complete && task.finished !== null && task.snapshot.phase.phase !== 'mismatch')
    }
    task.changed.connect(look)
    look()
  })
}
