import assert from 'node:assert/strict'
import { CAUSES, RunOutputs, compareRuns, type Cause, type Verdict } from '@pekka/node/verification'
import type { TaskEvent } from '@pekka/node/protocol'
import { pngFile } from './png-file.js'

/** What two runs of one cell put out, and what is to be said about it. */
interface Row {
  name: string
  source: string
  out: [string, string]
  verdict: Verdict
  cause: Cause | null
  entropy?: boolean
}

const ROWS: Row[] = [
  { name: 'the same', source: 'print(1)', out: ['1\n', '1\n'], verdict: 'exact', cause: null },
  {
    name: 'an address',
    source: 'print(f)',
    out: ['<function f at 0x7f12a4b0c1d0>', '<function f at 0x7f99999991d0>'],
    verdict: 'canonical',
    cause: 'address'
  },
  {
    name: 'a bare id()',
    source: 'print(id(object()))',
    out: ['139712034', '140112038'],
    verdict: 'different',
    cause: 'address'
  },
  {
    name: 'a duration',
    source: 'fit()',
    out: ['took 0.5123 s', 'took 0.6 s'],
    verdict: 'different',
    cause: 'clock'
  },
  {
    name: 'a date',
    source: 'print(report)',
    out: ['made 2026-01-01 10:11:12', 'made 2026-01-01 10:11:15'],
    verdict: 'different',
    cause: 'clock'
  },
  {
    name: 'a time without a unit',
    source: 'import time; print(time.time())',
    out: ['1700000000.12', '1700000003.99'],
    verdict: 'different',
    cause: 'clock'
  },
  {
    name: 'last digits',
    source: 'import numpy as np; print(np.linalg.det(a))',
    out: ['-2.0000000000000004', '-1.9999999999999996'],
    verdict: 'close',
    cause: 'cpu-path'
  },
  {
    name: 'numbers of an array laid out in other columns',
    source: 'print(np.exp(x))',
    out: ['[1.00000000e+00 2.718281828459045e+00]', '[1.00000000e+00  2.7182818284590446e+00]'],
    verdict: 'close',
    cause: 'cpu-path'
  },
  {
    name: 'a result far off by an iteration',
    source: 'from sklearn.linear_model import LogisticRegression\nprint(model.coef_)',
    out: ['[0.12 0.5]', '[0.13 0.6]'],
    verdict: 'different',
    cause: 'unstable'
  },
  {
    name: 'a count that differs by one',
    source: 'import numpy as np\nprint(n_iter)',
    out: ['101', '102'],
    verdict: 'different',
    cause: 'unstable'
  },
  {
    name: 'an unseeded generator that no seed reaches',
    source: 'import secrets; print(secrets.randbelow(10**6))',
    out: ['1234', '99'],
    verdict: 'different',
    cause: 'unseeded'
  },
  {
    name: 'an unseeded generator, where real entropy was wished',
    source: 'import numpy as np; print(np.random.rand())',
    out: ['0.1', '0.9'],
    verdict: 'different',
    cause: 'unseeded',
    entropy: true
  },
  {
    name: 'the order of a set',
    source: 'print({A(), B()})',
    out: ['{red, green, blue}', '{blue, red, green}'],
    verdict: 'different',
    cause: 'set-order'
  },
  {
    name: 'the order of files',
    source: 'import os\nprint(os.listdir("."))',
    out: ["['a', 'b']", "['b', 'a']"],
    verdict: 'different',
    cause: 'file-order'
  },
  {
    name: 'the order of threads',
    source: 'from concurrent.futures import as_completed',
    out: ['1\n2\n3\n', '3\n1\n2\n'],
    verdict: 'different',
    cause: 'threads'
  },
  {
    name: 'the machine',
    source: 'import os; print(os.getpid())',
    out: ['17', '23'],
    verdict: 'different',
    cause: 'machine'
  },
  {
    name: 'progress',
    source: 'for i in tqdm(x): ...',
    out: ['1%\r100%\n', '50%\r100%\n'],
    verdict: 'canonical',
    cause: 'progress'
  },
  { name: 'nothing to go by', source: 'print(x)', out: ['red', 'green'], verdict: 'different', cause: 'unknown' }
]

const t = 0
const done = (exitCode = 0): TaskEvent => ({
  type: 'done',
  outcome: exitCode === 0 ? 'ok' : 'user',
  reason: exitCode === 0 ? 'completed' : 'exit-code',
  detail: {},
  exitCode,
  usage: { wallMs: 1, cpuMs: 1, maxMemoryBytes: 0, outputBytes: 0 },
  t
})
function outputs(events: TaskEvent[], end = done()): RunOutputs {
  const kept = new RunOutputs()
  for (const event of [...events, end]) kept.add(event)
  return kept
}
const stream = (cell: string, text: string, name: 'stdout' | 'stderr' = 'stdout'): TaskEvent => ({
  type: 'stream',
  cell,
  name,
  text,
  t
})
const picture = (file: Buffer): TaskEvent => ({
  type: 'display_data',
  cell: 'a',
  data: { 'image/png': file.toString('base64') },
  metadata: {},
  t
})

describe('comparing two runs', () => {
  for (const { name, source, out, verdict, cause, entropy = false } of ROWS) {
    it(`says of ${name}: ${verdict}${cause === null ? '' : `, ${cause}`}`, () => {
      const [a, b] = out.map(text => outputs([stream('a', text)])) as [RunOutputs, RunOutputs]
      const compared = compareRuns(a, b, { sources: new Map([['a', source]]), entropy })
      assert.deepEqual([compared.verdict, compared.cells[0]?.cause], [verdict, cause], JSON.stringify(compared))
    })
  }

  it('says of pictures whether the pixels, only the remarks, or a breath of the pixels differ', () => {
    const of = (b: Buffer) => {
      const sources = new Map([['a', 'plt.plot(x)']])
      return compareRuns(outputs([picture(pngFile({}))]), outputs([picture(b)]), { sources, entropy: false }).cells[0]
    }
    assert.equal(of(pngFile({ text: 'Creation Time\0today' }))?.cause, 'image-metadata')
    assert.equal(of(pngFile({ change: true }))?.verdict, 'different')
    const rows = Array.from({ length: 17 }, () => Buffer.alloc(31 * 4, 255))
    assert.equal(of(pngFile({ rows }))?.verdict, 'different')
  })

  it('blames the cell that began it', () => {
    const run = (x: string, y: string) => outputs([stream('a', x), stream('b', y)])
    const sources = new Map([
      ['a', 'import time; x = time.time(); print(x)'],
      ['b', 'import math; print(math.sqrt(x))']
    ])
    const { cells } = compareRuns(run('17.1', '4.1'), run('99.2', '9.9'), { sources, entropy: false })
    assert.deepEqual(
      cells.map(({ cause }) => cause),
      ['clock', 'earlier-cell']
    )
    const apart = new Map([...sources, ['b', 'import numpy as np; print(np.linalg.solve(h, y))']])
    const other = compareRuns(run('17.1', '4.1'), run('99.2', '9.9'), { sources: apart, entropy: false })
    assert.equal(other.cells[1]?.cause, 'unstable')
  })

  it('says what of stderr differs, without counting it', () => {
    const sources = new Map([['a', '']])
    const { verdict, cells } = compareRuns(
      outputs([stream('a', 'warning 1', 'stderr')]),
      outputs([stream('a', 'other', 'stderr')]),
      { sources, entropy: false }
    )
    assert.deepEqual([verdict, cells[0]?.cause], ['canonical', 'stderr'])
  })

  it('says where one run ended otherwise, or had more outputs', () => {
    const sources = new Map([['a', 'x']])
    const ended = compareRuns(outputs([stream('a', '1')]), outputs([stream('a', '1')], done(3)), {
      sources,
      entropy: false
    })
    assert.deepEqual([ended.verdict, ended.cells[0]?.cause], ['different', 'ended'])
    const more = compareRuns(outputs([picture(pngFile({}))]), outputs([]), { sources, entropy: false })
    assert.equal(more.verdict, 'different')
  })

  it('has for every cause a sentence that ends', () => {
    for (const sentence of Object.values(CAUSES)) assert.match(sentence, /^[A-Z].*\.$/)
  })
})
