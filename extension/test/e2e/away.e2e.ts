import assert from 'node:assert/strict'
import { DelayProxy } from '../../../node/test/support/delay-proxy.js'
import { counted, counting } from './counting.js'
import { textOf } from './lab-page.js'
import { labSuite } from './suite.js'

describe('extension: a cell out of sight, and a bridge far away', function () {
  this.timeout(180_000)
  const suite = labSuite()

  it('scrolled out of a windowed notebook’s sight, the cell is whole when it comes back', async () => {
    // Lab then draws only what is near.
    const tracker = '@jupyterlab/notebook-extension:tracker'
    await suite.net.configure({ windowingMode: 'full' }, tracker)
    try {
      const filler = Array.from({ length: 60 }, (_, i) => `# cell ${i + 1}\n#\n#\n#\n#\nx${i} = ${i}`)
      const lab = await suite.open([counting(40, 0.1), ...filler])
      const { page } = lab
      await page.locator('.pk-Status button').click()
      await lab.run(0)
      await lab.shows(0, 'n 1')
      const first = page.locator('.jp-Cell[data-windowed-list-index="0"]')
      await first.waitFor()
      // Lab learns how tall cells are as it draws them, and the end moves.
      while (await first.isVisible()) await scrollTo(Number.MAX_SAFE_INTEGER)
      await page
        .locator('.pk-Row', { hasText: `${lab.name}, cell 1` })
        .filter({ hasText: 'Done, not re-run' })
        .waitFor({ timeout: 60_000 })
      assert.equal(await first.isVisible(), false, 'the cell was drawn all the time')
      while (!(await first.isVisible())) await scrollTo(0)
      await lab.done(0)
      await lab.prints(0, counted(40))
      await lab.prompts(0, /^\[1\]:$/)
      assert.equal(await first.locator('.pk-Line').count(), 1)
      await lab.select(0)
      await lab.saves(0, counted(40))

      async function scrollTo(top: number): Promise<void> {
        await page.locator('.jp-WindowedPanel-outer').evaluate((node, y) => node.scrollTo(0, y), top)
        await page.waitForTimeout(50)
      }
    } finally {
      await suite.net.configure({}, tracker)
    }
  })

  it('over a line of 80 ms and 1 Mbit/s a cell runs, and another is cancelled', async () => {
    const line = new DelayProxy({ target: await suite.net.bridge(), delay: 40, bytesPerSecond: 125_000 })
    const port = await line.start()
    try {
      const lab = await suite.open(['for i in range(3000): print("a line of output, number", i)', counting(1000, 0.25)])
      await lab.forget({ bridge: `http://127.0.0.1:${port}` })
      const before = line.passed
      await lab.run(0)
      await lab.done(0)
      await lab.savesAs(([cell]) => textOf(cell).endsWith('number 2999\n'))
      const lines = Array.from({ length: 3000 }, (_, i) => `a line of output, number ${i}\n`)
      assert.equal(textOf((await lab.saved())[0]), lines.join(''))
      assert.ok(line.passed - before > 80_000, 'the output went another way')
      await lab.run(1)
      await lab.shows(1, 'n 1')
      await lab.act(1, 'cancel')
      await lab.line(1, 'Cancelled by you', /output so far is kept/)
    } finally {
      await line.stop()
      await suite.net.configure({})
    }
  })
})
