/** Child of the kill test: writes commits as fast as it can and says each one's index once it is acknowledged; forgets old ones where told how many stay. */
import { createLedgerStore } from '@pekka/node/host/storage'
import { bytes, batch } from './conformance.js'

const [, , folder, keeps = '0'] = process.argv
const kept = Number(keeps)
if (folder === undefined) throw new TypeError('usage: writer-process FOLDER [KEPT-COMMITS]')
const store = createLedgerStore({ folder })
await store.start()
if ((await store.genesis()) === null) await store.create(bytes(1), [])
process.send?.({ last: store.last() })
for (;;) {
  const index = store.last() + 1
  // Two rows that belong together, and one that is put in one commit and deleted in the next.
  const value = new Uint8Array(new BigUint64Array([BigInt(index)]).buffer)
  const rows = [
    { table: 'pair', key: 'left', value },
    { table: 'pair', key: 'right', value },
    { table: 'odd', key: 'odd', value: index % 2 === 1 ? value : null }
  ]
  await store.write(batch(index, { rows, commit: bytes(index, 40_000), accounts: [bytes(index)] }))
  const before = index - kept + 1
  if (kept > 0 && before > (await store.first())) {
    const gone = Array.from({ length: before - (await store.first()) }, (_, i) => before - 1 - i)
    // Bytes of indices begin anew after 256: what is newer must not go with what is older.
    const transactions = gone.flatMap(old => [bytes(old * 2), bytes(old * 2 + 1)])
    const changes = gone.map(old => ({ account: bytes(old), index: old }))
    await store.forget({
      before,
      transactions,
      changes,
      closedTasks: [],
      beside: [{ key: 'first', value: bytes(before) }]
    })
  }
  process.send?.({ written: index })
}
