import assert from 'node:assert/strict'
import { PekkaError, type CommitView, type LedgerAccess } from '@pekka/node/protocol'
import { LedgerWatch } from '../../../src/agents/provider/ledger/ledger-watch.js'

describe('a provider that follows the ledger', () => {
  it('goes on with the present where what it missed is deleted', async () => {
    const asked: number[] = []
    let height = 10
    let arrived: (view: unknown) => void = () => {}
    const task = new Promise<unknown>(resolve => (arrived = resolve))
    const header = { index: 501, timestamp: 7_000 }
    const ledger = {
      time: async () => ({ index: height, timestamp: height }),
      async *follow(after: number) {
        asked.push(after)
        height = 500
        if (after < 500) throw new PekkaError('HISTORY_PRUNED', { what: `commit ${after + 1}`, first: 400 })
        // What it reads of a commit.
        yield { header, tasks: ['moved'] } as unknown as CommitView
        await new Promise(() => {})
      }
    }
    const warned: string[] = []
    const watch = new LedgerWatch({
      // What else a ledger answers is asked of none here.
      ledger: ledger as unknown as LedgerAccess,
      onTask: view => arrived(view),
      log: { warn: (_data, text) => warned.push(text) }
    })
    await watch.start()
    assert.equal(await task, 'moved')
    assert.deepEqual([asked, watch.timestamp], [[10, 500], 7_000])
    assert.match(warned.join(), /missed/)
  })
})
