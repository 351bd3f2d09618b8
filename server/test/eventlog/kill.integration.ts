import assert from 'node:assert/strict'
import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chainOf, decodeCbor, fromHex, logEntrySchema, type RunHeader } from '@pekka/node/protocol'
import { bytesOf, createEventLog } from '../../src/eventlog/index.js'
import { tries } from '../../../node/test/support/effort.js'

const WRITER = new URL('./writer.ts', import.meta.url)

describe('event log under kill -9', function () {
  this.timeout(60_000)

  it('holds everything that was acknowledged, whole and in one chain, over many lives', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pekka-kill-'))
    try {
      let before = 0
      for (let life = 0; life < tries(4, 8); life++) {
        const child = fork(WRITER, [folder], { execArgv: ['--conditions=pekka-source', '--import=tsx'] })
        let acknowledged = before
        child.on('message', message => {
          if (typeof message === 'number') acknowledged = message
        })
        await once(child, 'message')
        await new Promise(resolve => setTimeout(resolve, 40 + 74 * life))
        const exit = once(child, 'exit')
        child.kill('SIGKILL')
        await exit
        const { end, frames, header, head } = await readAll(folder)
        assert.ok(end >= acknowledged, `${acknowledged} were acknowledged, ${end} are there`)
        assert.ok(acknowledged > before, 'the writer got on')
        const chain = chainOf(header, frames)
        assert.deepEqual(chain.head, head)
        before = end
      }
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })
})

async function readAll(folder: string) {
  const index = { get: async () => undefined, put: async () => undefined, del: async () => undefined }
  const logs = await createEventLog({ index }, folder)
  const task = fromHex('00'.repeat(32))
  try {
    return await logs.use(task, async log => {
      const frames: Uint8Array[] = []
      let header: RunHeader | null = null
      for (let n = 0; n < log.end;) {
        for (const raw of await log.read(n, 1 << 20)) {
          const entry = logEntrySchema.parse(decodeCbor(bytesOf(raw)))
          assert.equal(entry.n, n++)
          if (entry.kind === 'run') header = entry.header
          if (entry.kind === 'frame') frames.push(entry.sealed)
        }
      }
      if (header === null) throw new Error('no run')
      const head = log.run(header)?.head
      return { end: log.end, frames, header, head }
    })
  } finally {
    await logs.close()
  }
}
