import assert from 'node:assert/strict'
import { PekkaError } from '@pekka/node/protocol'
import type { TaskUpdate } from '@pekka/node/client'
import { tellClosed } from '../../../src/cli/commands/session.js'

describe('pekka session close', () => {
  it('says what the session cost before it waits for the receipt, which may not come', async () => {
    const said: string[] = []
    const context = { home: '/nowhere', say: (line: string) => void said.push(line) }
    const client = {
      receipt: async (): Promise<never> => {
        said.push('receipt')
        throw new PekkaError('LEDGER_UNREACHABLE')
      }
    }
    // What is read of it.
    const ended = { phase: { phase: 'settled' }, item: null, finished: null } as unknown as TaskUpdate
    const closing = tellClosed(context, client, new Uint8Array(32), ended)
    await assert.rejects(closing, { code: 'LEDGER_UNREACHABLE' })
    assert.match(said[0] ?? '', /^Closed\. .* credits, .* came back/)
    assert.deepEqual(said.slice(1), ['receipt'])
  })
})
