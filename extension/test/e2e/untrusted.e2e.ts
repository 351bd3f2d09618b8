import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { join } from 'node:path'
import type { AddressInfo } from 'node:net'
import { HOSTILE_ERROR, attacks } from '../outputs/attacks.js'
import { LabPage } from './lab-page.js'
import { labSuite } from './suite.js'

declare const pkHits: string[]

describe('extension: outputs of a hostile machine, through a real remote run', function () {
  this.timeout(240_000)
  const suite = labSuite()
  const beacons: string[] = []
  const server = createServer((request, response) => {
    beacons.push(request.url ?? '')
    response.end()
  })

  before(() => new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve)))
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  async function counted(page: LabPage['page']): Promise<void> {
    await page.evaluate(() => {
      const hits: string[] = []
      Object.assign(globalThis, { pkHits: hits, pkHit: (id: string) => hits.push(id) })
      addEventListener('submit', event => event.preventDefault())
    })
  }

  /** Clicks what can be clicked in outputs, without leaving the page. */
  async function poke(open: LabPage): Promise<{ hits: string[]; beacons: string[] }> {
    // Cells out of sight are not drawn: each is looked at.
    for (const index of [0, 1, 2]) {
      await open.cell(index).scrollIntoViewIfNeeded()
      await open.page.waitForTimeout(200)
      await click(open)
    }
    return { hits: await open.page.evaluate(() => [...pkHits]), beacons: [...beacons] }
  }

  async function click(open: LabPage): Promise<void> {
    await open.page.evaluate(async () => {
      for (const node of document.querySelectorAll<HTMLElement>(
        '.jp-OutputArea-output a, .jp-OutputArea-output button, .jp-OutputArea-output summary'
      )) {
        if (node.className.includes('pk-Interactive-button')) continue
        node.addEventListener('click', event => {
          if (node instanceof HTMLAnchorElement && /^(https?|data):/.test(node.href)) event.preventDefault()
        })
        node.click()
      }
      await new Promise(resolve => setTimeout(resolve, 300))
    })
  }

  it('nothing runs or loads: live, after saving and reloading, and after "Trust Notebook"', async () => {
    const { port } = server.address() as AddressInfo // a listening TCP server has one
    const table = attacks(`http://127.0.0.1:${port}/`)
    const payload = table.map(({ data, metadata = {} }) => ({ data, metadata }))
    const source = (part: unknown[]): string =>
      `import json\nfrom IPython.display import display\nfor o in json.loads(r'''${JSON.stringify(part).replace(/'/g, '\\u0027')}'''):\n    display(o["data"], metadata=o["metadata"], raw=True)`
    const half = Math.ceil(payload.length / 2)
    const lab = await suite.open([
      source(payload.slice(0, half)),
      source(payload.slice(half)),
      `import json\nE = json.loads(r'''${JSON.stringify(HOSTILE_ERROR).replace(/'/g, '\\u0027')}''')\nraise type("Error", (Exception,), {"__name__": "x"})(E["evalue"] + E["ename"])`
    ])
    await counted(lab.page)
    beacons.length = 0
    await lab.command('Run Notebook Remotely')
    await lab.line(2, 'Your code stopped')
    assert.deepEqual(await poke(lab), { hits: [], beacons: [] })
    const outputs = await lab.page.locator('.jp-OutputArea-output').count()
    assert.ok(outputs > payload.length / 2, `only ${outputs} outputs were shown`)
    assert.equal(await lab.page.locator('.jp-Notebook').isVisible(), true)

    await lab.savesAs(cells => cells.some(cell => cell.outputs?.length > 0))
    await lab.reload()
    await counted(lab.page)
    assert.deepEqual(await poke(lab), { hits: [], beacons: [] })

    await lab.trust()
    await counted(lab.page)
    assert.deepEqual(await poke(lab), { hits: [], beacons: [] })
    await suite.close()
  })

  it('B10: a notebook that is opened sends nothing by itself, whatever it says of itself', async () => {
    const forged = { v: 1, task: 'ab'.repeat(32), bridge: 'auto', owner: 'somebody', state: 'running', run: true }
    const html = `<script>document.querySelector('[data-command*=run-cell]').click()</script><img src=x onerror="document.querySelector('[data-command*=run-cell]').click()">`
    const lab = await suite.open(['print("asked for")'])
    const file = join(suite.net.work, lab.name)
    const sent: string[] = []
    lab.page.on('request', request => {
      if (request.method() === 'POST' && new URL(request.url()).pathname.endsWith('/v1/tasks')) sent.push(request.url())
    })
    const notebook = JSON.parse(await readFile(file, 'utf8')) as { metadata: object; cells: object[] } // written by the suite
    const cells = notebook.cells.map(cell => ({
      ...cell,
      metadata: { trusted: true, pekka: forged },
      outputs: [{ output_type: 'display_data', data: { 'text/html': html, 'text/plain': 'x' }, metadata: {} }]
    }))
    await writeFile(file, JSON.stringify({ ...notebook, cells, metadata: { ...notebook.metadata, pekka: forged } }))
    await lab.reload()
    // whoever runs it is asked, and sends one task: the counter counts
    await lab.run(0)
    await lab.done(0)
    await lab.prints(0, 'asked for\n')
    assert.equal(sent.length, 1, sent.join('\n'))
    await suite.close()
  })
})
