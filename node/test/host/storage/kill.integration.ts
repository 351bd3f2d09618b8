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

  for (const kept of [0, 8])
    it(`has every acknowledged commit, and none by half, however often it is killed${kept > 0 ? ', also while old ones are forgotten' : ''}`, async () => {
      let acknowledged = -1
      for (let round = 0; round < (kept === 0 ? ROUNDS : 2); round++) {
        const writer = fork(WRITER, [folder, String(kept)], { execArgv: ['--conditions=pekka-source', '--import=tsx'] })
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
        const first = await store.first()
        assert.ok(kept === 0 ? first === 0 : first > 0 && last - first <= kept, `${first} to ${last}`)
        for (let index = 0; index < first; index++) assert.equal(await store.commit(index), null)
        for (let index = first; index <= last; index++)
          assert.deepEqual(await store.commit(index), bytes(index, 40_000))
        if (kept > 0) {
          for (let index = first; index <= last; index++)
            assert.deepEqual(await store.locate(bytes(index * 2)), { index, position: 0 })
          // All of a step or nothing: the row beside says what the commits say.
          assert.deepEqual(await store.beside.get('first'), bytes(first))
          assert.equal(await store.locate(bytes((first - 1) * 2)), null)
          for await (const _ of store.changesOf(bytes(first - 1), last))
            assert.fail('an index row of a commit that is gone')
        }
        await store.stop()
        acknowledged = last
      }
    })
})
