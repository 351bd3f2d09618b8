import assert from 'node:assert/strict'
import { Travels, type TravelQuestion } from '../../src/values/index.js'

/** A kernel in which a cell runs and `sum` is a number; a subshell answers where it has them. */
class BusyKernel {
  readonly status = 'busy'
  readonly info = Promise.resolve({})
  readonly asked: string[] = []
  open = 0

  constructor(readonly supportsSubshells: boolean) {}

  requestCreateSubshell() {
    return { done: Promise.resolve({ content: { subshell_id: 'one' } }) }
  }

  clone() {
    this.open++
    return { requestExecute: (content: Content) => this.#answer(content), dispose: () => void this.open-- }
  }

  requestExecute(): never {
    return assert.fail('the busy kernel was asked')
  }

  #answer({ user_expressions: { pekka } }: Content) {
    this.asked.push(pekka)
    const described = { kind: 'int, 0', type: 'int', size: 1, codec: 'json', reason: null, python: null, secret: false }
    const values = [{ name: 'sum', by: null, needs: [], ...described }]
    const data = pekka.includes('.survey(')
      ? { 'application/vnd.pekka+json': JSON.stringify({ values, python: '3.11', more: 0 }) }
      : { 'text/plain': 'True' }
    return { done: Promise.resolve({ content: { status: 'ok', user_expressions: { pekka: { status: 'ok', data } } } }) }
  }
}
type Content = { user_expressions: { pekka: string } }

describe('values: Python’s own names while a cell runs', () => {
  const look = (kernel: BusyKernel) => {
    const nothing = () => assert.fail('it has no files')
    const travels = new Travels({ contents: { get: nothing }, folder: () => ({}), fetchRange: nothing } as never) // none is used
    return travels.look({
      ...{ notebook: 'a.ipynb', cells: [], names: [], numberOf: () => 1 },
      kernel: kernel as unknown as TravelQuestion['kernel'], // as much of it as is used
      needed: { missing: [], builtins: [{ name: 'sum', line: 3 }], run: [] }
    })
  }

  it('are looked at through a subshell, where a cell may have redefined them', async () => {
    const kernel = new BusyKernel(true)
    const { rows, busy } = await look(kernel)
    assert.deepEqual(
      rows.map(({ name, why, ticked }) => [name, why, ticked]),
      [['sum', 'Read in line 3', true]]
    )
    assert.equal(busy, false)
    assert.match(kernel.asked.at(-1) ?? '', /survey\(.*\[\].*sum/)
    assert.equal(kernel.open, 0)
  })

  it('are not waited for where the kernel has none', async () => {
    const { rows, busy } = await look(new BusyKernel(false))
    assert.deepEqual([rows, busy], [[], false])
  })
})
