import assert from 'node:assert/strict'
import { PekkaError } from '@pekka/node/protocol'
import { Committer, type CommitterComponents } from '../../../src/agents/provider/attempt/committer.js'
import type { RunRecord } from '../../../src/agents/provider/output/run-store.js'

const stopping = new AbortController()

/** What a committer needs of a finished run. */
const finished = (): RunRecord =>
  ({
    task: new Uint8Array(32),
    attempt: 1,
    ledger: 'open',
    finished: { claim: { usage: { wallMs: 5, cpuMs: 1 } } }
  }) as unknown as RunRecord

/** A committer whose ledger answers so, in turn. */
function committer(answers: (PekkaError | { status: 'applied' | 'failed'; code: string })[]) {
  const kept: RunRecord['ledger'][] = []
  let sent = 0
  const send = () => {
    const answer = answers[sent++] ?? new Error('asked too often')
    return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer)
  }
  const components = {
    lane: { send },
    store: { put: ({ ledger }: RunRecord) => Promise.resolve(void kept.push(ledger)) },
    ledgerNow: () => 0,
    stopping: stopping.signal,
    log: { info: () => undefined, warn: () => undefined }
  } as unknown as CommitterComponents
  return { committer: new Committer(components), kept, sent: () => sent }
}

describe('committing a finished run', () => {
  it('tries again while the ledger takes no more: nobody would be paid for what was refused once', async () => {
    const waits = ['RATE_LIMITED', 'BANDWIDTH_SPENT'] as const
    // Each waits, so all at once.
    const committers = waits.map(code =>
      committer([new PekkaError(code, { seconds: 1, units: 1 }), { status: 'applied', code: '' }])
    )
    await Promise.all(committers.map(one => one.committer.commit(finished(), 10, () => null)))
    for (const one of committers) assert.deepEqual([one.sent(), one.kept], [2, ['committed']])
  }).timeout(10_000)

  it('takes what the ledger says of the commit itself for final', async () => {
    const one = committer([new PekkaError('TASK_STATE', { state: 'settled', body: 'commit' })])
    await one.committer.commit(finished(), 10, () => null)
    assert.deepEqual([one.sent(), one.kept], [1, ['lost']])
  })
})
