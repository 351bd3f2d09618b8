import assert from 'node:assert/strict'
import { deflateSync } from 'node:zlib'
import { canonicalText, canonicalValue } from '@pekka/node/verification'
import { toHex } from '@pekka/node/protocol'
import { inflate, NotDeflated } from '../../../src/core/verification/inflate.js'
import { decodePng } from '../../../src/core/verification/png.js'
import { LineCanoniser } from '../../../src/core/verification/text.js'
import { pngFile, type PngInit } from './png-file.js'

/** Pairs that two honest runs may write, and pairs that are different results. */
const SAME: [string, string][] = [
  ['<function f at 0x7f12a4b0c1d0>', '<function f at 0x7fe98a33b040>'],
  ['object at 0x7f12a4b0c1d0, next', 'object at 0x55d0cc1d0aa0, next'],
  ['\u001b[1;31mred\u001b[0m', 'red'],
  ['10%\r50%\r100% done', '100% done'],
  ['a \nb\t\n', 'a\nb'],
  ['a\r\nb\r\n', 'a\nb\n'],
  ['x\b\bab', 'ab'],
  [
    'id 6b1f0a52-8f0e-4ba5-9df4-0d6b6bff9ab1, 6b1f0a52-8f0e-4ba5-9df4-0d6b6bff9ab1',
    'id 00000000-1111-2222-3333-444444444444, 00000000-1111-2222-3333-444444444444'
  ],
  ['/tmp/ipykernel_17/3210.py:1: W', '/tmp/ipykernel_99/12.py:1: W'],
  ['pid=17', 'pid=4242']
]
const DIFFERENT: [string, string][] = [
  ['1.0', '1.1'],
  ['mask 0xdeadbeef', 'mask 0xdeadbeee'],
  ['d41d8cd98f00b204e9800998ecf8427e', 'd41d8cd98f00b204e9800998ecf8427f'],
  [
    '6b1f0a52-8f0e-4ba5-9df4-0d6b6bff9ab1 6b1f0a52-8f0e-4ba5-9df4-0d6b6bff9ab1',
    '6b1f0a52-8f0e-4ba5-9df4-0d6b6bff9ab1 00000000-1111-2222-3333-444444444444'
  ],
  ['a\nb', 'ab'],
  ['  indented', 'indented'],
  ['2024-01-01', '2024-01-02']
]

const form = (mime: string, value: unknown): string => toHex(canonicalValue(mime, value))

describe('canonical text', () => {
  for (const [a, b] of SAME) {
    it(`takes ${JSON.stringify(a)} and ${JSON.stringify(b)} for the same`, () =>
      assert.equal(canonicalText(a), canonicalText(b)))
  }
  for (const [a, b] of DIFFERENT) {
    it(`keeps ${JSON.stringify(a)} and ${JSON.stringify(b)} apart`, () =>
      assert.notEqual(canonicalText(a), canonicalText(b)))
  }

  it('is the same however a stream is cut, also inside a character and a CRLF', () => {
    const text = 'ä\r\nx 0x7f12a4b0c1d0> <a at 0x7f12a4b0c1d0>\n1\r2\rlast'
    const bytes = new TextEncoder().encode(text)
    for (const size of [1, 2, 3, 7, 1000]) {
      let out = ''
      const lines = new LineCanoniser(line => (out += line))
      for (let at = 0; at < bytes.length; at += size) lines.push(bytes.subarray(at, at + size))
      lines.end()
      assert.equal(out, canonicalText(text), `pieces of ${size}`)
    }
  })

  it('takes hostile text in time that grows with its length alone', () => {
    const nasty = [
      '<'.repeat(300_000),
      '/tmp/ipykernel_'.repeat(50_000),
      `/site-packages${'/a'.repeat(300_000)}`,
      '\b\r'.repeat(300_000),
      '0x'.repeat(300_000),
      '-'.repeat(300_000)
    ]
    for (const text of nasty) assert.ok(canonicalText(text).length <= text.length + 1)
  })
})

describe('canonical HTML and SVG', () => {
  it("renames ids where styles and cells use them, as a Styler's", () => {
    const page = (id: string) =>
      `<style type="text/css">\n#T_${id}_row0_col0 { color: red }\n</style><table id="T_${id}"><td id="T_${id}_row0_col0" class="data row0">1.5</td></table>`
    assert.equal(form('text/html', page('ab12c')), form('text/html', page('99fe0')))
  })

  it('knows no difference in the order of attributes, in comments and in blanks', () => {
    assert.equal(
      form('text/html', '<td  class="a" id="x">1 <!-- made today --></td>'),
      form('text/html', "<TD id='x'\n class=a>\n1</TD>")
    )
  })

  it('sees a changed cell, a style that hides one, another script and a text that imitates an id', () => {
    const page = '<table id="t"><td id="u">7</td></table>'
    const others = [
      page.replace('7', '8'),
      page.replace('id="u"', 'id="8"').replace('7', '8'),
      `<style>td{display:none}</style>${page}`,
      `${page}<script>document.body.remove()</script>`
    ]
    for (const other of others) assert.notEqual(form('text/html', page), form('text/html', other))
    const script = (code: string) => `<div id="a"></div><script>${code}</script>`
    assert.notEqual(form('text/html', script('draw("a", 1)')), form('text/html', script('draw("a", 2)')))
  })

  it('leaves date and ids of a matplotlib figure out, and half an ulp of its coordinates', () => {
    const svg = (id: string, x: string, date: string) =>
      `<?xml version="1.0"?><svg><metadata><dc:date>${date}</dc:date></metadata><clipPath id="p${id}"><path d="M ${x} 10"/></clipPath><g clip-path="url(#p${id})"/></svg>`
    const first = form('image/svg+xml', svg('1f2', '12.3400001', '2024'))
    assert.equal(first, form('image/svg+xml', svg('9ac', '12.3400002', '2025')))
    assert.notEqual(first, form('image/svg+xml', svg('9ac', '12.36', '2025')))
  })

  it('takes hostile markup in time that grows with its length alone', () => {
    for (const piece of ['<script', '<!--', '<a b="', "<a id='", '<', 'id=', '</style', '<style>', ' id = ']) {
      assert.ok(canonicalValue('text/html', piece.repeat(60_000)).length >= 0)
      assert.ok(canonicalValue('image/svg+xml', piece.repeat(60_000)).length >= 0)
    }
  })
})

describe('canonical JSON', () => {
  it('knows no order of keys and no uids', () => {
    const mime = 'application/vnd.plotly.v1+json'
    assert.equal(form(mime, { a: 1, uid: 'x1', b: [{ uid: 'y' }] }), form(mime, { b: [{ uid: 'z' }], uid: 'q', a: 1 }))
    assert.notEqual(form(mime, { a: 1 }), form(mime, { a: 2 }))
  })
})

describe('canonical pictures', () => {
  const png = (init: Partial<PngInit> = {}): string => pngFile(init).toString('base64')

  it('are their pixels, whatever stands beside them in the file and however it is compressed', () => {
    const first = form('image/png', png())
    assert.equal(first, form('image/png', png({ text: 'Software\0matplotlib 3.10' })))
    assert.equal(first, form('image/png', png({ level: 0 })))
    assert.equal(first, form('image/png', png({ filter: 4 })))
    assert.equal(first, form('image/png', `${png().slice(0, 20)}\n${png().slice(20)}`))
    assert.notEqual(first, form('image/png', png({ change: true })))
  })

  it('decodes every filter, colour type and depth as other decoders do', () => {
    for (const filter of [0, 1, 2, 3, 4]) {
      assert.deepEqual(decodePng(pngFile({ filter }))?.pixels, decodePng(pngFile({ filter: 0 }))?.pixels)
    }
    const gray = decodePng(
      pngFile({ colour: 0, depth: 1, width: 9, height: 1, rows: [Buffer.from([0b10100000, 0x80])] })
    )
    assert.deepEqual(
      [...(gray?.pixels ?? [])].filter((_, i) => i % 4 === 0),
      [255, 0, 255, 0, 0, 0, 0, 0, 255]
    )
    const palette = decodePng(
      pngFile({
        colour: 3,
        depth: 8,
        width: 2,
        height: 1,
        rows: [Buffer.from([1, 0])],
        palette: Buffer.from([1, 2, 3, 4, 5, 6]),
        transparent: Buffer.from([9])
      })
    )
    assert.deepEqual([...(palette?.pixels ?? [])], [4, 5, 6, 255, 1, 2, 3, 9])
    const deep = decodePng(pngFile({ colour: 0, depth: 16, width: 1, height: 1, rows: [Buffer.from([1, 2])] }))
    assert.deepEqual([...(deep?.pixels ?? [])], [1, 2, 1, 2, 1, 2, 255, 255])
  })

  it('never throws and never grows on a broken or lying file', () => {
    const good = pngFile({})
    let seed = 1
    const random = (below: number): number => (seed = (seed * 48271) % 2147483647) % below
    for (let i = 0; i < 500; i++) {
      const bad = Buffer.from(good)
      for (let k = 0; k <= random(4); k++) bad[random(bad.length)] = random(256)
      const cut = bad.subarray(0, random(2) === 0 ? bad.length : random(bad.length))
      assert.ok(canonicalValue('image/png', cut.toString('base64')).length < 1 << 20)
    }
    // says 60,000 × 60,000
    const bomb = pngFile({ claimed: [60_000, 60_000] })
    assert.equal(decodePng(bomb), null)
  })

  it('are, of a JPEG, all but its remarks', () => {
    const segment = (marker: number, content: string) =>
      Buffer.concat([Buffer.from([0xff, marker, 0, content.length + 2]), Buffer.from(content)])
    const jpeg = (remark: string, scan: string) =>
      Buffer.concat([
        Buffer.from([0xff, 0xd8]),
        segment(0xe1, remark),
        segment(0xdb, 'tables'),
        Buffer.from([0xff, 0xda]),
        Buffer.from(scan)
      ]).toString('base64')
    assert.equal(form('image/jpeg', jpeg('2024', 'scan')), form('image/jpeg', jpeg('today', 'scan')))
    assert.notEqual(form('image/jpeg', jpeg('2024', 'scan')), form('image/jpeg', jpeg('2024', 'scam')))
  })
})

describe('inflate', () => {
  it('gives what was deflated, at every level', () => {
    const texts = ['', 'a', 'abc'.repeat(10_000), Array.from({ length: 70_000 }, (_, i) => (i * 7919) % 251).join(' ')]
    for (const text of texts) {
      for (const level of [0, 1, 6, 9]) {
        const out = inflate(deflateSync(text, { level }), Buffer.byteLength(text))
        assert.equal(Buffer.from(out).toString(), text)
      }
    }
  })

  it('refuses what is longer, shorter, cut off or no zlib', () => {
    const packed = deflateSync('x'.repeat(1000))
    for (const size of [999, 1001]) assert.throws(() => inflate(packed, size), NotDeflated)
    assert.throws(() => inflate(packed.subarray(0, 5), 1000), NotDeflated)
    assert.throws(() => inflate(new Uint8Array([1, 2, 3]), 3), NotDeflated)
  })
})
