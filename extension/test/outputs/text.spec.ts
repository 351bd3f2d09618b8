import assert from 'node:assert/strict'
import fc from 'fast-check'
import { cleanText, StreamText } from '../../src/outputs/text.js'
import { cleanImage } from '../../src/outputs/images.js'
import { cleanJson } from '../../src/outputs/json.js'
import { cleanDeclarations, styleAttribute } from '../../src/outputs/style.js'
import { parseCellMetadata } from '../../src/outputs/cell-metadata.js'

const ESC = '\x1b'

describe('outputs: text', () => {
  const cases: [what: string, from: string, to: string][] = [
    [
      'keeps colours',
      `${ESC}[31mred${ESC}[0m ${ESC}[1;38;5;208mx${ESC}[m`,
      `${ESC}[31mred${ESC}[0m ${ESC}[1;38;5;208mx${ESC}[0m`
    ],
    ['drops concealing and blinking', `${ESC}[8mhidden${ESC}[5;32mgreen`, `hidden${ESC}[32mgreen`],
    ['drops cursor movement and erasing', `a${ESC}[2J${ESC}[10;1Hb${ESC}[K`, 'ab'],
    ['keeps the text of a terminal link', `${ESC}]8;;http://x\x07text${ESC}]8;;${ESC}\\`, 'text'],
    ['drops titles and device strings', `${ESC}]0;title\x07a${ESC}Pq#0${ESC}\\b${ESC}_x\x9cc`, 'abc'],
    ['drops eight-bit introducers', '\x9b31mred\x9d0;t\x07x', `${ESC}[31mredx`],
    ['shows other control characters', 'a\x00b\x07c\x7fd\x85', 'a\u2400b\u2407c\u2421d‹U+0085›'],
    ['shows marks that reorder text', 'a\u202eb\u2066c', 'a‹U+202E›b‹U+2066›c'],
    ['leaves right-to-left scripts and joined emoji alone', 'שלום \u200f👩‍🔬', 'שלום \u200f👩‍🔬'],
    ['replaces half characters', 'a\ud800b', 'a\ufffdb'],
    ['keeps tabs, line ends and returns', 'a\tb\r\nc\rd', 'a\tb\r\nc\rd'],
    ['drops malformed colours', `${ESC}[38;5mx${ESC}[38;2;300;0;0my${ESC}[<1mz`, 'xyz']
  ]
  for (const [what, from, to] of cases) it(what, () => assert.equal(cleanText(from), to))

  const odd = fc
    .array(
      fc.constantFrom(
        ESC,
        '[',
        ']',
        '8',
        ';',
        'm',
        '31',
        'P',
        '\\',
        '\x07',
        '\x9b',
        '\x00',
        'a',
        '\n',
        '\u202e',
        '\r',
        '\b',
        '😀'
      )
    )
    .map(parts => parts.join(''))

  it('leaves nothing but text and colours, and changes nothing the second time', () => {
    fc.assert(
      fc.property(odd, text => {
        const clean = cleanText(text)
        assert.equal(cleanText(clean), clean)
        assert.match(clean, /^(?:[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e]|\x1b\[[\d;]+m)*$/)
      }),
      { numRuns: 2000 }
    )
  })

  it('cleans a stream alike however it is cut into pieces', () => {
    fc.assert(
      fc.property(odd, fc.array(fc.nat(40), { maxLength: 8 }), (text, cuts) => {
        const stream = new StreamText()
        let out = ''
        let at = 0
        for (const cut of cuts) {
          out += stream.push(text.slice(at, at + cut))
          at += cut
        }
        out += stream.push(text.slice(at)) + stream.flush()
        assert.equal(out, cleanText(text, { stream: true }))
      }),
      { numRuns: 2000 }
    )
  })

  it('keeps backspaces in streams, where progress bars use them', () => {
    assert.equal(new StreamText().push('a\b'), 'a\b')
    assert.equal(cleanText('a\b'), 'a\u2408')
  })
})

describe('outputs: pictures', () => {
  const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
  const gif = 'R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=='
  const jpeg = btoa(
    String.fromCharCode(
      0xff,
      0xd8,
      0xff,
      0xe0,
      0,
      4,
      1,
      2,
      0xff,
      0xc0,
      0,
      17,
      8,
      0,
      9,
      0,
      7,
      3,
      ...Array<number>(11).fill(1)
    )
  )

  it('lets through pictures whose bytes are what their type says', () => {
    assert.equal(cleanImage('image/png', `${png.slice(0, 20)}\n${png.slice(20)}`), png)
    assert.equal(cleanImage('image/gif', gif), gif)
    assert.equal(cleanImage('image/jpeg', [jpeg]), jpeg)
  })

  it('refuses other bytes, other types, too many pixels and what is no base64', () => {
    assert.equal(cleanImage('image/png', gif), undefined)
    assert.equal(cleanImage('image/jpeg', png), undefined)
    assert.equal(cleanImage('image/png', btoa('<script>')), undefined)
    assert.equal(cleanImage('image/png', `${png}" onerror="x`), undefined)
    assert.equal(cleanImage('image/png', png.replace('AAAAEAAAAB', 'AAgAAAAIAA')), undefined)
    for (const value of [undefined, null, 3, {}, '', [1]]) assert.equal(cleanImage('image/png', value), undefined)
  })

  it('never throws', () => {
    fc.assert(
      fc.property(
        fc.string(),
        text => void cleanImage('image/jpeg', btoa(`\xff\xd8\xff${text.replace(/[^\x20-\x7e]/g, '')}`))
      )
    )
  })
})

describe('outputs: JSON', () => {
  it('copies with readable text and without prototypes', () => {
    const clean = cleanJson(JSON.parse('{"a":["\\u202e",{"__proto__":{"x":1}}],"b":null,"c":1.5}'))
    assert.deepEqual(clean, { a: ['‹U+202E›', {}], b: null, c: 1.5 })
    assert.equal((Object.prototype as Record<string, unknown>)['x'], undefined) // looks for pollution
  })

  it('refuses what is too deep, too large or no object', () => {
    let deep: unknown = []
    for (let i = 0; i < 100; i += 1) deep = [deep]
    assert.equal(cleanJson(deep), undefined)
    assert.equal(cleanJson(Array(200_000).fill(0)), undefined)
    assert.equal(cleanJson('text'), undefined)
  })
})

describe('outputs: styles', () => {
  it("keeps what pandas' Styler writes", () => {
    const bar =
      'width: 10em; background: linear-gradient(90deg, #d65f5f 50.0%, transparent 50.0%); color: #f1f1f1; font-weight: bold'
    assert.deepEqual(styleAttribute(bar), {
      declarations: bar.split('; ').map(part => part.split(': ')),
      cut: false
    })
  })

  it('drops what moves, covers, stacks, hides or fetches, and says so', () => {
    for (const style of [
      'position: fixed',
      'z-index: 9',
      'background: url(x)',
      'float: left',
      'transform: scale(9)',
      'opacity: 0'
    ]) {
      assert.deepEqual(styleAttribute(style), { declarations: [], cut: true }, style)
    }
    for (const style of ['margin: -9px', 'width: 9999999px', 'color: var(--jp)', 'constructor: x', 'color: \\72 ed']) {
      assert.deepEqual(styleAttribute(style).declarations, [], style)
    }
  })

  it('lets no value out that could end the declaration', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('color', 'background', 'border', 'font-family', 'width'),
        fc.string(),
        (name, value) => {
          for (const [, kept] of cleanDeclarations([[name, value]]).declarations)
            assert.doesNotMatch(kept, /[;{}<>\\]|url|\/\*/i)
        }
      ),
      { numRuns: 2000 }
    )
  })
})

describe('outputs: cell metadata', () => {
  const good = { v: 1, task: 'ab'.repeat(32), bridge: 'auto', owner: 'me', state: 'running' }

  it('reads what it wrote and drops what it does not know', () => {
    assert.deepEqual(parseCellMetadata({ ...good, price: '73000', wallMs: 41_000, other: 1, image: 3 }), {
      ...good,
      price: '73000',
      wallMs: 41_000
    })
  })

  it('tolerates rubbish', () => {
    for (const change of [{ v: 2 }, { task: '<b>' }, { bridge: '' }, { owner: 1 }, { state: 'checked' }]) {
      assert.equal(parseCellMetadata({ ...good, ...change }), undefined)
    }
    fc.assert(fc.property(fc.anything(), value => void parseCellMetadata(value)))
  })
})
