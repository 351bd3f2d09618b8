import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hold, holder, holderOf, lives, tryHold } from '@pekka/node/setup/hold'

describe('a lock on a folder', () => {
  let folder: string
  let path: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-hold-'))
    path = join(folder, 'lock')
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  it('has one holder, who is named, and is free again when given back', async () => {
    const held = await tryHold(path, { address: 'here' })
    assert.ok(held)
    assert.equal(await tryHold(path), undefined)
    const named = await holderOf(path)
    assert.equal(named?.pid, process.pid)
    assert.equal(named?.address, 'here')
    await held.release()
    assert.equal(await holderOf(path), undefined)
    assert.deepEqual(await readdir(folder), [])
  })

  it('is taken over from a holder that was killed', async () => {
    const child = spawn('sleep', ['60'])
    await writeFile(path, JSON.stringify(holder(child.pid)))
    assert.equal(await tryHold(path), undefined)
    const gone = new Promise(resolve => child.once('exit', resolve))
    child.kill('SIGKILL')
    await gone
    assert.ok(await tryHold(path))
    assert.equal(JSON.parse(await readFile(path, 'utf8')).pid, process.pid)
  })

  it('is taken over from a holder that has ended and that nobody reaps', async () => {
    // The shell becomes a program that never asks after its children.
    const parent = spawn('sh', ['-c', 'sleep 60 & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
    try {
      const pid = await new Promise<number>(resolve =>
        parent.stdout.once('data', text => resolve(Number(String(text))))
      )
      const named = holder(pid)
      assert.ok(lives(named))
      await writeFile(path, JSON.stringify(named))
      // until then the shell itself would reap it
      while ((await readFile(`/proc/${parent.pid}/comm`, 'utf8')) !== 'sleep\n') await new Promise(setImmediate)
      process.kill(pid, 'SIGKILL')
      while (lives(named)) await new Promise(resolve => setTimeout(resolve, 5))
      assert.match(await readFile(`/proc/${pid}/stat`, 'utf8'), /\) Z /)
      assert.ok(await tryHold(path))
    } finally {
      parent.kill('SIGKILL')
    }
  })

  it("isn't held by a stranger who got the holder's number, nor by one from before a restart of the machine", () => {
    assert.equal(lives(holder()), true)
    assert.equal(lives({ ...holder(), started: '1' }), false)
    assert.equal(lives({ ...holder(), boot: 'another' }), false)
  })

  it('is taken over where its file is broken', async () => {
    await writeFile(path, '{"pid":')
    assert.ok(await tryHold(path))
  })

  it('is waited for, and the wait can be given up', async () => {
    const first = await tryHold(path)
    const told: number[] = []
    const second = hold(path, { waiting: pid => told.push(pid) })
    const stop = new AbortController()
    const third = hold(path, { signal: stop.signal })
    stop.abort(new Error('enough'))
    await assert.rejects(third, /enough/)
    await first?.release()
    assert.ok(await second)
    assert.deepEqual(told, [process.pid])
  })
})
