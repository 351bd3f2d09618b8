import assert from 'node:assert/strict'
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createLedgerStore } from '@pekka/node/host/storage'
import { bytes } from './conformance.js'

const WRITER = new URL('writer-process.ts', import.meta.url)
const ROUNDS = 6

describe('ledger store: level under kill -9', function () {
  this.timeout(120_000)
  let folder = ''
  let child: ChildProcess | undefined
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-kill-'))
  })
  afterEach(async () => {
    child?.kill('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })

  it('has every acknowledged commit, and none by half, however often it is killed', async () => {
    let acknowledged = -1
    for (let round = 0; round < ROUNDS; round++) {
      const writer = fork(WRITER, [folder], { execArgv: ['--conditions=pekka-source', '--import=tsx'] })
      child = writer
      const goal = acknowledged + 25 + round * 10
      await new Promise<void>((resolve, reject) => {
        writer.once('exit', code => reject(new Error(`the writer ended with ${code}`)))
        writer.on('message', (message: { written?: number }) => {
          if (message.written === undefined) return
          acknowledged = message.written
          if (acknowledged >= goal) resolve()
        })
      })
      writer.removeAllListeners('exit')
      const ended = once(writer, 'exit')
      writer.kill('SIGKILL')
      await ended

      const store = createLedgerStore({ folder })
      await store.start()
      const last = store.last()
      assert.ok(last >= acknowledged, `commit ${acknowledged} was acknowledged, ${last} is the last`)
      const rows = new Map<string, bigint>()
      for await (const { table, key, value } of store.rows()) {
        rows.set(`${table}/${key}`, new DataView(value.buffer, value.byteOffset).getBigUint64(0, true))
      }
      assert.equal(rows.get('pair/left'), BigInt(last))
      assert.equal(rows.get('pair/right'), BigInt(last))
      assert.equal(rows.get('odd/odd'), last % 2 === 1 ? BigInt(last) : undefined)
      for (let index = 0; index <= last; index++) assert.deepEqual(await store.commit(index), bytes(index, 40_000))
      await store.stop()
      acknowledged = last
    }
  })
})
