import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { AxeResults } from 'axe-core'
import { DelayProxy } from '../../../node/test/support/delay-proxy.js'
import { itInFull } from '../../../node/test/support/effort.js'
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
  ['.pk-Connect'],
  ['.pk-Comparison']
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

/** What a local cell has made, for another that reads it: values, a function, a secret, and what can't travel. */
const MADE = `import sqlite3
cutoff = 9.5
energies = [5.31, 4.82, 12.6, 4.79]
def relax(energy):
    return min(energy, cutoff)
api_token = "abc"
db = sqlite3.connect(":memory:")`
const READS = `limits = open("limits.csv").read()
print([relax(energy) for energy in energies])
if not limits: print(api_token, db)`

describe('extension: how it looks', function () {
  this.timeout(240_000)
  const suite = labSuite()

  before(() => mkdir(ARTIFACTS, { recursive: true }))

  async function look(name: string): Promise<void> {
    const { page } = suite.page
    // A message slides in for a moment; spinners go on for ever, and messages count down to their end.
    await page.evaluate(async () => {
      const brief = document
        .getAnimations()
        .filter(({ effect }) => Number(effect?.getComputedTiming().endTime) <= 1_000)
      await Promise.allSettled(brief.map(({ finished }) => finished))
    })
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
    // Colours come from the theme alone, so each part is seen in one of them always, and in both in a whole run.
    const rest = theme === 'dark' ? it : itInFull

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
      // Ready to be typed into, with its ring.
      await page.locator('.pk-Connect input:focus').first().waitFor()
      await look(`connect-${theme}`)
      await page.keyboard.press('Escape')
    })

    rest(
      `in the ${theme} theme what travels, two runs compared, a batch and a lost connection are readable`,
      async () => {
        await writeFile(join(suite.net.work, 'limits.csv'), 'low,high\n1,3\n')
        const lab = await suite.open(
          [
            MADE,
            READS,
            'import secrets\nprint(secrets.token_hex(8))',
            // Longer than all looks together take on a busy machine.
            'import time\nfor step in range(2000): time.sleep(0.2)'
          ],
          theme === 'dark' ? { theme: 'dark' } : {}
        )
        const { page } = lab
        // A way to the bridge that can be cut: neither Lab nor the bridge is to blame then.
        const way = new DelayProxy({ target: await suite.net.bridge() })
        const port = await way.start()
        try {
          await lab.select(0)
          await page.keyboard.press('Shift+Enter')
          await lab.prompts(0, /^\[1\]:$/)
          await lab.forget({ bridge: `http://127.0.0.1:${port}` })
          await page.locator('.pk-Status button').click()
          await lab.select(1)
          await page.keyboard.press('Control+Shift+Enter')
          const quote = page.locator('.pk-Quote')
          await quote.locator('button[type=submit]:enabled').waitFor()
          await quote.locator('.pk-Travel-open').click()
          const sheet = quote.locator('.pk-Travel')
          await sheet.filter({ hasText: 'limits.csv' }).filter({ hasText: 'Looks like a secret' }).waitFor()
          await look(`travel-${theme}`)
          await page.keyboard.press('Escape')
          await quote.waitFor({ state: 'detached' })

          await lab.select(2)
          await page.getByRole('button', { name: 'More ways to run remotely' }).click()
          await page.locator('.lm-Menu-item', { hasText: 'Run Selected Cells Twice and Compare' }).click()
          await quote.locator('button[type=submit]:enabled').click()
          await page.locator('.Toastify__toast').getByRole('button', { name: 'What differs' }).click()
          await page.locator('.pk-Comparison').getByText('differs').first().waitFor()
          await look(`comparison-${theme}`)
          await page.getByRole('button', { name: 'Close', exact: true }).last().click()

          await lab.command('Run Notebook Remotely')
          const batch = page.locator('.pk-Batch')
          await batch.filter({ hasText: '3 of 4 cells' }).waitFor()
          await look(`batch-${theme}`)

          await way.stop()
          await page.locator('.pk-Panel-banner', { hasText: 'No connection since' }).waitFor()
          await lab.line(3, 'Not connected')
          await look(`offline-${theme}`)
        } finally {
          await way.stop()
          await suite.net.configure({})
        }
        await lab.reload()
        await lab.act(3, 'cancel')
        await lab.line(3, 'Cancelled by you')
      }
    )
  }
})
