import assert from 'node:assert/strict'
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Network } from './network.js'
import { labSuite } from './suite.js'

/** A kernel with numpy, pandas and pyarrow: the environment of the image, outside any sandbox of ours. */
const KERNEL = 'pekka-test-image'

async function addKernel(net: Network): Promise<void> {
  const images = join(net.home, 'images')
  const [base] = (await readdir(images)).filter(name => name.startsWith('base-') && !name.includes('small')).sort()
  assert.ok(base, 'the image base is built')
  const folder = join(net.home, 'jupyter', 'data', 'kernels', KERNEL)
  await mkdir(folder, { recursive: true })
  const bwrap = ['bwrap', '--ro-bind', join(images, base, 'root'), '/', '--proc', '/proc', '--dev', '/dev']
  const argv = [
    ...bwrap,
    '--bind',
    '/tmp',
    '/tmp',
    '--tmpfs',
    '/home',
    '--dir',
    '/home/pekka',
    '--setenv',
    'HOME',
    '/home/pekka'
  ]
  argv.push('/opt/pekka/env/bin/python', '-m', 'ipykernel_launcher', '-f', '{connection_file}')
  await writeFile(join(folder, 'kernel.json'), JSON.stringify({ argv, display_name: 'Test', language: 'python' }))
}

describe('extension: values and files travel', function () {
  this.timeout(300_000)
  const suite = labSuite()

  before(() => addKernel(suite.net))

  it('takes what a local cell made, with a function, a module and a file, to a remote cell, and brings its file and values back', async () => {
    await writeFile(join(suite.net.work, 'my_units.py'), 'factor = 100\n')
    await writeFile(join(suite.net.work, 'limits.csv'), 'low,high\n1,3\n')
    const lab = await suite.open(
      [
        'import pandas as pd\nimport sqlite3\ncutoff = 1\ndf = pd.DataFrame({"a": [1, 2, 3], "s": ["x", "y", "z"]})\ndef above(frame):\n    return frame[frame.a > cutoff]\napi_token = "abc"\ndb = sqlite3.connect(":memory:")',
        'import my_units\nkept = above(df)\nprint(kept.a.sum() * my_units.factor, open("limits.csv").read().strip())\nkept.to_csv("kept.csv", index=False)\nmodel = object()\nif False: print(api_token, db)',
        'import pekka\nback = pekka.get("kept")\nprint(type(back).__name__, list(back.s), "kept" in globals(), pekka.get("model").stays)',
        'print(kept.a.tolist())'
      ],
      { kernel: KERNEL }
    )
    const { page } = lab
    await lab.select(0)
    await page.keyboard.press('Shift+Enter')
    // Its first import of pandas takes a while on a busy machine.
    const ran = () => document.querySelector('.jp-Cell .jp-InputPrompt')?.textContent === '[1]:'
    await page.waitForFunction(ran, null, { timeout: 60_000 })
    await lab.select(1)
    await page.keyboard.press('Control+Shift+Enter')
    const quote = page.locator('.pk-Quote')
    await quote.locator('button[type=submit]:enabled').waitFor()
    await quote.locator('.pk-Travel-open').click()
    const sheet = quote.locator('.pk-Travel')
    const text = await sheet.innerText()
    for (const words of [
      'df',
      'DataFrame, 3 rows × 2 columns',
      'above',
      'Inside above',
      'limits.csv',
      'my_units.py',
      'made by cell 1'
    ])
      assert.ok(text.includes(words), `${words} in:\n${text}`)
    assert.match(text, /Looks like a secret/)
    assert.match(text, /Can’t travel[\s\S]*db[\s\S]*open database connection/)
    assert.equal(await sheet.getByLabel('Send api_token').isChecked(), false)
    assert.equal(await sheet.getByLabel('Send df').isChecked(), true)
    await sheet.getByLabel('Send cutoff').uncheck()
    await sheet.filter({ hasText: 'above will fail without cutoff.' }).waitFor()
    await sheet.getByLabel('Send cutoff').check()
    await quote.locator('button[type=submit]').click()
    await lab.done(1)
    await lab.prints(1, '500 low,high\n1,3\n')
    const line = lab.cell(1).locator('.pk-Line')
    await line.getByRole('button', { name: /Save files/ }).click()
    await page.waitForFunction(() =>
      /saved in pekka-results/.test(document.querySelectorAll('.pk-Line')[0]?.textContent ?? '')
    )
    const [task] = await readdir(join(suite.net.work, 'pekka-results'))
    assert.equal(
      await readFile(join(suite.net.work, 'pekka-results', task ?? '', 'kept.csv'), 'utf8'),
      'a,s\n2,y\n3,z\n'
    )
    assert.deepEqual(await readdir(join(suite.net.work, 'pekka-results', task ?? '')), ['kept.csv'])
    // While a cell runs, the page fetches what it asks for.
    await lab.select(2)
    await page.keyboard.press('Shift+Enter')
    await lab.prints(2, "DataFrame ['y', 'z'] False object has no safe form\n")
    assert.match(
      await lab.cell(1).locator('.pk-Line').innerText(),
      /2 values: kept \(DataFrame, [^)]*\), model \(object, stays/
    )
    await lab.act(1, 'values')
    await lab.cell(1).locator('.pk-Line', { hasText: 'In your kernel now: kept.' }).waitFor()
    await lab.select(3)
    await page.keyboard.press('Shift+Enter')
    await lab.prints(3, '[2, 3]\n')
  })

  it('binds what a remote cell assigns as soon as it has ended, over what stood there, where the setting says always', async () => {
    const lab = await suite.open(['total = 1', 'total = sum(range(10))\nstar = "Vega"', 'print(total, star)'])
    await lab.forget({ returnValues: 'always' })
    try {
      await lab.select(0)
      await lab.page.keyboard.press('Shift+Enter')
      await lab.prompts(0, /^\[1\]:$/)
      await lab.run(1)
      await lab.done(1)
      // Nothing is clicked.
      await lab.cell(1).locator('.pk-Line', { hasText: 'In your kernel now: total, star.' }).waitFor()
      await lab.select(2)
      await lab.page.keyboard.press('Shift+Enter')
      await lab.prints(2, '45 Vega\n')
    } finally {
      // The network is that of all suites.
      await lab.forget()
    }
  })
})
