import assert from 'node:assert/strict'
import { createPrimitives } from '../../../src/host/crypto/index.js'
import {
  INLINE_CONTENT_BYTES,
  PART_BYTES,
  bundleSchema,
  collide,
  createBundle,
  decodeBundle,
  encodeBundle,
  isTravelPath,
  openPart,
  sealPart,
  travelIssue,
  viewKeyFrom,
  type Bundle,
  type TravelFile
} from '../../../src/core/protocol/index.js'

const { aead } = createPrimitives()
const view = viewKeyFrom(new Uint8Array(32).fill(7))
const program: Bundle['program'] = { kind: 'cells', cells: [{ id: 'a', source: '1', tags: [] }], stopOnError: true }
const file = (path: string, bytes = new Uint8Array(3)): TravelFile => ({
  path,
  size: bytes.length,
  executable: false,
  content: { kind: 'inline', bytes }
})

describe('protocol: what travels', () => {
  it('takes plain relative paths and no others', () => {
    for (const path of ['a', 'data/x.csv', 'ü/日本.txt', '.env', 'a b', '...', 'a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p'])
      assert.ok(isTravelPath(path), path)
    const bad = [
      '',
      '/etc/passwd',
      '..',
      'a/../b',
      './a',
      'a/.',
      'a//b',
      'a/',
      'C:/x',
      'a\\b',
      'a\0b',
      'a\nb',
      '\u007f',
      '\ud800'
    ]
    for (const path of [...bad, 'x'.repeat(256), 'é'.repeat(128), 'a/'.repeat(16) + 'b', 'y/'.repeat(600)])
      assert.ok(!isTravelPath(path), JSON.stringify(path))
  })

  it('finds files that a disk would mix up', () => {
    assert.ok(collide(['a', 'A']))
    assert.ok(collide(['e\u0301', '\u00e9']))
    assert.ok(collide(['a', 'a/b']))
    assert.ok(collide(['x/y', 'x/y/z/w']))
    assert.ok(!collide(['a', 'b/a', 'ab/a', 'b/ab']))
  })

  it('seals the same part to the same bytes, and another part under another key', async () => {
    const plain = new TextEncoder().encode('the same data')
    const [one, two] = [await sealPart(aead, view, plain), await sealPart(aead, view, plain)]
    assert.deepEqual(one, two)
    const other = await sealPart(aead, view, new TextEncoder().encode('the same datb'))
    assert.notDeepEqual(other.part.key, one.part.key)
    assert.deepEqual(await openPart(aead, one.part, one.sealed), plain)
    const foreign = await sealPart(aead, viewKeyFrom(new Uint8Array(32).fill(8)), plain)
    assert.notDeepEqual(foreign.sealed, one.sealed)
  })

  it('refuses a part that was changed, cut, or swapped', async () => {
    const { part, sealed } = await sealPart(aead, view, new Uint8Array(1000))
    const changed = sealed.slice()
    changed[5] = (changed[5] ?? 0) ^ 1
    await assert.rejects(openPart(aead, part, changed), { code: 'BLOB_MISMATCH' })
    await assert.rejects(openPart(aead, part, sealed.subarray(1)), { code: 'BLOB_MISMATCH' })
    const other = await sealPart(aead, view, new Uint8Array(1001))
    await assert.rejects(openPart(aead, { ...other.part, key: part.key }, other.sealed), { code: 'SEAL_BROKEN' })
  })

  it('hides the exact size of a part', async () => {
    const sizes = await Promise.all(
      [99_990, 99_995, 100_000].map(async n => (await sealPart(aead, view, new Uint8Array(n))).part.size)
    )
    assert.equal(new Set(sizes).size, 1)
  })

  it('opens a bundle with files and values, and refuses one whose sizes or paths are wrong', () => {
    const bundle = (files: TravelFile[]): Bundle => ({ ...createBundle(program, null), files })
    const good = bundle([file('a.py'), file('data/x.csv')])
    assert.deepEqual(decodeBundle(encodeBundle(good)), good)
    const refused = (files: TravelFile[]) =>
      assert.throws(() => decodeBundle(encodeBundle(bundle(files))), { code: 'BUNDLE_REFUSED' })
    refused([file('../a')])
    refused([file('a'), file('A')])
    refused([{ ...file('a'), size: 4 }])
    refused([file('a', new Uint8Array(INLINE_CONTENT_BYTES + 1))])
    const part = { hash: new Uint8Array(32), size: 10, key: new Uint8Array(32) }
    refused([{ ...file('a'), size: PART_BYTES + 1, content: { kind: 'sealed', parts: [part] } }])
    assert.ok(!bundleSchema.safeParse({ ...good, values: [{ name: 'a b', codec: 'json' }] }).success)
  })

  it('bounds what travels with one task', () => {
    const part = { hash: new Uint8Array(32), size: 10, key: new Uint8Array(32) }
    const big = (path: string): TravelFile => ({
      ...file(path),
      size: 64 * PART_BYTES,
      content: { kind: 'sealed', parts: Array(64).fill(part) }
    })
    assert.equal(travelIssue([big('a'), big('b')], []), null)
    assert.equal(travelIssue([big('a'), big('b'), file('c')], []), 'more data travels than a machine takes')
  })
})
