/** Writes frames as fast as it can and says how many entries were written, until it is killed. */
import { randomBytes } from 'node:crypto'
import { fromHex } from '@pekka/node/protocol'
import { createEventLog } from '../../src/eventlog/index.js'

const [folder = ''] = process.argv.slice(2)
const index = { get: async () => undefined, put: async () => undefined, del: async () => undefined }
const logs = await createEventLog({ index }, folder)
const task = fromHex('00'.repeat(32))
const zero = new Uint8Array(32)
const header = {
  v: 1 as const,
  network: zero,
  task,
  attempt: 1,
  run: 1,
  provider: zero,
  runKey: zero,
  startedAt: 0,
  key: zero,
  signature: new Uint8Array(64)
}
const { log } = await logs.acquire(task)
await log.appendRun(header)
for (;;) {
  const count = log.run(header)?.count ?? 0
  await log.appendFrames(
    header,
    count,
    Array.from({ length: 20 }, () => new Uint8Array(randomBytes(3000)))
  )
  process.send?.(log.end)
}
