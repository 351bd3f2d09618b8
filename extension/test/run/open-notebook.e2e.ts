import assert from 'node:assert/strict'
import { browserBench } from '../outputs/browser.js'
import type * as Harness from './harness.js'

declare const notebooks: typeof Harness

describe('run: an open notebook, in a real browser', function () {
  this.timeout(60_000)
  const bench = browserBench('../run/harness.ts')

  it('puts the output of a deleted cell into a new one also where pages share the notebook', async () => {
    const result = await bench.page.evaluate(async () => {
      const shared = new notebooks.SharedNotebook(0xab, ['gone'])
      // Pages that share it are known from then on.
      await Promise.resolve()
      const lost = shared.notebook.hasLost(shared.task)
      const wholly = shared.notebook.insertOutput(shared.task)
      const memory = shared.memory('gone') as { task: string; cell: string } | undefined
      await wholly
      const followed = await Promise.race([shared.followed.then(() => true), wholly.then(() => false)])
      return { lost, followed, memory: [memory?.task, memory?.cell], shown: shared.notebook.cellRun('gone')?.kind }
    })
    assert.deepEqual(result, { lost: true, followed: true, memory: ['ab'.repeat(32), 'gone'], shown: 'task' })
  })

  it('takes over from another page only the cells that are still the run’s when its turn comes', async () => {
    const result = await bench.page.evaluate(async () => {
      const shared = new notebooks.SharedNotebook(0xcd)
      for (const id of ['a', 'b']) shared.add(id)
      shared.show()
      await Promise.resolve()
      let release = (): void => undefined
      const ended = new Promise<void>(resolve => (release = resolve))
      const taken = new Promise<void>(resolve => {
        void navigator.locks.request(`pekka:writer:${shared.task.id}`, () => {
          resolve()
          return ended
        })
      })
      await taken
      shared.notebook.resume()
      // It waits: the page that writes holds the lock.
      const isElsewhere = (): boolean => {
        const run = shared.notebook.cellRun('a')
        return run?.kind === 'task' && run.elsewhere
      }
      while (!isElsewhere()) await new Promise(resolve => shared.notebook.changed.connect(resolve))
      for (const cell of shared.model.cells) if (cell.id === 'b') cell.sharedModel.deleteMetadata('pekka')
      release()
      await shared.followed
      const owners = ['a', 'b'].map(id => (shared.memory(id) as { owner: string } | undefined)?.owner)
      return [owners[0] === String(shared.model.sharedModel.awareness.clientID), owners[1]]
    })
    assert.deepEqual(result, [true, undefined])
  })

  it('makes nothing of another browser’s kept machine when its values are asked for', async () => {
    const result = await bench.page.evaluate(async () => {
      const shared = new notebooks.SharedNotebook(0xef)
      shared.add('a', 3)
      let made = 0
      shared.kept = () => {
        made++
        return Promise.resolve(shared.task)
      }
      shared.asked = () => Promise.reject(new Error('the bridge knows no such task'))
      const [source] = shared.notebook.returnSources()
      const said = await source?.load().catch((error: unknown) => String(error))
      return { said, made }
    })
    assert.deepEqual(result, { said: 'Error: the bridge knows no such task', made: 0 })
  })
})
