import {
  ResultDigester,
  createHasher,
  deriveKey,
  keyInfo,
  taggedHash,
  utf8,
  type EventOf,
  type Result,
  type RunFacts,
  type TaskEvent
} from '../protocol/index.js'
import { canonicalValue } from './forms.js'
import { Replay, type RecordEvent, type ReplayedCell, type TextKeeper } from './replay.js'
import { canonicalText, LineCanoniser } from './text.js'

/** Scheme 2 of {@link Result}: canonical digests (R15). */
export const CANONICAL_SCHEME = 2

/** Canonical text, hashed as it comes. */
class TextDigest implements TextKeeper {
  readonly #hasher = createHasher()
  readonly #lines = new LineCanoniser(line => this.#hasher.update(utf8(line)))

  push(part: string | Uint8Array): void {
    this.#lines.push(part)
  }

  digest(): Uint8Array {
    this.#lines.end()
    return this.#hasher.digest()
  }
}

/**
 * Digests of a run (R15): feed every event in order, blobs resolved. Provider and client feed the same events and get the same digests.
 *
 * `result` has the canonical ones: what honest runs on one kind of processor share. `raw` has the exact ones (scheme 1), which belong to
 * this run; they stand in the manifest's run part, salted, because H(run) becomes public in a reveal and short outputs can be guessed.
 *
 * ```ts
 * const digester = new RunDigester()
 * for (const event of events) digester.add(event)
 * const result = digester.result(done)          // root(result) is what an audit compares
 * const raw = digester.raw(taskKey)             // equal where two runs of one task wrote the same bytes
 * ```
 */
export class RunDigester {
  readonly #exact = new ResultDigester()
  readonly #replay = new Replay<TextDigest, Uint8Array>({ text: () => new TextDigest(), record: digestOf })
  #results: { canonical: Result; exact: Result } | null = null

  /** @throws TypeError where a blob was not put back; Error after {@link result} */
  add(event: TaskEvent): void {
    if (this.#results !== null) throw new Error('the digests are taken already')
    this.#exact.add(event)
    this.#replay.add(event)
  }

  result(done: EventOf<'done'>): Result {
    return this.#finish(done).canonical
  }

  /** Exact digests per cell, salted with the task key. @throws Error before {@link result} */
  raw(taskKey: Uint8Array): RunFacts['raw'] {
    if (this.#results === null) throw new Error('raw digests follow the result')
    const salt = deriveKey(taskKey, keyInfo('pekka/raw/v1'))
    return this.#results.exact.cells.map(({ cell, digest }) => ({
      cell,
      digest: taggedHash('pekka/raw/v1', salt, utf8(cell), digest)
    }))
  }

  #finish(done: EventOf<'done'>) {
    if (this.#results !== null) return this.#results
    const exact = this.#exact.result(done)
    const digests = new Map(this.#replay.cells().map(cell => [cell.cell, digestOfCell(cell)]))
    const cells = exact.cells.map(cell => ({ ...cell, digest: digests.get(cell.cell) ?? cell.digest }))
    return (this.#results = { exact, canonical: { ...exact, scheme: CANONICAL_SCHEME, cells } })
  }
}

/** Of stderr only its presence counts: warnings name paths, lines and times (reproducibility.md §2.1). */
function digestOfCell({ streams, records, cut }: ReplayedCell<TextDigest, Uint8Array>): Uint8Array {
  const text = streams.get('stdout')?.digest() ?? new Uint8Array()
  const remarks = utf8([streams.has('stderr') ? 'stderr' : '', ...[...cut].sort()].join(' '))
  return taggedHash('pekka/canonical-cell/v1', text, remarks, ...records.map(({ value }) => value))
}

function digestOf(event: RecordEvent): Uint8Array {
  if (event.type === 'error') {
    const { ename, evalue } = event
    return taggedHash('pekka/canonical-error/v1', utf8(ename), utf8(canonicalText(evalue)))
  }
  // An updated display counts as the display it has become.
  const kind = event.type === 'execute_result' ? 'result' : 'display'
  const parts = Object.entries(event.data)
    .filter(([mime]) => mime !== '__proto__')
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .flatMap(([mime, value]) => [utf8(mime), canonicalValue(mime, value)])
  return taggedHash('pekka/canonical-display/v1', utf8(kind), ...parts)
}
