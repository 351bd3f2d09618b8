import assert from 'node:assert/strict'
import fc from 'fast-check'
import { FairQueue, MAX_PENDING, MAX_PENDING_PER_LANE, type Lane, type Waiting } from '@pekka/node/consensus'

const waiting = (account: string, change: Partial<Waiting> = {}): Waiting => ({
  account,
  lane: `${account}/0`,
  bucket: 0,
  sequence: 0,
  bytes: 500,
  ...change
})
const inOrder = (lane: Lane<Waiting>, taken: number): Waiting | null => lane[taken] ?? null
const choose = (queue: FairQueue<Waiting>, weight = Infinity, count = Infinity): Waiting[] =>
  queue.choose({ weight, count }, ({ bytes }) => bytes, inOrder)
/** Takes as a commit does: what is chosen goes, and its account has had its turn. */
function take(queue: FairQueue<Waiting>, weight = Infinity, count = Infinity): Waiting[] {
  const chosen = choose(queue, weight, count)
  for (const one of chosen) {
    queue.serve(one)
    queue.remove(one)
  }
  return chosen
}
const names = (chosen: readonly Waiting[]): string[] => chosen.map(({ account }) => account)

/** Fills a bucket as far as it goes, from many accounts. */
function flood(queue: FairQueue<Waiting>, bucket = 0): number {
  let added = 0
  for (let i = 0; queue.add(waiting(`dust ${i} in ${bucket}`, { bucket })); i++) added += 1
  return added
}

describe('consensus: the order in which transactions are taken', () => {
  it('accounts of a bucket take turns, and so do the lanes of an account', () => {
    const queue = new FairQueue<Waiting>()
    for (let lane = 0; lane < 2; lane++) {
      for (let sequence = 0; sequence < 2; sequence++) queue.add(waiting('a', { lane: `a/${lane}`, sequence }))
    }
    queue.add(waiting('b'))
    const chosen = choose(queue).map(({ lane, sequence }) => `${lane}#${sequence}`)
    assert.deepEqual(chosen, ['a/0#0', 'b/0#0', 'a/1#0', 'a/0#1', 'a/1#1'])
  })

  it('who was served longest ago comes first; who was never served counts as served a while ago', () => {
    const queue = new FairQueue<Waiting>()
    for (const name of ['a', 'b', 'c']) queue.add(waiting(name))
    assert.deepEqual(names(take(queue)), ['a', 'b', 'c'])
    for (const name of ['c', 'b', 'new', 'a']) queue.add(waiting(name))
    assert.deepEqual(names(choose(queue)), ['new', 'a', 'b', 'c'])
    // Newcomers without end don't come before everyone for ever.
    for (let i = 0; i < 1_100; i++) {
      queue.add(waiting(`x${i}`, { bucket: 3 }))
      take(queue, 1, 1)
    }
    queue.add(waiting('newer'))
    queue.add(waiting('a'))
    assert.ok(names(choose(queue)).indexOf('newer') >= 0)
  })

  it('dust without a bond has a twentieth of what is taken while a bonded account has enough waiting', () => {
    const queue = new FairQueue<Waiting>()
    flood(queue)
    for (let lane = 0; lane < 30; lane++) {
      for (let sequence = 0; sequence < 10; sequence++) {
        queue.add(waiting('lab', { bucket: 8, lane: `lab/${lane}`, sequence, bytes: 4_000 }))
      }
    }
    const chosen = choose(queue, 1 << 20)
    const dust = chosen.filter(({ bucket }) => bucket === 0).reduce((sum, { bytes }) => sum + bytes, 0)
    const all = chosen.reduce((sum, { bytes }) => sum + bytes, 0)
    assert.ok(all > 1_000_000)
    assert.ok(dust > 0 && dust <= all * 0.06, `${dust} of ${all}`)
  })

  it('and never more than a quarter, so that what comes next finds room', () => {
    const queue = new FairQueue<Waiting>()
    flood(queue)
    assert.ok(choose(queue, 1 << 20).length * 500 <= 1 << 18)
  })

  it('bonded transactions are in the very next commit, however much dust waits and comes', () => {
    const queue = new FairQueue<Waiting>()
    flood(queue)
    for (let commit = 0; commit < 20; commit++) {
      const honest = waiting('lab', { bucket: 5, sequence: commit })
      assert.ok(queue.add(honest))
      assert.ok(take(queue, 100_000).includes(honest))
      flood(queue)
    }
  })

  it('and those of an account without a bond that sends little are in the next two, before dust that was served', () => {
    const queue = new FairQueue<Waiting>()
    // As many senders as fill five commits, and each of them sends again at once.
    const dust = Array.from({ length: 250 }, (_, i) => `dust ${i}`)
    const refill = (): void => dust.forEach(name => void queue.add(waiting(name, { sequence: 0 })))
    refill()
    for (let i = 0; i < 6; i++) {
      take(queue, 100_000)
      refill()
    }
    for (let round = 0; round < 20; round++) {
      const honest = waiting('student', { sequence: round })
      assert.ok(queue.add(honest))
      const commits = [take(queue, 100_000), take(queue, 100_000)]
      assert.ok(
        commits.some(commit => commit.includes(honest)),
        `round ${round}`
      )
      for (let i = 0; i < 5; i++) take(queue, 100_000)
      refill()
    }
  })

  it('is bounded in all, by bucket and by lane, and a full bucket locks out no other', () => {
    const queue = new FairQueue<Waiting>()
    for (let sequence = 0; sequence < MAX_PENDING_PER_LANE; sequence++) assert.ok(queue.add(waiting('a', { sequence })))
    assert.equal(queue.add(waiting('a', { sequence: 99 })), false)
    for (let bucket = 0; bucket < 16; bucket++) assert.ok(flood(queue, bucket) >= 250, `bucket ${bucket}`)
    assert.ok(queue.size <= MAX_PENDING)
    assert.equal(queue.add(waiting('b', { bucket: 3 })), false)
  })

  it('keeps what waits of an account together, whatever bucket it came for', () => {
    const queue = new FairQueue<Waiting>()
    const lane = [4, 3, 2, 1].map((bucket, sequence) => waiting('a', { bucket, sequence }))
    for (const one of lane) assert.ok(queue.add(one))
    queue.add(waiting('b', { bucket: 1 }))
    const chosen = take(queue)
    assert.deepEqual(
      chosen.filter(({ account }) => account === 'a'),
      lane
    )
    assert.equal(queue.size, 0)
  })

  it('lets all that waits of an account rise with what belongs higher, in its sequence', () => {
    const queue = new FairQueue<Waiting>()
    const dust = flood(queue)
    const [first, paid] = [0, 1].map(sequence => waiting('provider', { sequence, bucket: sequence }))
    // Some dust goes: the provider's first has come among the rest of it.
    take(queue, 5_000)
    assert.ok(first !== undefined && paid !== undefined && queue.add(first) && queue.add(paid))
    const before = queue.bytes
    assert.deepEqual(
      take(queue, 2_000).filter(({ account }) => account === 'provider'),
      [first, paid]
    )
    assert.ok(queue.bytes < before && queue.size < dust)
    while (queue.size > 0) take(queue)
    assert.equal(queue.bytes, 0)
  })

  it('one account does not fill its bucket: those who come after it find room', () => {
    const queue = new FairQueue<Waiting>()
    let greedy = 0
    for (let lane = 0; lane < 500; lane++) {
      for (let sequence = 0; sequence < 60; sequence++) {
        if (queue.add(waiting('greedy', { lane: `greedy/${lane}`, sequence }))) greedy += 1
      }
    }
    assert.ok(greedy < 400, `${greedy}`)
    for (let i = 0; i < 300; i++) assert.ok(queue.add(waiting(`other ${i}`)))
  })

  it('loses nothing, gives nothing twice, and keeps lanes in sequence, whatever comes', () => {
    const move = fc.record({
      account: fc.nat(5),
      lane: fc.nat(2),
      bucket: fc.nat(15),
      sequence: fc.nat(30),
      take: fc.nat(9)
    })
    fc.assert(
      fc.property(fc.array(move, { maxLength: 200 }), moves => {
        const queue = new FairQueue<Waiting>()
        const here = new Set<Waiting>()
        for (const { account, lane, bucket, sequence, take: takes } of moves) {
          const one = waiting(`${bucket}/${account}`, { bucket, sequence, lane: `${bucket}/${account}/${lane}` })
          if (queue.add(one)) here.add(one)
          if (takes > 0) continue
          const last = new Map<string, number>()
          for (const taken of take(queue, 5_000)) {
            assert.ok(here.delete(taken))
            assert.ok((last.get(taken.lane) ?? 0) <= taken.sequence)
            last.set(taken.lane, taken.sequence)
          }
          assert.equal(queue.size, here.size)
        }
        for (let size = Infinity; queue.size < size;) {
          size = queue.size
          for (const taken of take(queue)) assert.ok(here.delete(taken))
        }
        assert.equal(here.size, 0)
        assert.deepEqual([queue.size, queue.bytes], [0, 0])
      }),
      { numRuns: 100 }
    )
  })
})
