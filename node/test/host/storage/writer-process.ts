/** Child of the kill test: writes commits as fast as it can and says each one's index once it is acknowledged. */
import { createLedgerStore } from '@pekka/node/host/storage'
import { bytes, batch } from './conformance.js'

const [, , folder] = process.argv
if (folder === undefined) throw new TypeError('usage: writer-process FOLDER')
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
  await store.write(batch(index, { rows, commit: bytes(index, 40_000) }))
  process.send?.({ written: index })
}
