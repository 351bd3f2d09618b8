import assert from 'node:assert/strict'
import { absentSentence, analyse, hintFor, neededCells, needsSentence, travelHints } from '../../src/scan/index.js'
import type { SourceCell } from '../../src/scan/index.js'

/** Cells with the ids '1', '2', … */
const notebook = (...sources: string[]): SourceCell[] => sources.map((source, i) => ({ id: String(i + 1), source }))

const missing = (cells: SourceCell[], ...selection: string[]): string =>
  neededCells(cells, selection)
    .missing.map(({ name, cell }) => `${name}<${cell ?? '?'}`)
    .join(' ')

const run = (cells: SourceCell[], ...selection: string[]): string => neededCells(cells, selection).run.join(' ')

describe('scan: needed cells', () => {
  it('finds defining cells and what those need in turn, in notebook order', () => {
    const cells = notebook(
      'import pandas as pd',
      'df = pd.DataFrame()',
      'other = 1',
      'model = train(df)',
      'model.predict(df)'
    )
    cells.splice(2, 0, { id: 'f', source: 'def train(x): return helper(x)\ndef helper(x): return pd.concat([x])' })
    assert.equal(missing(cells, '5'), 'model<4 df<2')
    assert.equal(run(cells, '5'), '1 2 f 4 5')
  })

  it('takes the last definition above, not one below or an earlier one', () => {
    const cells = notebook('x = 1', 'x = 2', 'print(x)', 'x = 3')
    assert.equal(missing(cells, '3'), 'x<2')
    assert.equal(run(cells, '3'), '2 3')
    assert.equal(missing(notebook('print(y)', 'y = 1'), '1'), 'y<?')
  })

  it('follows a chain of cells that read what they rebind', () => {
    assert.equal(run(notebook('n = 0', 'n += 1', 'n = n * 2', 'print(n)'), '4'), '1 2 3 4')
  })

  it('takes along cells that change the object in between, but not those that only show it', () => {
    const cells = notebook('m = Model()', 'm.fit(X)', 'm.summary()', 'm.rate = 3', 'print(m)')
    cells.unshift({ id: '0', source: 'X = []\nclass Model: pass' })
    assert.equal(run(cells, '5'), '0 1 2 4 5')
  })

  it("doesn't take a call of a module's function for a change of the module", () => {
    const cells = notebook('import matplotlib.pyplot as plt', 'plt.figure()', "plt.rcParams['x'] = 1", 'plt.plot([1])')
    assert.equal(run(cells, '4'), '1 3 4')
  })

  it('needs nothing where the selection defines the names itself, in its order', () => {
    const cells = notebook('a = 1', 'b = a', 'print(a, b)')
    assert.equal(missing(cells, '1', '2', '3'), '')
    assert.equal(missing(cells, '1', '3'), 'b<2')
    assert.equal(run(cells, '1', '3'), '1 2 3')
  })

  it('counts what functions read from anywhere in the selection', () => {
    const cells = notebook('def f(): return g()', 'def g(): return 1', 'f()')
    assert.equal(missing(cells, '1', '2', '3'), '')
    assert.equal(run(cells, '3'), '1 2 3')
    assert.equal(missing(cells, '3'), 'f<1')
  })

  it('sees a name that was deleted as missing', () => {
    assert.equal(missing(notebook('a = 1', 'del a', 'print(a)'), '1', '2', '3'), 'a<?')
    assert.equal(run(notebook('a = 1', 'del a', 'print(a)'), '3'), '3')
  })

  it('lets a star import above answer for names that no cell defines', () => {
    const cells = notebook('from pylab import *', 'x = linspace(0, 1)', 'plot(x)')
    assert.equal(missing(cells, '1', '2', '3'), '')
    assert.equal(missing(cells, '3'), 'plot<1 x<2')
    assert.equal(run(cells, '3'), '1 2 3')
  })

  it('scans a hundred cells after an edit of one without parsing the others again', () => {
    const cells = notebook(...Array.from({ length: 100 }, (_, i) => `v${i} = v${i - 1} + ${i}\n`.repeat(5)))
    assert.equal(neededCells(cells, ['100']).run.length, 100)
    const kept = cells.slice(0, 99).map(cell => analyse(cell.source))
    cells[99] = { id: '100', source: 'print(v98, v97)' }
    neededCells(cells, ['100'])
    cells.slice(0, 99).forEach((cell, i) => assert.equal(analyse(cell.source), kept[i]))
  })
})

describe('scan: sentences', () => {
  const cells = notebook('import pandas as pd', "df = pd.read_csv('data.csv')", '', '', 'model = 1', 'print(df, model)')
  const needed = neededCells(cells, ['6'])
  const context = { cells: [analyse('print(df)\nos.environ["X"]')], needed, numberOf: Number }

  it('asks about needed cells', () => {
    assert.equal(needsSentence(needed, 1, Number), 'This cell needs `df`, `model` from cells 2 and 5.')
    assert.equal(needsSentence(neededCells(cells, ['2']), 1, Number), 'This cell needs `pd` from cell 1.')
    assert.equal(needsSentence(neededCells(notebook('print(x)'), ['1']), 1, Number), undefined)
  })

  it('tells which variables stay behind; files have a sheet of their own', () => {
    assert.deepEqual(
      travelHints([analyse("open('new.txt', 'w')"), analyse("open('new.txt'); open('data.csv'); os.getenv('X')")]),
      ['X is not set there: nothing of your environment travels.']
    )
  })

  it('names files that are nowhere, and counts them where they are many', () => {
    assert.match(absentSentence(['a.csv']), /^a\.csv isn’t in this folder\. Unless the code makes it, put it beside/)
    assert.match(absentSentence(['a.csv', 'b.csv']), /^a\.csv and b\.csv aren’t in this folder\./)
    const many = Array.from({ length: 9 }, (_, i) => `${i}.csv`)
    assert.match(absentSentence(many), /^0\.csv, 1\.csv, 2\.csv, 3\.csv, 4\.csv, 5\.csv and 3 more aren’t/)
  })

  it('explains a remote error by the same words', () => {
    const hint = (ename: string, evalue: string): string | undefined => hintFor({ ename, evalue }, context)
    assert.equal(hint('NameError', "name 'df' is not defined"), 'This cell needs `df` from cell 2.')
    assert.match(
      hint('NameError', "name 'q' is not defined. Did you mean: 'p'?") ?? '',
      /^`q` isn't defined in the cells/
    )
    assert.match(hint('ModuleNotFoundError', "No module named 'my.tool'") ?? '', /^my isn't in this environment\./)
    assert.equal(
      hint('FileNotFoundError', "[Errno 2] No such file or directory: 'data.csv'"),
      "data.csv wasn't there. A file travels if it stands beside the notebook and is ticked under What travels."
    )
    assert.equal(hint('KeyError', "'X'"), 'X is not set there: nothing of your environment travels.')
    assert.equal(hint('KeyError', "'Y'"), undefined)
    assert.match(hint('StdinNotImplementedError', 'raw_input was called') ?? '', /nobody can type/)
    assert.equal(hint('ValueError', 'x'), undefined)
  })
})
