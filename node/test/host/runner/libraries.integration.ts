import assert from 'node:assert/strict'
import { cellsCommand, needPackages, Transcript, transcriptOf, WarmRunners, type RunInit } from './sandboxed-runner.js'

/** What libraries of `base` show in a cell. They look at where they run, so each is tried for real. */
describe('runner: libraries that look at the front end', function () {
  this.timeout(120_000)
  const warm = new WarmRunners()
  before(function () {
    needPackages(this, ['tqdm', 'plotly', 'nbformat', 'ipywidgets', 'pandas', 'matplotlib'])
  })
  after(async () => await warm.close())

  const run = async (sources: string[], init: RunInit = {}): Promise<Transcript> => {
    const seen = await transcriptOf(warm.take(), cellsCommand(sources, init), init)
    assert.equal(seen.done.reason, 'completed', JSON.stringify(seen.of('error')))
    return seen
  }

  it('shows a plotly figure, as value and by show(), with its own type, HTML and text', async () => {
    const seen = await run([
      'import plotly.graph_objects as go\nfigure = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))\nfigure',
      'figure.show()'
    ])
    const [script, ...figures] = seen.of('display_data')
    assert.match(String(script?.data['text/html']), /plotly\.js v/)
    assert.deepEqual(
      figures.map(event => event.cell),
      ['c1', 'c2']
    )
    for (const { data } of figures) {
      assert.deepEqual(Object.keys(data).sort(), ['application/vnd.plotly.v1+json', 'text/html', 'text/plain'])
      assert.match(String(data['text/html']), /Plotly\.newPlot/)
    }
  })

  it('leaves the renderer of plotly to whoever chooses one', async () => {
    const seen = await run([
      'import os\nos.environ["PLOTLY_RENDERER"] = "json"\nimport plotly.io\nprint(plotly.io.renderers.default)'
    ])
    assert.equal(seen.text('c1'), 'json\n')
  })

  it('draws the bars of tqdm.notebook, tqdm.auto and tqdm.autonotebook as text with carriage returns', async () => {
    const bars = ['tqdm.notebook', 'tqdm.auto', 'tqdm.autonotebook', 'tqdm'].map(
      name => `from ${name} import tqdm, trange\nfor _ in tqdm(range(3), desc="fit"): pass\nlist(trange(2));`
    )
    const seen = await run(bars)
    assert.equal(seen.of('display_data').length, 0)
    for (const cell of ['c1', 'c2', 'c3', 'c4']) {
      assert.match(seen.text(cell, 'stderr'), /\rfit: 100%\|█+\| 3\/3 .*\n.*\r100%\|█+\| 2\/2 .*\n/s, cell)
      assert.equal(seen.text(cell), '')
    }
  })

  it('takes what only the widget bar of tqdm knows', async () => {
    const seen = await run([
      `from tqdm.notebook import tqdm, tqdm_notebook, tnrange
with tqdm(total=2, display=False, ncols="100%", colour="green") as bar:
    bar.update(); bar.reset(total=4); bar.set_description("again"); bar.update(4)
list(tnrange(1))
import pandas
tqdm.pandas()
print(tqdm is tqdm_notebook, pandas.Series([1]).progress_apply(lambda x: x + 1)[0])`
    ])
    assert.match(seen.text('c1', 'stderr'), /again: 100%.*4\/4/)
    assert.equal(seen.text('c1'), 'True 2\n')
  })

  it('stands in the way of no import, and leaves the import system when both libraries are there', async () => {
    const seen = await run([
      '%%writefile shelf.py\nvalue = 1',
      'import shelf, sys\nprint(shelf.value, [type(f).__name__ for f in sys.meta_path if "pekka" in type(f).__module__])',
      'import tqdm.notebook, plotly.io\nplotly.io.renderers\nprint([f for f in sys.meta_path if "pekka" in type(f).__module__])',
      'print(type(tqdm.notebook.__loader__).__name__, tqdm.notebook.__spec__.loader is tqdm.notebook.__loader__)'
    ])
    assert.equal(seen.text('c2'), "1 ['_Finder']\n")
    assert.equal(seen.text('c3'), '[]\n')
    assert.equal(seen.text('c4'), 'SourceFileLoader True\n')
  })

  it('shows tables, styled tables and figures as in a notebook', async () => {
    const seen = await run([
      'import pandas as pd\ntable = pd.DataFrame({"a": [1, 2]})\ntable',
      'table.style.highlight_max()',
      'import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()'
    ])
    const [table, styled] = seen.of('execute_result')
    assert.match(String(table?.data['text/html']), /<table/)
    assert.match(String(styled?.data['text/html']), /<style.*<table/s)
    assert.match(String(styled?.data['text/plain']), /Styler/)
    const [figure] = seen.of('display_data')
    assert.deepEqual(Object.keys(figure?.data ?? {}).sort(), ['image/png', 'text/plain'])
  })

  it('shows a widget as its text with a note, and the output of interact()', async () => {
    const seen = await run([
      'import ipywidgets\nipywidgets.IntSlider(7)',
      'ipywidgets.interact(lambda x: print("x is", x), x=(0, 10));'
    ])
    const [slider] = seen.of('execute_result')
    assert.deepEqual(Object.keys(slider?.data ?? {}), ['text/plain'])
    assert.match(String(slider?.data['text/plain']), /^IntSlider\(value=7\)\n\(A widget: .*\)$/)
    assert.equal(seen.text('c2'), 'x is 5\n')
  })
})
