import assert from 'node:assert/strict'
import { labSuite } from './suite.js'
import { wheel, wheelFileOf } from '../../../node/test/host/layers/wheels.js'

describe('extension: environments and packages', function () {
  this.timeout(180_000)
  const suite = labSuite()

  const quoted = async (index: number) => {
    const lab = suite.page
    await lab.select(index)
    await lab.page.keyboard.press('Control+Shift+Enter')
    const quote = lab.page.locator('.pk-Quote')
    await quote.waitFor()
    return quote
  }

  it('asks about a package that nobody knows, sends nothing before, and takes the answer', async () => {
    const lab = await suite.open(['try_this = 1\nimport nunpyy_zz\nprint(try_this)'])
    const quote = await quoted(0)
    await quote.locator('.pk-Questions', { hasText: 'nunpyy_zz isn’t known.' }).waitFor()
    await quote.getByText(/credits a second/).waitFor()
    assert.equal(await quote.locator('button[type=submit]').isDisabled(), true)
    await quote.getByRole('button', { name: 'Leave out nunpyy_zz' }).click()
    await quote.locator('button[type=submit]:enabled').click()
    await lab.line(0, 'Your code stopped: ModuleNotFoundError', /Run again/)
  })

  it('chooses by the imports; where no machine has it, adds it or says what to do, and waits if it is told to', async () => {
    // An environment that no test home has built.
    const lab = await suite.open(['import mitsuba as mi\nimport pandas as pd'])
    await lab.forget()
    const quote = await quoted(0)
    // Nobody offers the one that has it, so that it would be added to base.
    await quote.getByText('No machine offers rendering now: mitsuba is added to base for this run.').waitFor()
    await quote.locator('.pk-Questions', { hasText: 'mitsuba isn’t in base. It is added' }).waitFor()
    await quote.locator('button[type=submit]:enabled').waitFor()
    await quote.getByRole('button', { name: 'Use rendering' }).click()
    await quote.getByText('No machine offers rendering now', { exact: true }).waitFor()
    // Why each machine doesn't serve is asked for after the price.
    await quote.filter({ hasText: '2 of 2 machines don’t have it' }).waitFor()
    const text = (await quote.innerText()).replace(/\s+/g, ' ')
    assert.match(text, /rendering ?imports mitsuba Chosen by you\. Change/)
    assert.match(text, /npx pekka image build rendering/)
    assert.match(text, /2 of 2 machines don’t have it/)
    await quote.getByRole('button', { name: 'Wait for one' }).click()
    await lab.line(0, 'Waiting for a machine that matches', /until .* nothing charged/)
    await lab.act(0, 'cancel')
    await lab.page.waitForFunction(() => document.querySelector('.pk-Line') === null)
    // In base after all, by hand: the cell remembers it, and is told that it lacks what the code imports.
    await lab.select(0)
    await lab.page.keyboard.press('Control+Shift+Enter')
    await lab.line(0, 'No machine matches', /"rendering" · nothing charged.*Wait for one.*See why/)
    await lab.act(0, 'why')
    const again = lab.page.locator('.pk-Quote')
    await again.getByRole('button', { name: 'Change the environment' }).click()
    await again.locator('select').selectOption('base')
    await again.locator('.pk-Questions', { hasText: 'mitsuba isn’t in base. It is added' }).waitFor()
    await again.getByRole('button', { name: 'Leave out mitsuba' }).click()
    await again.locator('button[type=submit]:enabled').click()
    await lab.line(0, 'Your code stopped: ModuleNotFoundError', /rendering has mitsuba.*Run again in rendering/)
    await lab.outputs(0, /mitsuba isn't in this environment; rendering has it\./)
    await lab.savesAs(([cell]) => cell?.metadata['pekka-environment'] === 'base')
  })

  it('adds a package that no environment has, as the quote says, and after an error that names one', async () => {
    const name = 'cmasher'
    const bytes = wheel({ name, files: { 'cmasher.py': 'shades = 42\n' } })
    suite.net.index.files.push({ name, file: wheelFileOf(name), bytes })
    const lab = await suite.open([
      'import cmasher\nprint(cmasher.shades)',
      'name = "cmasher"\nprint(__import__(name).shades + 1)'
    ])
    const quote = await quoted(0)
    const said = 'cmasher isn’t in any environment. It is added: the bridge looks it up, and so learns its name.'
    await quote.locator('.pk-Questions', { hasText: said }).waitFor()
    assert.equal(suite.net.index.asked.length, 0, 'nothing is looked up before Run')
    await quote.locator('button[type=submit]:enabled').click()
    await lab.done(0)
    await lab.prints(0, '42\n')
    assert.ok(suite.net.index.asked.includes('/simple/cmasher/'))
    // What the sources don't show: the error names it, and the line offers it.
    await lab.run(1)
    await lab.line(1, 'Your code stopped: ModuleNotFoundError', /Add cmasher and run again/)
    await lab.act(1, 'add-package')
    await lab.agree()
    await lab.done(1)
    await lab.prints(1, '43\n')
  })

  it('has an address that the code reads fetched after the user agreed, and no other', async () => {
    const { data } = suite.net
    const lab = await suite.open([
      `import pandas as pd\nURL = "${data.at('')}"\nprint(pd.read_csv(URL + "/stars.csv").mass.sum())`,
      `import pandas as pd\nprint(pd.read_csv("${data.at('/closed.csv')}?token=1"))`,
      'import pandas as pd\npd.read_csv("https://10.1.2.3/inside.csv")'
    ])
    const quote = await quoted(0)
    const words = (await quote.locator('.pk-Addresses').innerText()).replace(/\s+/g, ' ')
    assert.match(words, /stars\.csv from 127\.0\.0\.1:\d+ · line 3/)
    assert.match(words, /Your bridge fetches it before the run: it and 127\.0\.0\.1:\d+ learn the address/)
    assert.equal(data.asked.length, 0, 'nothing is fetched before Run')
    await quote.locator('button[type=submit]:enabled').click()
    await lab.done(0)
    await lab.prints(0, '4.1\n')
    assert.deepEqual(data.asked, ['/stars.csv'])
    // Not ticked: the machine has no network, and says what to do.
    await lab.select(1)
    await lab.page.keyboard.press('Control+Shift+Enter')
    await quote.getByText('The address looks like it holds a secret').waitFor()
    await quote.getByText('reading what isn’t ticked fails').waitFor()
    await quote.locator('button[type=submit]:enabled').click()
    await lab.line(1, /Your code stopped/)
    assert.deepEqual(data.asked, ['/stars.csv'])
    // Not on the list of what the bridge may ask: said before anything costs.
    await lab.select(2)
    await lab.page.keyboard.press('Control+Shift+Enter')
    await quote.locator('button[type=submit]:enabled').click()
    await lab.line(2, 'Not sent', /no server of the public Internet · nothing charged.*Choose again/)
  })

  it('offers the smallest change where no machine has the memory', async () => {
    const lab = await suite.open(['print("enough")'])
    await lab.forget({ memory: 64 })
    const quote = await quoted(0)
    await quote.getByText('No machine matches').waitFor()
    await quote.getByRole('button', { name: /^Ask for .*: 2 match$/ }).click()
    await quote.locator('button[type=submit]:enabled').click()
    await lab.done(0)
    await lab.prints(0, 'enough\n')
  })

  it('stopped at the cap, it offers to raise it', async () => {
    const lab = await suite.open(['import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(0.25)'])
    await lab.forget({ cap: 0.004 })
    await lab.run(0)
    await lab.line(0, /Stopped at your cap of 0\.\d+ credits/, /output so far is kept.*Raise to 0\.\d+ and run again/)
    await lab.act(0, 'raise-cap')
    await lab.agree()
    await lab.shows(0, '1')
    await lab.page.locator('.pk-Line [data-action=cancel]').click()
    await lab.line(0, /Cancelled by you|Stopped at your cap/)
  })

  it('puts the output of a deleted cell into a new one', async () => {
    const lab = await suite.open(['for i in range(3):\n    print("kept", i)', 'print("stays")'])
    await lab.run(0)
    await lab.done(0)
    await lab.select(0)
    await lab.page.keyboard.press('d')
    await lab.page.keyboard.press('d')
    await lab.page.waitForFunction(() => document.querySelectorAll('.jp-Notebook .jp-Cell').length === 1)
    await lab.page.locator('.pk-Status button').click()
    await lab.page.locator('.pk-Row').first().click()
    await lab.page.locator('.pk-Detail .pk-Button', { hasText: 'Insert output' }).click()
    await lab.done(1)
    await lab.prints(1, 'kept 0\nkept 1\nkept 2\n')
    assert.match(await lab.cell(1).locator('.cm-content').innerText(), /Output of .* whose cell was deleted/)
    await lab.page.locator('.pk-Detail .pk-Button', { hasText: 'Insert output' }).waitFor({ state: 'detached' })
  })

  it('shows the way on as the main button, and the others as secondary', async () => {
    const lab = await suite.open(['x = 1', 'print(x)'])
    await lab.select(1)
    await lab.page.keyboard.press('Control+Shift+Enter')
    const button = (name: string) =>
      lab.page
        .locator('.jp-Dialog')
        .getByRole('button', { name })
        .evaluate(node => getComputedStyle(node).backgroundColor)
    assert.equal(await button('Only this cell'), await button('Cancel'))
    assert.notEqual(await button('Only this cell'), await button('Run that too'))
    await lab.page.keyboard.press('Escape')
  })
})
