import assert from 'node:assert/strict'
import { Company, turnOf, type AwarenessLike } from '../../src/run/company.js'
import type { CellState } from '../../src/outputs/index.js'

/** A shared notebook's list of pages, whose own page is 1. */
class Awareness implements AwarenessLike {
  readonly clientID = 1
  readonly #listeners = new Set<(change: { added: number[]; removed: number[] }) => void>()

  constructor(private readonly pages: number[]) {}

  getStates(): ReadonlyMap<number, unknown> {
    return new Map(this.pages.map(page => [page, {}]))
  }

  on(_: 'change', listener: (change: { added: number[]; removed: number[] }) => void): void {
    this.#listeners.add(listener)
  }

  off(_: 'change', listener: (change: { added: number[]; removed: number[] }) => void): void {
    this.#listeners.delete(listener)
  }

  leave(page: number): void {
    this.pages.splice(this.pages.indexOf(page), 1)
    for (const listener of this.#listeners) listener({ added: [], removed: [page] })
  }

  /** A cursor moves. */
  move(): void {
    for (const listener of this.#listeners) listener({ added: [], removed: [] })
  }
}

const shared = (...pages: number[]): Company => new Company(new Awareness([1, ...pages]), 'alone')
const turn = (
  company: Company,
  remembered: { owner: string; state: CellState } | null,
  rest: { locked?: boolean; over?: boolean } = {}
) => turnOf({ company, remembered, locked: false, over: false, ...rest })

describe('run: who writes the outputs of a run', () => {
  it('a page that has the notebook for itself does, whatever its cells say', () => {
    const alone = new Company(null, 'alone')
    assert.equal(alone.me, 'alone')
    assert.equal(alone.has('2'), false)
    assert.equal(turn(alone, { owner: 'other', state: 'settled' }), 'write')
    assert.equal(turn(alone, null), 'write')
  })

  it('in a shared notebook the page that began does, and another once that one is gone', () => {
    assert.equal(turn(shared(), { owner: '1', state: 'running' }), 'write')
    assert.equal(turn(shared(2), { owner: '2', state: 'running' }), 'wait')
    assert.equal(turn(shared(), { owner: '2', state: 'running' }), 'write')
    assert.equal(turn(shared(), { owner: '2', state: 'received' }), 'write')
  })

  it('a page of the same browser need not wait to hear of the other’s end while the run goes on', () => {
    assert.equal(turn(shared(2), { owner: '2', state: 'running' }, { locked: true }), 'write')
    // It may be over there, with the last word on its way here.
    assert.equal(turn(shared(2), { owner: '2', state: 'running' }, { locked: true, over: true }), 'wait')
    assert.equal(turn(shared(), { owner: '2', state: 'running' }, { locked: true, over: true }), 'write')
  })

  it('nobody writes again what has its last word, or what belongs to another run by now', () => {
    for (const state of ['settled', 'failed', 'cancelled'] as const)
      assert.equal(turn(shared(), { owner: '2', state }), 'leave')
    assert.equal(turn(shared(), null), 'leave')
  })

  it('is told who comes and goes, until it listens no more', () => {
    const awareness = new Awareness([1, 2, 3])
    const company = new Company(awareness, 'alone')
    const stop = new AbortController()
    let told = 0
    company.watch(() => told++, stop.signal)
    awareness.move()
    awareness.leave(2)
    assert.deepEqual([told, company.has('2'), company.has('3')], [1, false, true])
    stop.abort()
    awareness.leave(3)
    assert.equal(told, 1)
  })
})
