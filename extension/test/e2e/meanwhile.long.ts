import assert from 'node:assert/strict'
import { counted, counting } from './counting.js'
import { textOf } from './lab-page.js'
import { labSuite } from './suite.js'

const ENDLESS = counting(10_000)

describe('extension: a notebook that is changed while cells run (docs/jupyterlab.md)', function () {
  this.timeout(240_000)
  const suite = labSuite()

  it('cut and pasted meanwhile, the cell gets all its output in its new place', async () => {
    const lab = await suite.open([counting(40), 'print("below")'])
    await lab.run(0)
    await lab.shows(0, 'n 2\n')
    await lab.select(0)
    await lab.page.keyboard.press('x')
    await lab.page.waitForFunction(() => document.querySelectorAll('.jp-Notebook .jp-Cell').length === 1)
    await lab.page.keyboard.press('v')
    await lab.page.waitForFunction(() => document.querySelectorAll('.jp-Notebook .jp-Cell').length === 2)
    await lab.done(1)
    await lab.prints(1, counted(40))
    await lab.prints(0, '')
  })

  it('a copy has had no run, and keeps what it shows when the notebook is opened again', async () => {
    const lab = await suite.open([counting(40)])
    await lab.run(0)
    await lab.shows(0, 'n 2\n')
    await lab.select(0)
    await lab.page.keyboard.press('c')
    await lab.page.keyboard.press('v')
    await lab.page.waitForFunction(() => document.querySelectorAll('.jp-Notebook .jp-Cell').length === 2)
    const shown = await lab.outputs(1, /^n 0\n/)
    await lab.prompts(1, /^[^*]*$/)
    await lab.savesAs(cells => textOf(cells[1]) === shown)
    await lab.reload()
    await lab.done(0)
    await lab.prints(0, counted(40))
    assert.equal(await lab.output(1), shown)
    assert.equal(await lab.cell(1).locator('.pk-Line').count(), 0)
  })

  it('a kernel’s restart and cleared outputs leave the remote run alone', async () => {
    const lab = await suite.open([counting(60), 'x = 1\nprint(x)'])
    await lab.select(1)
    await lab.page.keyboard.press('Control+Enter')
    await lab.prints(1, '1\n')
    await lab.run(0)
    await lab.shows(0, 'n 2\n')
    await lab.palette('Clear Outputs of All Cells')
    await lab.outputs(0, /^n [^0]/)
    await lab.prompts(0, /^\[\*\]:$/)
    await lab.palette('Restart Kernel…')
    await lab.page.locator('.jp-Dialog button', { hasText: 'Restart' }).click()
    await lab.prompts(0, /^\[\*\]:$/)
    await lab.done(0)
    await lab.outputs(0, /n 59\nend\n$/)
    await lab.prompts(0, /^\[\d+\]:$/)
  })

  it('Restart and Run All takes all cells for the local kernel, those that run remotely too, and each can run remotely again', async () => {
    const lab = await suite.open(['print("first")', ENDLESS, 'print("last")'])
    await lab.run(2)
    await lab.done(2)
    await lab.run(1)
    await lab.shows(1, 'n 2\n')
    await lab.cell(1).locator('.cm-content').click()
    await lab.page.keyboard.press('Control+A')
    await lab.page.keyboard.type('print("here")')
    await lab.page.keyboard.press('Escape')
    await lab.palette('Restart Kernel and Run All Cells…')
    await lab.page.locator('.jp-Dialog button', { hasText: 'Restart' }).click()
    for (const [cell, text] of ['first\n', 'here\n', 'last\n'].entries()) {
      await lab.prints(cell, text)
      await lab.prompts(cell, /^\[\d+\]:$/)
    }
    await lab.page.waitForFunction(() => document.querySelector('.pk-Line') === null)
    await lab.savesAs(cells => cells.every(({ metadata }) => metadata.pekka === undefined))
    await lab.reload()
    await lab.prints(1, 'here\n')
    // The endless one goes on in the panel.
    await lab.cancelInPanel()
    await lab.run(1)
    await lab.done(1)
    await lab.prints(1, 'here\n')
  })
})
