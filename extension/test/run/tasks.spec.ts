import assert from 'node:assert/strict'
import { Signal } from '@lumino/signaling'
import { PekkaError } from '@pekka/node/protocol'
import type { Connection } from '../../src/connection/index.js'
import { Tasks } from '../../src/run/tasks.js'

describe('run: the tasks of a browser', () => {
  it('follows and lists no task of another browser whose output a shared notebook asks for', async () => {
    const owner = {}
    let followed = 0
    const connection = {
      clientChanged: new Signal<object, unknown>(owner),
      changed: new Signal<object, unknown>(owner),
      client: {
        task: () => Promise.reject(new PekkaError('TASK_UNKNOWN')),
        follow: () => {
          followed++
          return Promise.reject(new PekkaError('TASK_UNKNOWN'))
        }
      }
    } as unknown as Connection // as much of one as asking for a task takes
    const tasks = new Tasks({ connection, now: () => 0 })
    await assert.rejects(tasks.values(new Uint8Array(32)), { code: 'TASK_UNKNOWN' })
    assert.equal(followed, 0)
    assert.deepEqual(tasks.all, [])
  })
})
