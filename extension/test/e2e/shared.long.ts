/** Two pages in one notebook, shared by jupyter-collaboration (docs/jupyterlab.md). */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { setUp } from '@pekka/node/setup/index'
import { placesIn } from '@pekka/node/setup/places'
import { labIn, uvIn, withUv } from '@pekka/node/setup/python'
import { LabPage } from './lab-page.js'
import { missing, startNetwork, type Network } from './network.js'

/** Prints numbers until it is stopped. */
const COUNTING = 'import time\ni = 0\nwhile True:\n    print("n", i, flush=True)\n    i += 1\n    time.sleep(0.2)'
/** Of a page that follows another's outputs JupyterLab 4.6 logs this without us, too (jupyter-collaboration 5.0). */
const OF_FOLLOWERS = /reading 'text'/

describe('extension: one notebook in several pages at once', function () {
  this.timeout(300_000)
  let home = ''
  let net: Network
  const pages: LabPage[] = []

  before(async function () {
    const without = missing()
    if (without !== undefined) {
      console.log(`      left out: ${without}`)
      return this.skip()
    }
    home = await mkdtemp(join(tmpdir(), 'pekka-shared-'))
    const prepared = process.env['PEKKA_TEST_HOME'] ?? ''
    for (const name of ['tools', 'images', 'stamps'])
      if (existsSync(join(prepared, name))) await symlink(join(prepared, name), join(home, name))
    await setUp({ home, needs: { network: true, lab: true }, quiet: true })
    const { python, tools } = placesIn(home)
    const lab = join(labIn(python), 'bin', 'python')
    const install = ['pip', 'install', '--python', lab, 'jupyter-collaboration>=5,<6']
    await promisify(execFile)(uvIn(tools), install, { env: withUv(placesIn(home)) })
    net = await startNetwork(home)
  })
  after(async () => {
    await (net as Network | undefined)?.stop()
    if (home !== '') await rm(home, { recursive: true, force: true })
  })
  afterEach(async () => {
    const errors = pages.flatMap(page => page.errors.filter(error => !OF_FOLLOWERS.test(error)))
    for (const page of pages.splice(0)) await page.context.close()
    assert.deepEqual(errors, [], 'a page logged errors')
  })

  const open = async (...sources: string[]): Promise<LabPage> => {
    const page = await LabPage.open(net, sources)
    pages.push(page)
    return page
  }
  const join_ = async (page: Promise<LabPage>): Promise<LabPage> => {
    const joined = await page
    pages.push(joined)
    return joined
  }
  const numbers = async (page: LabPage, cell = 0): Promise<number[]> =>
    [...(await page.output(cell)).matchAll(/n (\d+)\n/g)].map(([, n]) => Number(n))
  /** Nothing lost or doubled. */
  const isWhole = async (page: LabPage, cell = 0): Promise<void> => {
    const seen = await numbers(page, cell)
    assert.deepEqual(seen, [...seen.keys()])
  }

  it('two tabs of one browser: one writes, both show it, and the other takes over when the first goes', async () => {
    const first = await open(COUNTING)
    const second = await join_(first.again())
    await first.run(0)
    await first.shows(0, 'n 2\n')
    // The second heard of it from the notebook alone.
    await second.cell(0).locator('.pk-Line-facts', { hasText: 'output goes into your other tab' }).waitFor()
    await second.shows(0, 'n 4\n')
    await isWhole(second)
    const before = (await numbers(first)).length
    await first.page.close()
    await second.shows(0, `n ${before + 5}\n`)
    await second.act(0, 'cancel')
    await second.line(0, 'Cancelled by you', /output so far is kept/)
    await isWhole(second)
  })

  it('a run that ends in one tab is left alone by the other', async () => {
    const first = await open('import time\nfor i in range(9):\n    print("n", i, flush=True)\n    time.sleep(0.3)')
    const second = await join_(first.again())
    await first.run(0)
    await second.cell(0).locator('.pk-Line-facts', { hasText: 'output goes into your other tab' }).waitFor()
    await first.done(0)
    await second.done(0)
    for (const page of [first, second]) {
      await page.shows(0, 'n 8\n')
      await isWhole(page)
      await page.prompts(0, /^\[\d+\]:$/)
    }
  })

  it('another browser sees the output, but can neither follow nor cancel; a reload there leaves the run alone', async () => {
    const first = await open(COUNTING, 'print("theirs")')
    const other = await join_(first.beside())
    await first.run(0)
    await first.shows(0, 'n 2\n')
    await other.shows(0, 'n 3\n')
    await other.line(0, 'Running from another browser', /its page writes the output here · it can be cancelled there/)
    assert.equal(await other.cell(0).locator('.pk-Line [data-action=cancel]').count(), 0)
    await other.reload()
    await other.line(0, 'Running from another browser')
    await other.select(0)
    await other.page.keyboard.press('Control+Shift+Enter')
    await other.page
      .locator('.Toastify__toast', { hasText: 'Cell 1 is running remotely from another browser' })
      .waitFor()
    // Its own cells it runs itself, and the first page sees that.
    await other.run(1)
    await other.done(1)
    await first.shows(1, 'theirs')
    await first.prompts(0, /^\[\*\]:$/)
    await isWhole(other)
    // The page that sent it goes, and comes back: the run goes on in its cell.
    const before = (await numbers(first)).length
    await first.page.close()
    await other.line(0, 'Sent from another browser', /comes when the notebook is opened there/)
    const again = await join_(first.again())
    await again.shows(0, `n ${before + 5}\n`)
    await other.line(0, 'Running from another browser')
    await again.act(0, 'cancel')
    await again.line(0, 'Cancelled by you')
    await other.line(0, 'Cancelled')
    await isWhole(again)
    await isWhole(other)
  })

  it('moved by another page meanwhile, the cell gets all its output', async () => {
    const first = await open('print("above")', COUNTING)
    const other = await join_(first.beside())
    await first.run(1)
    await first.shows(1, 'n 2\n')
    await other.select(1)
    await other.page.keyboard.press('Control+Shift+ArrowUp')
    await first.cell(0).locator('.jp-OutputArea-output', { hasText: 'n 3\n' }).waitFor()
    const before = (await numbers(first)).length
    await first.shows(0, `n ${before + 5}\n`)
    await first.act(0, 'cancel')
    await first.line(0, 'Cancelled by you')
    await isWhole(first)
    await isWhole(other)
    await other.prints(1, '')
  })

  it('run here by another page meanwhile, the cell is the local run’s alone', async () => {
    const first = await open(COUNTING)
    const other = await join_(first.beside())
    await first.run(0)
    await first.shows(0, 'n 2\n')
    await other.cell(0).locator('.cm-content').click()
    await other.page.keyboard.press('Control+A')
    await other.page.keyboard.type('print("local")')
    await other.page.keyboard.press('Control+Enter')
    for (const page of [other, first]) {
      await page.prints(0, 'local\n')
      await page.page.waitForFunction(() => document.querySelector('.pk-Line') === null)
    }
    await first.cancelInPanel()
    await first.prints(0, 'local\n')
  })

  it('the output of a deleted cell is put into a new one, for all to see', async () => {
    const first = await open('for i in range(3):\n    print("n", i)', 'print("stays")')
    const other = await join_(first.beside())
    await first.run(0)
    await first.done(0)
    await first.select(0)
    await first.page.keyboard.press('d')
    await first.page.keyboard.press('d')
    for (const { page } of [first, other])
      await page.waitForFunction(() => document.querySelectorAll('.jp-Notebook .jp-Cell').length === 1)
    await first.page.locator('.pk-Status button').click()
    await first.page.locator('.pk-Row').first().click()
    await first.page.locator('.pk-Detail .pk-Button', { hasText: 'Insert output' }).click()
    for (const page of [first, other]) await page.prints(1, 'n 0\nn 1\nn 2\n')
    await first.done(1)
  })

  it('a kept machine stays the notebook’s, whoever else opens it', async () => {
    const first = await open('x = 41', 'print(x + 1)')
    await first.keep()
    await first.run(0)
    await first.line(0, 'Done', /on the kept machine/)
    const other = await join_(first.beside())
    await other.line(0, 'Done')
    const second = await join_(first.again())
    await second.machine(/is kept for this notebook/)
    await second.run(1)
    await second.prints(1, '42\n')
    await first.prints(1, '42\n')
    await other.prints(1, '42\n')
    await second.actOnMachine('let-go')
    await first.machine(/was let go/)
  })
})
