import assert from 'node:assert/strict'
import {
  TaskFollower,
  TaskReader,
  type Live,
  type ProofVerdict,
  type TaskListener,
  type TaskPhase
} from '@pekka/node/client'
import { PekkaError, type LogEntry, type TaskItem, type TaskView } from '@pekka/node/protocol'
import { createParties, primitives, printed, sealRun, settledView, type Parties } from '../../support/sealed-run.js'

/** Stands where the socket does: hands the follower what a bridge would, in the order the test wants. */
async function follow(
  parties: Parties,
  resubmit: (code: string) => Promise<boolean> = async () => false,
  judge: () => Promise<ProofVerdict> = async () => 'open'
) {
  const reader = new TaskReader(
    { primitives, blob: () => Promise.reject(new Error('no blobs here')) },
    {
      network: parties.network,
      task: parties.task,
      readKey: parties.readKey,
      taskKey: parties.taskKey,
      agents: new Map()
    }
  )
  let listener: TaskListener | undefined
  const live = { follow: (_: Uint8Array, given: TaskListener) => ((listener = given), () => undefined) }
  const phases: TaskPhase['phase'][] = []
  const calls: string[] = []
  const follower = new TaskFollower(
    // Only `follow` of the connection is used.
    { live: live as unknown as Live, reader, resubmit, judge },
    parties.task,
    {
      update: ({ phase }) => {
        if (phases.at(-1) !== phase.phase) phases.push(phase.phase)
      },
      superseded: attempt => calls.push(`superseded ${attempt}`),
      reset: attempt => calls.push(`reset ${attempt}`)
    }
  )
  follower.start()
  assert.ok(listener)
  return { follower, listener, phases, calls }
}

const itemOf = (view: TaskView | null, more: Partial<TaskItem> = {}): TaskItem => ({
  task: view?.task ?? new Uint8Array(32),
  bridge: 'on-ledger',
  code: null,
  submittedAt: 1,
  view,
  entries: 0,
  note: new Uint8Array(),
  ...more
})

const last = (entries: LogEntry[]): [LogEntry[], LogEntry[]] => [entries.slice(0, -1), entries.slice(-1)]

describe('following a task', () => {
  it('ends whichever comes last: the output, its signed head alone, or the ledger’s word', async () => {
    const parties = await createParties()
    const run = await sealRun(parties, [printed('a')])
    const view = settledView(parties, run)
    const [frames, head] = last(run.entries)
    const steps: Record<string, (l: TaskListener) => unknown> = {
      frames: l => l.entries(frames),
      head: l => l.entries(head),
      item: l => l.item(itemOf(view))
    }
    for (const order of [
      ['frames', 'head', 'item'],
      ['item', 'frames', 'head'],
      ['frames', 'item', 'head']
    ]) {
      const { follower, listener } = await follow(parties)
      for (const [i, step] of order.entries()) {
        assert.notEqual(follower.current.phase.phase, 'settled', `too early in ${order.join(', ')} (${i})`)
        await steps[step]?.(listener)
      }
      assert.equal((await follower.ended).phase.phase, 'settled', order.join(', '))
    }
  })

  it('is at its end before the ledger’s proof is there, and says then what it shows', async () => {
    for (const verdict of ['proven', 'refuted'] as const) {
      const parties = await createParties()
      const run = await sealRun(parties, [printed('a')])
      const proof = Promise.withResolvers<ProofVerdict>()
      const { follower, listener } = await follow(parties, undefined, () => proof.promise)
      await listener.entries(run.entries)
      await listener.item(itemOf(settledView(parties, run)))
      assert.deepEqual((await follower.ended).phase, { phase: 'settled' })
      proof.resolve(verdict)
      await proof.promise
      assert.deepEqual(follower.current.phase, { phase: 'settled', proof: verdict })
    }
  })

  it('asks the ledger for the proof of a refund too, and says what it shows', async () => {
    for (const verdict of ['proven', 'refuted'] as const) {
      const parties = await createParties()
      const view = settledView(parties, await sealRun(parties, []))
      const proof = Promise.withResolvers<ProofVerdict>()
      const { follower, listener } = await follow(parties, undefined, () => proof.promise)
      const refunded = { attempts: [], paid: 0n, refunded: view.lock }
      await listener.item(itemOf({ ...view, ...refunded, state: 'refunded', reason: 'no-provider' }))
      assert.deepEqual((await follower.ended).phase, { phase: 'refunded', reason: 'no-provider' })
      proof.resolve(verdict)
      await proof.promise
      assert.deepEqual(follower.current.phase, { phase: 'refunded', reason: 'no-provider', proof: verdict })
    }
  })

  it('says that a result is not to be used when output and commit differ', async () => {
    const parties = await createParties()
    const run = await sealRun(parties, [printed('a')])
    const other = await sealRun(parties, [printed('b')])
    const { follower, listener } = await follow(parties)
    await listener.entries(run.entries)
    listener.item(itemOf(settledView(parties, other)))
    assert.equal((await follower.ended).phase.phase, 'mismatch')
  })

  it('announces another attempt before it clears what the first one showed (R14)', async () => {
    const parties = await createParties()
    const first = (await sealRun(parties, [printed('lost')])).entries.slice(0, 2)
    const second = await sealRun(parties, [printed('kept')], { attempt: 2, firstEntry: first.length })
    const { listener, calls } = await follow(parties)
    await listener.entries([...first, ...second.entries.slice(0, 1)])
    assert.deepEqual(calls, ['reset 1', 'superseded 2'])
    await listener.entries(second.entries.slice(1))
    assert.deepEqual(calls, ['reset 1', 'superseded 2', 'reset 2'])
  })

  it('signs anew when its place in the lane was taken, and shows a refusal that stays', async () => {
    const parties = await createParties()
    const codes: string[] = []
    const { follower, listener } = await follow(parties, async code => (codes.push(code), code === 'LANE_SEQUENCE'))
    listener.item(itemOf(null, { bridge: 'refused', code: 'LANE_SEQUENCE' }))
    await new Promise(resolve => setImmediate(resolve))
    assert.notEqual(follower.current.phase.phase, 'refused')
    listener.item(itemOf(null, { bridge: 'refused', code: 'FUNDS_MISSING' }))
    assert.deepEqual((await follower.ended).phase, { phase: 'refused', code: 'FUNDS_MISSING' })
    assert.deepEqual(codes, ['LANE_SEQUENCE', 'FUNDS_MISSING'])
  })

  it('tells a refund with its reason, also when the task is closed already', async () => {
    const parties = await createParties()
    const view = settledView(parties, await sealRun(parties, []))
    const { follower, listener } = await follow(parties)
    listener.item(
      itemOf({ ...view, state: 'closed', reason: 'no-provider', attempts: [], paid: 0n, refunded: view.lock })
    )
    assert.deepEqual((await follower.ended).phase, { phase: 'refunded', reason: 'no-provider' })
  })

  it('gives up on what the bridge refuses to show', async () => {
    const { follower, listener } = await follow(await createParties())
    listener.failed(new PekkaError('TASK_UNKNOWN'))
    await assert.rejects(follower.ended, { code: 'TASK_UNKNOWN' })
  })
})
