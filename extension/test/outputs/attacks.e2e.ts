import assert from 'node:assert/strict'
import fc from 'fast-check'
import { attacks, HOSTILE_ERROR } from './attacks.js'
import type { CleanBundle } from '../../src/outputs/index.js'
import type { Attack } from './attacks.js'
import { browserBench } from './browser.js'
import type * as Harness from './harness.js'

declare const lab: typeof Harness
declare const pkHits: string[]

interface Shown {
  hits: string[]
  /** Classes, ids, data attributes and event handlers inside the rendered outputs that aren't JupyterLab's or ours. */
  foreign: string[]
}

describe("outputs: attacks in a real browser, with JupyterLab's own renderers", function () {
  this.timeout(120_000)
  const bench = browserBench('harness.ts')
  let table: Attack[]

  before(async () => {
    table = attacks(bench.beacon)
    await bench.page.evaluate(() => {
      const hits: string[] = []
      Object.assign(globalThis, { pkHits: hits, pkHit: (id: string) => hits.push(id) })
      // Links and forms must not carry the page away while others are tested.
      addEventListener('submit', event => {
        event.preventDefault()
        hits.push('form')
      })
    })
    bench.page.on('dialog', dialog => void dialog.dismiss())
  })

  /** Renders attacks, cleaned or raw, and clicks whatever can be clicked. Hits and beacons carry the attacks' ids. */
  async function play(list: Attack[], how: { clean: boolean; trusted: boolean; saved?: boolean }): Promise<Shown> {
    bench.beacons.length = 0
    return await bench.page.evaluate(async json => {
      const { list, how } = JSON.parse(json) as { list: Attack[]; how: Parameters<typeof play>[1] } // made just below
      pkHits.length = 0
      const nodes: HTMLElement[] = []
      for (const attack of list) {
        const raw = { data: attack.data, metadata: attack.metadata ?? {} }
        const bundle = how.clean ? await lab.cleaner.bundle(raw) : raw
        const output = { output_type: 'display_data', ...bundle } as never // as a notebook file has it
        nodes.push(lab.show([how.saved === true ? (JSON.parse(JSON.stringify(output)) as never) : output], how.trusted))
      }
      const quiet = async (): Promise<unknown> => await new Promise(resolve => setTimeout(resolve, 500))
      await quiet()
      for (const element of nodes.flatMap(node => [...node.querySelectorAll<HTMLElement>('a, button, summary')])) {
        if (element.className.includes('pk-Interactive-button')) continue
        element.addEventListener('click', event => {
          if (element instanceof HTMLAnchorElement && /^(https?|data):/.test(element.href)) event.preventDefault()
        })
        element.click()
      }
      await quiet()
      const foreign: string[] = []
      for (const element of nodes.flatMap(node => [...node.querySelectorAll('.jp-OutputArea-output *')])) {
        for (const { name, value } of element.attributes) {
          const ours = element.closest('.pk-Interactive') !== null
          if (ours || (name === 'class' && /^(jp-RenderedHTMLCommon|lm-Widget|ansi-)/.test(value))) continue
          const odd = /^(on|data-(?!path|locator))/.test(name) || ['id', 'class', 'name'].includes(name)
          if (odd) foreign.push(`${name}=${value}`)
        }
      }
      for (const node of nodes) node.remove()
      return { hits: [...pkHits], foreign }
    }, JSON.stringify({ list, how }))
  }

  const clean = async (attack: Attack): Promise<CleanBundle> =>
    await bench.page.evaluate(
      async raw => await lab.cleaner.bundle(raw),
      { data: attack.data, metadata: attack.metadata ?? {} } as never // JSON, which is more than playwright's type says
    )

  for (const trusted of [false, true]) {
    it(`nothing runs, loads or imitates after cleaning, in a${trusted ? ' trusted' : 'n untrusted'} cell`, async () => {
      const { hits, foreign } = await play(table, { clean: true, trusted })
      assert.deepEqual({ hits, beacons: bench.beacons, foreign }, { hits: [], beacons: [], foreign: [] })
    })
  }

  it('nothing runs after saving, reopening and "Trust Notebook"', async () => {
    const { hits } = await play(table, { clean: true, trusted: true, saved: true })
    assert.deepEqual({ hits, beacons: bench.beacons }, { hits: [], beacons: [] })
  })

  it('the controls do run, or load, without cleaning', async () => {
    const controls = table.filter(({ control }) => control === true)
    const { hits } = await play(controls, { clean: false, trusted: true })
    const seen = new Set([...hits, ...bench.beacons])
    assert.deepEqual(
      controls.map(({ id }) => id).filter(id => !seen.has(id)),
      []
    )
  })

  it('random HTML made of dangerous pieces runs nothing and keeps to the allow-list', async () => {
    const pieces = [
      ...[
        '<',
        '>',
        '"',
        "'",
        '=',
        '/',
        ' ',
        '&lt;',
        '&#x3c;',
        '<!--',
        '-->',
        ']]>',
        '<![CDATA[',
        'x',
        '\u0000',
        '\n',
        '`'
      ],
      ...[
        '<img src=x ',
        'onerror=pkHit("fuzz") ',
        '<svg>',
        '</svg>',
        '<math>',
        '<mtext>',
        '<mglyph>',
        '<style>',
        '</style>'
      ],
      ...[
        '<script>pkHit("fuzz")</script>',
        '<noscript>',
        '<template>',
        '<table>',
        '<tr>',
        '<td title="',
        '<p style="',
        '<a href="'
      ],
      ...[
        'javascript:pkHit("fuzz")',
        '<iframe srcdoc="',
        '<title>',
        '<textarea>',
        '<xmp>',
        '<form>',
        '<select>',
        '<annotation-xml '
      ],
      ...[
        'encoding="text/html">',
        '<foreignObject>',
        '<desc>',
        '<b ',
        'id=x ',
        'class=jp-Dialog ',
        '</p>',
        '<details open ontoggle=pkHit("fuzz")>'
      ]
    ]
    const samples = fc.sample(
      fc.array(fc.constantFrom(...pieces), { minLength: 2, maxLength: 14 }).map(parts => parts.join('')),
      { numRuns: 3000, seed: 20261122 }
    )
    bench.beacons.length = 0
    const { hits, odd } = await bench.page.evaluate(async samples => {
      pkHits.length = 0
      const odd: string[] = []
      const host = document.createElement('div')
      document.body.append(host)
      const allowed =
        /^(href|src|alt|rel|target|style|title|align|valign|width|height|border|cell\w+|colspan|rowspan|span|scope|start|type|value|open|color|bgcolor|datetime|abbr|summary)$/
      for (const sample of samples) {
        const { 'text/html': html } = (await lab.cleaner.bundle({ data: { 'text/html': sample } })).data
        host.innerHTML = typeof html === 'string' ? html : ''
        for (const element of host.querySelectorAll('*')) {
          const bad = [...element.attributes].find(({ name }) => !allowed.test(name))
          if (bad !== undefined || element.namespaceURI !== 'http://www.w3.org/1999/xhtml') odd.push(sample)
        }
      }
      await new Promise(resolve => setTimeout(resolve, 300))
      host.remove()
      return { hits: [...pkHits], odd }
    }, samples)
    assert.deepEqual({ hits, odd, beacons: bench.beacons }, { hits: [], odd: [], beacons: [] })
  })

  it('lets through known types and sizes only, with text to fall back to', async () => {
    const known = [
      'text/plain',
      'text/html',
      'text/latex',
      'application/json',
      'image/png',
      'application/vnd.pekka.interactive+json'
    ]
    for (const attack of table) {
      const { data, metadata } = await clean(attack)
      const mimes = Object.keys(data)
      assert.deepEqual(
        mimes.filter(mime => !known.includes(mime)),
        [],
        attack.id
      )
      assert.ok(mimes.includes('text/plain') || mimes.some(mime => /image|html|json/.test(mime)), attack.id)
      for (const [key, size] of Object.values(metadata).flatMap(value => Object.entries(value ?? {}))) {
        assert.ok(
          ['width', 'height'].includes(key) && typeof size === 'number' && size <= 10_000,
          `${attack.id}: ${key}`
        )
      }
    }
  })

  it("shows an exception's tags and escapes as text", async () => {
    const { hits, text } = await bench.page.evaluate(async error => {
      pkHits.length = 0
      const node = lab.show([{ output_type: 'error', ...lab.cleaner.error(error) }], true)
      await new Promise(resolve => setTimeout(resolve, 60))
      return { hits: [...pkHits], text: node.textContent ?? '' }
    }, HOSTILE_ERROR)
    assert.deepEqual(hits, [])
    assert.match(text, /<b onclick=.*>Traceback<\/b>/)
  })

  it('takes a forged private type away', async () => {
    const forged = table.find(({ id }) => id === 'forged-private')
    assert.ok(forged)
    assert.deepEqual(Object.keys((await clean(forged)).data), ['text/plain'])
  })
})
