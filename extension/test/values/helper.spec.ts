import assert from 'node:assert/strict'
import { exportValues, type SurveyRow } from '../../src/values/helper.js'
import type { Answer, KernelDoor } from '../../src/values/kernel.js'

const LARGE = 3 << 20

/** A kernel that has `big` and small values, and lets go of them when it is told. */
class TestKernel implements KernelDoor {
  readonly busy = false
  readonly calls: (readonly [string, ...unknown[]])[] = []
  /** Tokens that it holds values under. */
  readonly held = new Set<string>()
  refuses: string | null = null

  async call(name: string, args: readonly unknown[]): Promise<Answer> {
    this.calls.push([name, ...args])
    const [first] = args
    if (name === 'export') {
      const token = `t${this.calls.length}`
      this.held.add(token)
      const values = (first as string[]).map(value => {
        const size = value === 'big' ? LARGE : 2
        if (value === this.refuses) return { name: value, codec: null, python: null, size: 0, reason: 'It is open.' }
        return { name: value, codec: 'npy', python: null, size, reason: null }
      })
      return { json: { token, values } }
    }
    const token = String(first)
    if (name === 'release') this.held.delete(token)
    if (!this.held.has(token)) return { json: null }
    return { bytes: new Uint8Array(name === 'chunk' ? Number(args[3]) : 2 * (args[1] as string[]).length).fill(7) }
  }

  dispose(): void {}
}

const rows = (...names: string[]): SurveyRow[] =>
  names.map(name => ({
    ...{ name, by: null, needs: [], codec: 'pickle', size: 2, kind: 'thing', type: 'thing', reason: null },
    ...{ python: '3.12', secret: false }
  }))

describe('values: fetching them from the kernel', () => {
  it('reads each run’s own, and says what was written then, not what was seen before', async () => {
    const kernel = new TestKernel()
    const first = await exportValues(kernel, rows('big', 'a', 'b'))
    const second = await exportValues(kernel, rows('big'))
    assert.deepEqual(
      first.values.map(({ name, codec, python }) => [name, codec, python]),
      ['big', 'a', 'b'].map(name => [name, 'npy', null])
    )
    await second.release()
    const [big, a] = first.values
    assert.equal((await big?.source.read(0, LARGE))?.length, LARGE)
    assert.deepEqual(await a?.source.read(0, 2), new Uint8Array([7, 7]))
    await first.release()
    assert.equal(kernel.held.size, 0)
  })

  it('says so where the kernel has let go of one', async () => {
    const kernel = new TestKernel()
    const { values } = await exportValues(kernel, rows('big'))
    kernel.held.clear()
    await assert.rejects(async () => await values[0]?.source.read(0, LARGE), {
      code: 'INPUT_FILE_UNREADABLE',
      message: /big/
    })
  })

  it('has the kernel let go of all where one can’t be sent', async () => {
    const kernel = new TestKernel()
    kernel.refuses = 'b'
    await assert.rejects(exportValues(kernel, rows('big', 'b')), {
      code: 'INPUT_FILE_UNREADABLE',
      message: /It is open/
    })
    assert.equal(kernel.held.size, 0)
  })
})
