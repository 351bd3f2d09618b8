import assert from 'node:assert/strict'
import { attacks, HOSTILE_ERROR } from './attacks.js'
import type { CleanBundle } from '../../src/outputs/index.js'
import type { Attack } from './attacks.js'
import { browserMissing, openBench } from './browser.js'
import type { Bench } from './browser.js'
import type * as Harness from './harness.js'

declare const lab: typeof Harness
declare const pkHits: string[]

interface Shown {
  hits: string[]
  data: Record<string, unknown>
  metadata: Record<string, unknown>
  /** Classes, ids, data attributes and event handlers inside the rendered outputs that aren't JupyterLab's or ours. */
  foreign: string[]
  html: string
}

describe("outputs: attacks in a real browser, with JupyterLab's own renderers", function () {
  this.timeout(120_000)
  let bench: Bench
  let table: Attack[]

  before(async function () {
    const missing = browserMissing()
    if (missing !== undefined) {
      console.log(`      left out: ${missing}`)
      this.skip()
    }
    bench = await openBench('harness.ts')
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
  after(async () => await bench?.close())

  /** Renders an attack, cleaned or raw, and clicks whatever can be clicked. */
  async function play(attack: Attack, how: { clean: boolean; trusted: boolean; saved?: boolean }): Promise<Shown> {
    bench.beacons.length = 0
    const shown = await bench.page.evaluate(async json => {
      const { attack, how } = JSON.parse(json) as { attack: Attack; how: Parameters<typeof play>[1] } // made just below
      pkHits.length = 0
      const raw = { data: attack.data, metadata: attack.metadata ?? {} }
      const bundle = how.clean ? await lab.cleaner.bundle(raw) : raw
      const output = { output_type: 'display_data', ...bundle } as never // as a notebook file has it
      const kept = how.saved === true ? (JSON.parse(JSON.stringify(output)) as never) : output
      const node = lab.show([kept], how.trusted)
      const quiet = async (): Promise<unknown> =>
        await new Promise(resolve => setTimeout(resolve, how.clean ? 60 : 250))
      await quiet()
      for (const element of node.querySelectorAll<HTMLElement>('a, button, summary')) {
        if (element.className.includes('pk-Interactive-button')) continue
        element.addEventListener('click', event => {
          if (element instanceof HTMLAnchorElement && /^(https?|data):/.test(element.href)) event.preventDefault()
        })
        element.click()
      }
      await quiet()
      const foreign: string[] = []
      for (const element of node.querySelectorAll('.jp-OutputArea-output *')) {
        for (const { name, value } of element.attributes) {
          const ours = element.closest('.pk-Interactive') !== null
          if (ours || (name === 'class' && /^(jp-RenderedHTMLCommon|lm-Widget|ansi-)/.test(value))) continue
          if (/^(on|data-(?!path|locator))/.test(name) || ['id', 'class', 'name'].includes(name))
            foreign.push(`${name}=${value}`)
        }
      }
      const html = node.innerHTML
      node.remove()
      return {
        hits: [...pkHits],
        data: bundle.data as never,
        metadata: (bundle.metadata ?? {}) as never,
        foreign,
        html
      }
    }, JSON.stringify({ attack, how }))
    return shown
  }

  const clean = async (attack: Attack): Promise<CleanBundle> =>
    await bench.page.evaluate(
      async raw => await lab.cleaner.bundle(raw),
      { data: attack.data, metadata: attack.metadata ?? {} } as never // JSON, which is more than playwright's type says
    )

  for (const trusted of [false, true]) {
    it(`nothing runs, loads or imitates after cleaning, in a${trusted ? ' trusted' : 'n untrusted'} cell`, async () => {
      for (const attack of table) {
        const { hits, foreign } = await play(attack, { clean: true, trusted })
        assert.deepEqual(
          { id: attack.id, hits, beacons: bench.beacons, foreign },
          { id: attack.id, hits: [], beacons: [], foreign: [] }
        )
      }
    })
  }

  it('nothing runs after saving, reopening and "Trust Notebook"', async () => {
    for (const attack of table) {
      const { hits } = await play(attack, { clean: true, trusted: true, saved: true })
      assert.deepEqual({ id: attack.id, hits, beacons: bench.beacons }, { id: attack.id, hits: [], beacons: [] })
    }
  })

  it('the controls do run, or load, without cleaning', async () => {
    const silent: string[] = []
    for (const attack of table.filter(({ control }) => control === true)) {
      const { hits } = await play(attack, { clean: false, trusted: true })
      if (hits.length + bench.beacons.length === 0) silent.push(attack.id)
    }
    assert.deepEqual(silent, [])
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
