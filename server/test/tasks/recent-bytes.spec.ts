import assert from 'node:assert/strict'
import { RecentBytes } from '../../src/tasks/recent-bytes.js'

describe('bytes of what is on its way', () => {
  const bytes = (length: number): Uint8Array => new Uint8Array(length)

  it('are kept up to a bound, the newest longest', () => {
    const recent = new RecentBytes(100)
    for (const name of ['a', 'b', 'c']) recent.set(name, bytes(40))
    assert.deepEqual(
      ['a', 'b', 'c'].map(name => recent.get(name)?.length),
      [undefined, 40, 40]
    )
  })

  it('count once where they are replaced, and not where they are deleted', () => {
    const recent = new RecentBytes(100)
    for (let i = 0; i < 5; i++) recent.set('a', bytes(60))
    recent.set('b', bytes(60))
    recent.delete('b')
    recent.delete('b')
    recent.set('c', bytes(100))
    assert.equal(recent.get('a'), undefined)
    assert.equal(recent.get('c')?.length, 100)
  })

  it('are not kept where one is larger than all may be', () => {
    const recent = new RecentBytes(100)
    recent.set('a', bytes(101))
    assert.equal(recent.get('a'), undefined)
    recent.set('b', bytes(100))
    assert.equal(recent.get('b')?.length, 100)
  })
})
