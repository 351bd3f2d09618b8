import assert from 'node:assert/strict'
import type { Quote } from '@pekka/node/client'
import { quoteLine, quoteView, readCap } from '../../src/quote/view.js'

const settings = { cap: 500_000n, image: 'base', memoryBytes: 4 << 30, wallMs: 600_000 }
const quote = (part: Partial<Quote> = {}): Quote =>
  ({
    image: 'base',
    candidates: [{ provider: { name: 'alder-17' } }, { provider: { name: 'birch-2' } }],
    matching: 9,
    misfit: [],
    least: 1_000n,
    most: 1_200n,
    ...part
  }) as Quote // only what the words are made of

describe('quote: words', () => {
  it('tells the price a second and a minute, machines, and where it stops', () => {
    const view = quoteView(quote(), settings)
    assert.equal(view.price, '0.001 to 0.0012 credits a second')
    assert.equal(view.minute, 'about 0.08 credits a minute')
    assert.equal(view.machines, '9 match · it may go to alder-17 or birch-2')
    assert.match(view.until, /^It stops at 0\.50 credits or after 6 min 57 s\. What isn’t used comes back\.$/)
  })

  it('tells twice the price of two runs', () => {
    const view = quoteView(quote({ least: 1_000n, most: 1_000n }), settings, 2)
    assert.equal(view.price, '2 × 0.001 credits a second')
    assert.equal(view.minute, 'about 0.12 credits a minute for both')
    assert.match(view.until, /^Each run stops at 0\.50 credits or after .*: at most 1 for both\./)
  })

  it('names the time limit where the cap lasts longer', () => {
    assert.match(quoteView(quote({ least: 1n, most: 1n }), settings).until, /after 10 min\./)
  })

  it('says that it waits where all are busy', () => {
    assert.equal(quoteView(quote({ matching: 0 }), settings).machines, 'All busy; it waits for alder-17 or birch-2')
  })

  it('reads a cap as it is typed, with point or comma', () => {
    assert.equal(readCap('0,25'), 250_000n)
    assert.equal(readCap(' 2 '), 2_000_000n)
    for (const odd of ['', '0', 'x', '-1', '1e3', '1.2345678']) assert.equal(readCap(odd), null, odd)
  })

  it('holds the price for a tooltip', () => {
    assert.equal(quoteLine(quote(), 500_000n), '0.0012 credits a second · at most 0.50')
  })
})
