import assert from 'node:assert/strict'
import { createSigner } from '@pekka/node/host/crypto'
import { equalBytes, PekkaError, type CommitView, type LedgerAccess } from '@pekka/node/protocol'
import { LedgerWatch } from '../../../src/agents/provider/ledger/ledger-watch.js'
import type { RunRecord } from '../../../src/agents/provider/output/run-store.js'
import { Provider, type ProviderComponents } from '../../../src/agents/provider/provider.js'
import { bytes, primitives } from './kept.js'

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

  it('passes a commit over that is too large for any message, and asks for its own tasks first, until that is answered', async () => {
    const asked: number[] = []
    const ledger = {
      time: async () => ({ index: asked.length === 0 ? 10 : 12, timestamp: 12 }),
      async *follow(after: number) {
        asked.push(after)
        if (after === 10) throw new PekkaError('LINK_MESSAGE_TOO_LARGE', { size: 17 << 20, max: 16 << 20 })
        yield { header: { index: after + 1, timestamp: 99 }, tasks: [] } as unknown as CommitView
        gone.resolve()
        await new Promise(() => {})
      }
    }
    const gone = Promise.withResolvers<void>()
    let missed = 0
    const watch = new LedgerWatch({
      // What else a ledger answers is asked of none here.
      ledger: ledger as unknown as LedgerAccess,
      onTask: () => {},
      onMissed: async () => {
        missed += 1
        if (missed === 1) throw new PekkaError('LEDGER_UNREACHABLE')
      },
      log: { warn: () => {} }
    })
    await watch.start()
    await gone.promise
    assert.deepEqual([asked, missed, watch.timestamp], [[10, 10, 12], 2, 99])
  })

  it('takes what its own runs have become from the ledger where commits were missed', async () => {
    const provider = bytes(5)
    const store = new Map<string, RunRecord>()
    const record = { task: bytes(2), attempt: 1, run: 1, delivered: true, ledger: 'committed' } as RunRecord
    store.set('one', record)
    const removed = Promise.withResolvers<void>()
    let state = 'settled'
    const view = () => ({ task: record.task, state, attempts: [], offer: { candidates: [{ provider }] } })
    let height = 10
    const ledger = {
      time: async () => ({ index: height, timestamp: 1 }),
      task: async (task: Uint8Array) => (equalBytes(task, record.task) ? view() : null),
      async *follow(after: number): AsyncGenerator<CommitView> {
        if (after === 10) {
          // In the commit that is too large.
          ;[state, height] = ['closed', 11]
          throw new PekkaError('LINK_MESSAGE_TOO_LARGE', { size: 17 << 20, max: 16 << 20 })
        }
        await new Promise(() => {})
      }
    }
    const nothing = async (): Promise<void> => {}
    const running = new Provider(
      // What of these is asked in this test, and nothing else.
      {
        ledger,
        primitives,
        signer: createSigner(bytes(9)),
        store: {
          list: async () => [...store.values()],
          ofTask: async () => [...store.values()],
          delete: async () => {
            store.clear()
            removed.resolve()
          },
          ...{ open: nothing, sweep: nothing, close: nothing }
        },
        asks: { start: nothing, withdraw: nothing },
        workshop: { stop: nothing },
        log: { info: () => {}, warn: () => {} }
      } as unknown as ProviderComponents,
      {
        ...{ network: bytes(1), provider, name: 'one', peer: bytes(3), bridges: [] },
        ...{ concurrency: 1, runtime: 'none', isolation: 1, drain: 1 }
      }
    )
    await running.start()
    await removed.promise
    assert.equal(store.size, 0)
  })
})
