import assert from 'node:assert/strict'
import { labSuite } from './suite.js'

describe('extension: cells and notebooks run remotely', function () {
  this.timeout(120_000)
  const suite = labSuite()

  it('asks at the first run with price, cap and who can read the code; Esc leaves, Enter runs', async () => {
    const lab = await suite.open(['print("remote", 6 * 7)'])
    const { page } = lab
    await lab.forget()
    await lab.select(0)
    await page.keyboard.press('Control+Shift+Enter')
    const quote = page.locator('.pk-Quote')
    await quote.locator('button[type=submit]:enabled').waitFor()
    const text = await quote.innerText()
    assert.match(text, /credits a second/)
    assert.match(text, /The provider can read your code and data while it runs\./)
    assert.match(text, /Spend at most/)
    // Lab gives a notebook the focus late; the quote keeps it, and Esc is meant for the quote.
    await page.evaluate(() => document.querySelector<HTMLElement>('.jp-Notebook .jp-Cell')?.focus())
    assert.equal(await page.evaluate(() => document.activeElement?.matches('.pk-Quote button[type=submit]')), true)
    await page.evaluate(() => (document.activeElement as HTMLElement).blur())
    await page.keyboard.press('Escape')
    await quote.waitFor({ state: 'detached' })
    await lab.cell(0).locator('.pk-Line').waitFor({ state: 'detached' })
    await page.keyboard.press('Control+Shift+Enter')
    await quote.locator('button[type=submit]:enabled').waitFor()
    await page.keyboard.press('Enter')
    await lab.done(0, /credits · provider-[12] · base · settled/)
    await lab.prints(0, 'remote 42\n')
    await lab.prompts(0, /^\[1\]:$/)
    // The task's id is saved, without a key or a balance beside it.
    await lab.remembers(0)
    const [cell] = await lab.saved()
    assert.match(cell?.metadata.pekka?.task ?? '', /^[0-9a-f]{64}$/)
  })

  it('does not ask again under the agreed amount, and shows the price in the tooltip', async () => {
    const lab = await suite.open(['print(1)', '', 'print(2)'])
    await lab.select(0)
    await lab.page.keyboard.press('Control+Shift+Enter')
    await lab.done(0)
    assert.equal(await lab.page.locator('.pk-Quote').count(), 0)
    await lab.select(2)
    const button = lab.cell(2).locator('[data-command="pekka:run-cell"]')
    await lab.page.waitForFunction(() =>
      /credits a second · at most/.test(
        document.querySelector('.jp-mod-active [data-command="pekka:run-cell"]')?.getAttribute('title') ?? ''
      )
    )
    await button.click()
    await lab.done(2)
    await lab.select(1)
    const empty = lab.cell(1).locator('[data-command="pekka:run-cell"]')
    await empty.waitFor()
    assert.match((await empty.getAttribute('title')) ?? '', /Nothing to run: the cell is empty/)
  })

  it('runs selected cells as one task, in order, outputs in their own cells', async () => {
    const lab = await suite.open(['a = 2\nprint("first", a)', '# markdown Some text', 'print("second", a * 21)'])
    await lab.select(0)
    await lab.page.keyboard.press('Escape')
    await lab.page.keyboard.press('Shift+ArrowDown')
    await lab.page.keyboard.press('Shift+ArrowDown')
    await lab.press('Control+Shift+Enter')
    await lab.done(2)
    await lab.prints(0, 'first 2\n')
    await lab.prints(2, 'second 42\n')
    await lab.remembers(0)
    await lab.remembers(2)
    const [first, , second] = await lab.saved()
    assert.equal(first?.metadata.pekka?.task, second?.metadata.pekka?.task)
  })

  it('runs a cell and those above it, none below, and cancels them, by the palette', async () => {
    const endless = 'import time\nprint(a * 21)\nwhile True: time.sleep(1)'
    const lab = await suite.open(['a = 2', endless, 'print("below")'])
    await lab.select(1)
    await lab.palette('Run This Cell and Those Above Remotely')
    await lab.agree()
    await lab.shows(1, '42')
    await lab.select(1)
    await lab.palette('Cancel Remote Run')
    await lab.line(1, 'Cancelled by you')
    assert.equal(await lab.cell(0).locator('.pk-Line').count(), 1)
    assert.equal(await lab.cell(2).locator('.pk-Line').count(), 0)
  })

  it('finds names from cells above and runs those too', async () => {
    const lab = await suite.open(['x = 20', 'unrelated = 1', 'def f(n):\n    return n + x', 'print(f(1) * 2)'])
    await lab.select(3)
    await lab.page.keyboard.press('Control+Shift+Enter')
    const dialog = lab.page.locator('.jp-Dialog')
    await dialog.waitFor()
    assert.match(await dialog.innerText(), /This cell needs f from cell 3\.|This cell needs `?f`?/)
    await dialog.locator('button', { hasText: 'Run those too' }).click()
    await lab.agree()
    await lab.done(3)
    await lab.prints(3, '42\n')
    assert.equal(await lab.cell(1).locator('.pk-Line').count(), 0)
    assert.equal(await lab.cell(0).locator('.pk-Line').count(), 1)
  })

  it('run alone, such a cell fails with a hint under its traceback', async () => {
    const lab = await suite.open(['x = 20', 'print(x)'])
    await lab.select(1)
    await lab.page.keyboard.press('Control+Shift+Enter')
    await lab.page.locator('.jp-Dialog button', { hasText: 'Only this cell' }).click()
    await lab.agree()
    await lab.line(1, 'Your code stopped: NameError', /Run again/)
    await lab.outputs(1, /NameError[\s\S]*This cell needs `x` from cell 1\./)
  })

  it('says before a run which file is nowhere, and under an error what did not travel', async () => {
    const lab = await suite.open(['open("measured.csv").read()', '__import__("no_such" + "_module_here")'])
    // Of a file that is nowhere nobody is asked who agreed.
    await lab.forget()
    await lab.select(0)
    await lab.page.keyboard.press('Control+Shift+Enter')
    await lab.page.locator('.pk-Quote-notes', { hasText: 'measured.csv isn’t in this folder.' }).waitFor()
    await lab.agree()
    await lab.line(0, 'Your code stopped: FileNotFoundError')
    await lab.outputs(0, /measured\.csv wasn't there/)
    await lab.run(1)
    await lab.line(1, 'Your code stopped: ModuleNotFoundError')
    await lab.outputs(1, /no_such_module_here isn't in this environment/)
  })

  it('shows a plot, a table, a progress bar, and an interactive figure on request', async () => {
    const lab = await suite.open([
      'import matplotlib.pyplot as plt\nplt.plot([1, 4, 9])\nplt.show()',
      'import pandas as pd\npd.DataFrame({"n": [1, 2], "square": [1, 4]})',
      'from tqdm import tqdm\nfor _ in tqdm(range(3), desc="steps"):\n    pass',
      'from tqdm.notebook import tqdm as bar\nfor _ in bar(range(2)):\n    pass\nprint("after")',
      'import plotly.graph_objects as go\ngo.Figure(go.Scatter(y=[1, 3, 2]))'
    ])
    await lab.command('Run Notebook Remotely')
    await lab.done(4)
    await lab.cell(0).locator('.jp-OutputArea-output img').waitFor({ state: 'attached' })
    assert.match((await lab.cell(1).locator('.jp-OutputArea-output table').textContent()) ?? '', /square/)
    const bar = await lab.outputs(2, /steps: 100%/)
    assert.equal(bar.split('steps').length, 2, 'the bar was drawn over itself')
    await lab.outputs(3, /after/)
    const figure = lab.cell(4)
    await figure.scrollIntoViewIfNeeded()
    await figure.locator('.pk-Interactive-button').click()
    // The page is in a frame within the frame.
    const inner = lab.page.frameLocator('.pk-Interactive iframe').frameLocator('iframe')
    await inner.locator('svg.main-svg').first().waitFor({ timeout: 60_000 })
    assert.equal(await figure.locator('iframe').getAttribute('sandbox'), 'allow-scripts')
  })

  it('runs a notebook as one task; a failing cell stops it, and the rest says so', async () => {
    const lab = await suite.open(['print("one")', '1 / 0', 'print("three")'])
    await lab.command('Run Notebook Remotely')
    await lab.line(1, 'Your code stopped: ZeroDivisionError')
    await lab.line(2, 'Not run')
    await lab.prints(0, 'one\n')
    await lab.prompts(2, /^\[ \]:$/)
    await lab.saves(0, 'one\n')
  })

  it('runs cells twice for twice the price, and says which differs and why', async () => {
    const lab = await suite.open(['import secrets\nprint(secrets.token_hex(8))\nkept = 1', 'print(kept + 1)'])
    const { page } = lab
    await lab.select(0)
    await page.keyboard.press('Shift+ArrowDown')
    await page.getByRole('button', { name: 'More ways to run remotely' }).click()
    const twice = page.locator('.lm-Menu-item', { hasText: 'Run Selected Cells Twice and Compare' })
    const middleOf = async (part: string): Promise<number> =>
      await twice.locator(part).evaluate(node => {
        const { top, height } = node.getBoundingClientRect()
        return top + height / 2
      })
    // A drawing stands as high as its words.
    const [drawing, words] = [await middleOf('.lm-Menu-itemIcon svg'), await middleOf('.lm-Menu-itemLabel')]
    assert.ok(Math.abs(drawing - words) < 2, `${drawing} beside ${words}`)
    await twice.click()
    const quote = page.locator('.pk-Quote')
    await quote.getByText('Run 2 cells twice and compare').waitFor()
    await quote.getByText(/2 × [\d.]+ credits a second/).waitFor()
    await quote.getByText(/at most 1 for both/).waitFor()
    await quote.locator('button[type=submit]:enabled').click()
    await lab.done(1)
    await lab.prints(1, '2\n')
    const toast = page.locator('.Toastify__toast', { hasText: 'The runs differ in 1 of 2 cells.' })
    await toast.getByRole('button', { name: 'What differs' }).click()
    const report = page.locator('.pk-Comparison')
    await report.getByText('Cell 1 differs').waitFor()
    assert.match(await report.innerText(), /It draws random numbers that no seed reaches/)
    const shown = (await lab.outputs(0, /^[0-9a-f]{16}\n$/)).trim()
    assert.ok((await report.innerText()).includes(shown), 'the first run is the one that is shown')
    await page.getByRole('button', { name: 'Close', exact: true }).last().click()
  })

  it('lists its tasks with price and balance, goes to a cell, and shows a receipt whose parts hold', async () => {
    const lab = await suite.open(['print("for the panel")'])
    await lab.run(0)
    await lab.done(0)
    await lab.page.locator('.pk-Status button').click()
    const panel = lab.page.locator('.pk-Panel')
    const row = panel.locator('.pk-Row').first()
    await row
      .filter({ hasText: `${lab.name}, cell 1` })
      .filter({ hasText: 'Done, not re-run' })
      .waitFor()
    await panel.locator('.pk-Panel-foot', { hasText: /\d+\.\d+ credits[\s\S]*Connected/ }).waitFor()
    await panel.locator('.pk-Input').fill('nothing is called so')
    await panel.filter({ hasText: 'No task matches ‘nothing is called so’.' }).waitFor()
    await panel.locator('.pk-Panel-empty .pk-Link').click()
    await lab.act(0, 'receipt')
    const dialog = lab.page.locator('.pk-ReceiptDialog')
    await dialog.waitFor()
    assert.match(await dialog.innerText(), /All 7 parts hold/)
    await dialog.locator('button', { hasText: 'Close' }).click()
  })
})
