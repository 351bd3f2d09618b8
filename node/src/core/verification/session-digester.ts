import type { EventOf, Result, RunFacts, TaskEvent } from '../protocol/index.js'
import { CANONICAL_SCHEME, RunDigester } from './digester.js'

/**
 * Digests of a run that may be a session (R33): each of its cells is digested by itself, so that the result of cells 0..k is a prefix of
 * that of all, and can be fixed while the session goes on. Of a task without a session it says what a {@link RunDigester} says.
 */
export class SessionDigester {
  readonly #ended: { digester: RunDigester; result: Result }[] = []
  #current = new RunDigester()

  /** @throws TypeError where a blob was not put back; Error after {@link result} */
  add(event: TaskEvent): void {
    if (event.type !== 'session-cell-end') return this.#current.add(event)
    const done = { ...event, type: 'done' as const }
    this.#current.add(done)
    this.#ended.push({ digester: this.#current, result: this.#current.result(done) })
    this.#current = new RunDigester()
  }

  /** Cells of the session that have ended. */
  get cells(): number {
    return this.#ended.length
  }

  /** The result of the cells that have ended, and their exact digests. */
  prefix(taskKey: Uint8Array): { result: Result; raw: RunFacts['raw'] } {
    const last = this.#ended.at(-1)?.result
    const end = { outcome: last?.outcome ?? ('ok' as const), exitCode: last?.exitCode ?? null }
    return {
      result: combine(
        this.#ended.map(({ result }) => result),
        end
      ),
      raw: this.#raw(taskKey)
    }
  }

  result(done: EventOf<'done'>): Result {
    const results = [...this.#ended.map(({ result }) => result), this.#current.result(done)]
    return combine(results, done)
  }

  /** Exact digests per cell, salted with the task key. @throws Error before {@link result} */
  raw(taskKey: Uint8Array): RunFacts['raw'] {
    return [...this.#raw(taskKey), ...this.#current.raw(taskKey)]
  }

  #raw(taskKey: Uint8Array): RunFacts['raw'] {
    return this.#ended.flatMap(({ digester }) => digester.raw(taskKey))
  }
}

const combine = (results: Result[], { outcome, exitCode }: Pick<Result, 'outcome' | 'exitCode'>): Result => ({
  v: 1,
  scheme: CANONICAL_SCHEME,
  outcome,
  exitCode,
  cells: results.flatMap(({ cells }) => cells),
  values: results.flatMap(({ values }) => values),
  files: results.flatMap(({ files }) => files)
})
