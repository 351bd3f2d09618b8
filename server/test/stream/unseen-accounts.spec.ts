import assert from 'node:assert/strict'
import { setImmediate as turn } from 'node:timers/promises'
import { toHex, type AccountView } from '@pekka/node/protocol'
import { RECHECKS } from '../../src/stream/constants.js'
import { UnseenAccounts } from '../../src/stream/unseen-accounts.js'

// Which tokens end by it is told elsewhere.
const viewOf = (account: Uint8Array): AccountView => ({ account }) as unknown as AccountView

describe('accounts that may have changed unseen', () => {
  const many = Array.from({ length: 40 }, (_, i) => new Uint8Array(32).fill(i))

  it('are looked at by a few readers, each until it could be read, and none once the bridge stops', async () => {
    // How often each still fails; more often than it is asked for.
    const failing = new Map(many.slice(0, 2).map(account => [toHex(account), 3]))
    const checked = new Set<string>()
    const all = Promise.withResolvers<void>()
    let [reads, most, under] = [0, 0, 0]
    const unseen = new UnseenAccounts({
      ledger: {
        account: async account => {
          reads++
          most = Math.max(most, ++under)
          await turn()
          under--
          const failures = failing.get(toHex(account)) ?? 0
          failing.set(toHex(account), failures - 1)
          if (failures > 0) throw new Error('the ledger does not answer')
          return viewOf(account)
        }
      },
      tokens: {
        recheck: ({ account }) => {
          if (checked.add(toHex(account)).size === many.length) all.resolve()
        }
      },
      log: { debug: () => undefined }
    })
    unseen.look(many)
    // The ledger was lost again meanwhile: no more readers come of it.
    unseen.look(many)
    await all.promise
    assert.equal(most, RECHECKS)
    unseen.stop()
    const before = reads
    unseen.look(many)
    assert.equal(reads, before)
  })
})
