import assert from 'node:assert/strict'
import { encodePut, type Put } from '@pekka/node/host/runner'
import type { Codec } from '@pekka/node/protocol'
import { acceptHostile } from './hostile-values.js'
import { cellsCommand, needPackages, startRunner, WarmRunners } from './sandboxed-runner.js'

const json = (value: unknown): Uint8Array[] => [new TextEncoder().encode(JSON.stringify(value))]
const text = (value: string): Uint8Array[] => [new TextEncoder().encode(value)]

/** An array of zeros. */
function zeros(count: number): Uint8Array[] {
  const header = `{'descr': '<i8', 'fortran_order': False, 'shape': (${count},)}`
  return [
    Buffer.concat([Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0]), Buffer.from(header)]),
    Buffer.alloc(8 * count)
  ]
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

describe('runner: values and files', function () {
  this.timeout(120_000)
  const warm = new WarmRunners()
  before(function () {
    needPackages(this, ['numpy', 'pandas', 'pyarrow', 'PIL'])
  })
  after(async () => await warm.close())

  it('stand in place before the first cell; what can’t be is said, and the cell goes on', async () => {
    const { session, end } = warm.take()
    try {
      const value = (name: string, codec: Codec, pieces: Uint8Array[], python: string | null = null): Put => ({
        ...{ kind: 'value', name, codec, type: 'thing', python, pieces }
      })
      // Small ones share a record and a file there; a large one and a file between them keep the order.
      await session.put([
        { kind: 'file', path: 'data/x.csv', executable: false, pieces: text('1,2\n') },
        value('n', 'json', json([1, 2.5, { $t: 'tuple', v: [1] }])),
        value('f', 'source', text('def f(x):\n    return x * len(n)\n')),
        value('long', 'text', text('ab'.repeat(100_000))),
        value('array', 'npy', zeros(100_000)),
        value('gone', 'module', json({ module: 'nothere' })),
        value('old', 'pickle', text('x'), '2.7'),
        ...Array.from({ length: 1200 }, (_, index) => value(`v${index}`, 'json', json(index)))
      ])
      const all =
        'array[7] = 3; print(sum(globals()[f"v{k}"] == k for k in range(1200)), len(long), array.sum(), len(array))'
      const command = cellsCommand([`print(n, f(2), open("data/x.csv").read().strip())\n${all}`])
      const events = await collect(session.run(command))
      const shown = (name: string): string =>
        events.flatMap(event => (event.type === 'stream' && event.name === name ? [String(event.text)] : [])).join('')
      assert.equal(shown('stdout'), '[1, 2.5, (1,)] 6 1,2\n1200 200000 3 100000\n')
      assert.match(shown('stderr'), /`gone` didn't get here: thing needs the package nothere/)
      assert.match(shown('stderr'), /`old` didn't get here: .*Python 2\.7/)
      // What travelled there and wasn't changed doesn't come back.
      assert.equal(
        events.some(event => event.type === 'files'),
        false
      )
    } finally {
      await end()
    }
  })

  it('of the cell before never come back as this one’s, where a value breaks off what writes them', async () => {
    const { session, end } = warm.take()
    try {
      const valuesOf = async (source: string, names: string[]) => {
        const returns = { names, maxBytes: 1 << 20, totalBytes: 1 << 24 }
        const seen = await collect(session.run({ ...cellsCommand([source]), keep: true, returns }))
        return seen.flatMap(event =>
          event.type === 'values' ? event.values.map(({ name, codec }) => [name, codec]) : []
        )
      }
      const proxy = (error: string): string => `
class Proxy:
    @property
    def __class__(self): raise ${error}
p = Proxy()`
      assert.deepEqual(await valuesOf('x = 1', ['x']), [['x', 'json']])
      // What a value raises is its own loss; what ends the whole leaves nothing to send.
      assert.deepEqual(await valuesOf(`x = 2${proxy('RuntimeError')}`, ['p', 'x']), [
        ['p', null],
        ['x', 'json']
      ])
      assert.deepEqual(await valuesOf(`x = 3${proxy('KeyboardInterrupt')}`, ['p', 'x']), [])
      assert.deepEqual(await valuesOf('x = 4', ['x']), [['x', 'json']])
    } finally {
      await end()
    }
  })

  it('come back: values by safe codecs, files that are regular and new; links and objects stay', async () => {
    const { session, end } = warm.take()
    try {
      const source = `
import os, numpy as np, pandas as pd
df = pd.DataFrame({"a": [1, 2]})
z = np.arange(6).reshape(2, 3)[:, ::2]
loop = []
loop.append(loop)
class Odd:
    def __repr__(self): raise ValueError("no")
odd = Odd()
big = np.zeros(1_000_000)
wide = pd.DataFrame({"a": np.arange(20_000), "b": np.arange(20_000) / 2})
huge = pd.concat([wide] * 10)
os.makedirs("deep")
open("deep/out.txt", "w").write("hello")
os.symlink("/etc/passwd", "link")
os.mkfifo("pipe")`
      const names = ['df', 'z', 'loop', 'odd', 'big', 'wide', 'huge', 'np', 'nothing']
      const returns = { names, maxBytes: 1 << 20, totalBytes: 1 << 24 }
      const parts: { of: string; index: number; size: number }[] = []
      const command = { ...cellsCommand([source]), returns }
      const seen = await collect(
        session.run(
          command,
          undefined,
          async ({ of, index, bytes }) => void parts.push({ of, index, size: bytes.length })
        )
      )
      const values = seen.flatMap(event => (event.type === 'values' ? event.values : []))
      assert.deepEqual(
        values.map(({ name, codec }) => [name, codec]),
        [
          ['df', 'arrow'],
          ['z', 'npy'],
          ['loop', null],
          ['odd', null],
          ['big', null],
          ['wide', 'arrow'],
          ['huge', null]
        ]
      )
      assert.deepEqual(values.map(({ reason }) => reason)[2], 'it contains itself')
      assert.match(values[3]?.look ?? '', /ValueError in its own repr/)
      for (const at of [4, 6]) assert.match(values[at]?.reason ?? '', /^it takes \d+ bytes, more than 1048576$/)
      // A large table stands in a file of its own, of which all was sent.
      const wide = parts.filter(({ of, index }) => of === 'values' && index === 5)
      assert.deepEqual(
        wide.map(({ size }) => size),
        [values[5]?.size]
      )
      assert.ok((values[5]?.size ?? 0) > 320_000)
      const files = seen.flatMap(event => (event.type === 'files' ? event.files : []))
      assert.deepEqual(
        files.map(({ name, size }) => [name, size]),
        [['deep/out.txt', 5]]
      )
      assert.deepEqual(
        parts.filter(({ of }) => of === 'files'),
        [{ of: 'files', index: 0, size: 5 }]
      )
      assert.equal(parts.filter(({ of }) => of === 'values').length, 3)
    } finally {
      await end()
    }
  })

  it('refuse a path that leads out of the working directory', async () => {
    const runner = startRunner()
    try {
      await runner.session.put([{ kind: 'file', path: '../up', executable: false, pieces: text('x') }])
      await assert.rejects(collect(runner.session.run(cellsCommand(['1']))), { code: 'RUNNER_LOST' })
    } finally {
      await runner.end()
    }
  })

  it('cut large ones into records that say which is the last', async () => {
    const records = await collect(
      encodePut({ kind: 'file', path: 'a', executable: false, pieces: [new Uint8Array(9 << 20), new Uint8Array(1)] })
    )
    assert.equal(records.length, 4)
    assert.deepEqual(
      records.map(record => Buffer.from(record).includes('"last":true')),
      [false, false, false, true]
    )
  })

  it('from a machine are accepted or refused with a sentence, and never run', async function () {
    this.timeout(240_000)
    await acceptHostile(40)
  })
})
