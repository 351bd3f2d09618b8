import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import { GroupWriter, type WriteOperation } from '../../src/tasks/group-writer.js'

const put = (key: string): WriteOperation => ({ type: 'put', key, value: new Uint8Array([1]) })

/** A disk that fills up unseen: only who looks knows. */
class Disk {
  full = false
  #seen = false
  readonly written: string[] = []

  has = (): boolean => !this.#seen
  look = async (): Promise<void> => {
    this.#seen = this.full
  }
  batch = async (operations: WriteOperation[]): Promise<void> => {
    if (this.full) throw new Error('no space')
    this.written.push(...operations.map(({ key }) => key))
  }
}

describe('GroupWriter', () => {
  it('looks at the disk before it writes what nobody waits for, and keeps that in memory while it is full', async () => {
    const disk = new Disk()
    const failures: unknown[] = []
    const writer = new GroupWriter(disk, error => void failures.push(error), disk)
    disk.full = true
    writer.writeLazily([put('a')])
    while (disk.has()) await delay(5)
    await writer.settled()
    assert.deepEqual([failures, disk.written], [[], []])
    assert.ok(writer.peek('a'))

    disk.full = false
    while (disk.written.length === 0) await delay(20)
    assert.deepEqual(disk.written, ['a'])
    assert.equal(writer.peek('a'), undefined)
  })
})
