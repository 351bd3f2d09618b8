import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { AxeResults } from 'axe-core'
import { ARTIFACTS } from './network.js'
import { labSuite } from './suite.js'

declare const axe: { run(context: unknown): Promise<AxeResults> }

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
/** Our own parts; JupyterLab's page has findings of its own. */
const OURS = [
  ['.pk-Line'],
  ['.pk-Panel'],
  ['.pk-Quote'],
  ['.pk-Status'],
  ['.pk-RunMenu'],
  ['.pk-Batch'],
  ['.pk-Needs'],
  ['.pk-ReceiptDialog'],
  ['.pk-Connect']
]

const PLOT = `import numpy as np
import matplotlib.pyplot as plt

angle = np.linspace(0, 360, 200)
energy = 6 + 4 * np.sin(np.radians(3 * angle)) * np.exp(-angle / 500)
plt.figure(figsize=(5, 2.2))
plt.plot(angle, energy)
plt.xlabel("torsion angle (°)")
plt.ylabel("energy (kJ/mol)")
plt.show()`

describe('extension: how it looks', function () {
  this.timeout(240_000)
  const suite = labSuite()

  before(() => mkdir(ARTIFACTS, { recursive: true }))

  async function look(name: string): Promise<void> {
    const { page } = suite.page
    await page.screenshot({ path: join(ARTIFACTS, `${name}.png`) })
    await page.evaluate(AXE)
    const found = await page.evaluate(async include => {
      const present = include.filter(
        ([selector]) => selector !== undefined && document.querySelector(selector) !== null
      )
      const { violations } = await axe.run({ include: present })
      return violations.flatMap(({ id, nodes }) =>
        nodes.map(node => `${id}: ${node.html.slice(0, 200)} ${node.failureSummary ?? ''}`)
      )
    }, OURS)
    assert.deepEqual(found, [], `axe found something in ${name}`)
  }

  for (const theme of ['light', 'dark'] as const) {
    it(`in the ${theme} theme every state is readable, and axe finds nothing in our parts`, async () => {
      const lab = await suite.open(
        [
          PLOT,
          'import time\nfor step in range(400):\n    print(f"step {step}", flush=True)\n    time.sleep(0.2)',
          'table = {"a": 1}\ntable["missing"]',
          'print(table)'
        ],
        theme === 'dark' ? { theme: 'dark' } : {}
      )
      const { page } = lab
      await lab.run(0)
      await lab.done(0)
      await lab.cell(0).locator('img').waitFor()
      await lab.run(2)
      await lab.line(2, 'Your code stopped: KeyError')
      await page.locator('.pk-Status button').click()
      await lab.run(1)
      await lab.shows(1, 'step 2')
      await page.locator('.pk-Row').first().click()
      await look(`notebook-${theme}`)
      await page.locator('.pk-Detail .pk-Button', { hasText: 'Cancel' }).click()
      await look(`cancel-${theme}`)
      await page.locator('.pk-Detail-ask .pk-mod-go').click()
      await lab.line(1, 'Cancelled by you')
      await lab.select(3)
      await page.keyboard.press('Control+Shift+Enter')
      await page.locator('.pk-Needs').waitFor()
      await look(`needs-${theme}`)
      await page.keyboard.press('Escape')
      await lab.act(0, 'receipt')
      await page.locator('.pk-ReceiptDialog .pk-Receipt').waitFor()
      await look(`receipt-${theme}`)
      await page.keyboard.press('Escape')
      await page.locator('.pk-Panel .pk-Input').fill('nothing like it')
      await look(`empty-${theme}`)
      await page.locator('.pk-Panel .pk-Input').fill('')
      await page.locator('.pk-Row').first().click()
      await lab.forget()
      await lab.select(0)
      await page.keyboard.press('Control+Shift+Enter')
      await page.locator('.pk-Quote button[type=submit]:enabled').waitFor()
      await look(`quote-${theme}`)
      await page.keyboard.press('Escape')
      await page.locator('.pk-Quote').waitFor({ state: 'detached' })
      await lab.palette('Connect…')
      await page.locator('.pk-Connect').waitFor()
      await look(`connect-${theme}`)
      await page.keyboard.press('Escape')
    })
  }
})
