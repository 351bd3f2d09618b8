import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { WheelStore, linkSite, unpackWheel } from '@pekka/node/host/layers'
import { isPekkaError, type LayerPackage } from '@pekka/node/protocol'
import { packageOf, wheel, wheelFileOf, zip, type WheelInit, type ZipPart } from './wheels.js'

const GOOD: WheelInit = {
  name: 'good-thing',
  files: { 'good_thing/__init__.py': 'answer = 42\n', 'good_thing/data/table.csv': 'a,b\n1,2\n' }
}
const add =
  (...more: ZipPart[]) =>
  (parts: ZipPart[]): ZipPart[] => [...more, ...parts]
const change =
  (path: RegExp, how: (part: ZipPart) => ZipPart) =>
  (parts: ZipPart[]): ZipPart[] =>
    parts.map(part => (path.test(part.path) ? how(part) : part))
const bytes = (words: string): Uint8Array => new TextEncoder().encode(words)

/** Each a way to get something past who unpacks it. */
const HOSTILE: Record<string, Buffer> = {
  'a path that climbs out': wheel({ ...GOOD, files: { '../../outside.py': 'x' } }),
  'an absolute path': wheel({ ...GOOD, files: { '/tmp/outside.py': 'x' } }),
  'a path with a backslash': wheel({ ...GOOD, files: { '..\\outside.py': 'x' } }),
  'a path with a drive': wheel({ ...GOOD, files: { 'C:outside.py': 'x' } }),
  'a path with a NUL': wheel({ ...GOOD, files: { 'a\u0000b.py': 'x' } }),
  'a path with an empty part': wheel({ ...GOOD, files: { 'a//b.py': 'x' } }),
  'a name of 300 bytes': wheel({ ...GOOD, files: { [`${'n'.repeat(300)}.py`]: 'x' } }),
  'a symbolic link': wheel({
    ...GOOD,
    files: { ...GOOD.files, link: '/etc/passwd' },
    spoil: change(/^link$/, part => ({ ...part, mode: 0o120777 }))
  }),
  'a device': wheel({ ...GOOD, spoil: change(/table/, part => ({ ...part, mode: 0o020666 })) }),
  'a file that is not in RECORD': wheel({ ...GOOD, spoil: add({ path: 'extra.py', bytes: bytes('x') }) }),
  'a file of RECORD that is missing': wheel({
    ...GOOD,
    spoil: parts => parts.filter(({ path }) => !path.includes('table'))
  }),
  'a file with another hash than in RECORD': wheel({
    ...GOOD,
    spoil: change(/__init__/, part => ({ ...part, bytes: bytes('answer = 43\n') }))
  }),
  'a RECORD without hashes': wheel({
    ...GOOD,
    spoil: change(/RECORD$/, part => ({ ...part, bytes: bytes('good_thing/__init__.py,,\n') }))
  }),
  'no RECORD': wheel({ ...GOOD, spoil: parts => parts.filter(({ path }) => !path.endsWith('RECORD')) }),
  'two .dist-info': wheel({ ...GOOD, files: { ...GOOD.files, 'other-1.0.dist-info/METADATA': 'x' } }),
  'another package': wheel({ ...GOOD, name: 'other-thing' }),
  'wheel version 2': wheel({
    ...GOOD,
    spoil: change(/WHEEL$/, part => ({ ...part, bytes: bytes('Wheel-Version: 2.0\n') }))
  }),
  'a size that is a lie': wheel({
    ...GOOD,
    files: { ...GOOD.files, 'zeros.bin': '\0'.repeat(5_000_000) },
    spoil: change(/zeros/, part => ({ ...part, lie: { size: 10 } }))
  }),
  'a large file with a size that is a lie': wheel({
    ...GOOD,
    files: { ...GOOD.files, 'zeros.bin': '\0'.repeat(5_000_000) },
    spoil: change(/zeros/, part => ({ ...part, lie: { size: 4_000_000 } }))
  }),
  'more than it may unpack to': wheel({
    ...GOOD,
    spoil: change(/table/, part => ({ ...part, lie: { size: 3_000_000_000 } }))
  }),
  'a check sum that is a lie': wheel({ ...GOOD, spoil: change(/table/, part => ({ ...part, lie: { crc: 1 } })) }),
  'two names for one file': wheel({
    ...GOOD,
    spoil: change(/table/, part => ({ ...part, lie: { localName: 'good_thing/data/other.csv' } }))
  }),
  'two entries with the same bytes': wheel({
    ...GOOD,
    spoil: change(/table/, part => ({ ...part, lie: { header: 0 } }))
  }),
  'one name twice': wheel({
    ...GOOD,
    spoil: add({ path: 'good_thing/__init__.py', bytes: bytes('evil = 1\n') })
  }),
  'a file that is also a folder': wheel({ ...GOOD, files: { ...GOOD.files, good_thing: 'x' } }),
  'two files for one place': wheel({
    ...GOOD,
    files: { ...GOOD.files, 'good_thing-1.0.data/purelib/good_thing/__init__.py': 'x' }
  }),
  'something before the archive': Buffer.concat([bytes('#!/bin/sh\n'), wheel(GOOD)]),
  'something after the archive': Buffer.concat([wheel(GOOD), bytes('tail')]),
  'half an archive': wheel(GOOD).subarray(0, 300),
  'an empty file': Buffer.alloc(0),
  'an archive without files': zip([]),
  text: Buffer.from('<html>not found</html>')
}

describe('wheels', () => {
  let folder: string
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'pekka-wheel-'))))
  afterEach(() => rm(folder, { recursive: true }))

  const unpack = async (content: Buffer, name = 'good-thing') => {
    const path = join(folder, 'wheel')
    await writeFile(path, content)
    return unpackWheel(path, { name, file: wheelFileOf(name) }, join(folder, 'in', 'site'))
  }

  it('unpacks what belongs into a site folder, and what is executable as that', async () => {
    const { files } = await unpack(
      wheel({
        ...GOOD,
        files: {
          ...GOOD.files,
          'good_thing-1.0.data/purelib/more.py': 'x',
          'good_thing/tool': 'x',
          'big.bin': 'ab'.repeat(1_000_000)
        },
        spoil: change(/tool/, part => ({ ...part, mode: 0o100755 }))
      })
    )
    const site = join(folder, 'in', 'site')
    assert.equal(await readFile(join(site, 'good_thing/__init__.py'), 'utf8'), 'answer = 42\n')
    assert.equal((await readFile(join(site, 'big.bin'))).length, 2_000_000)
    assert.equal((await stat(join(site, 'good_thing/tool'))).mode & 0o777, 0o755)
    assert.deepEqual(
      files
        .filter(({ path }) => !path.includes('dist-info'))
        .map(({ path }) => path)
        .sort(),
      ['big.bin', 'good_thing/__init__.py', 'good_thing/data/table.csv', 'good_thing/tool', 'more.py']
    )
  })

  it('leaves out what an interpreter would run by itself, commands, and byte code', async () => {
    const started = {
      'good.pth': 'import os; os.system("x")',
      'sitecustomize.py': 'x',
      'usercustomize/__init__.py': 'x',
      'good_thing-1.0.data/purelib/other.pth': 'import os',
      'good_thing-1.0.data/scripts/good': '#!python',
      'good_thing-1.0.data/data/etc/profile': 'x',
      'good_thing-1.0.data/headers/good.h': 'x',
      'good_thing/__pycache__/__init__.cpython-311.pyc': 'x'
    }
    await unpack(wheel({ ...GOOD, files: { ...GOOD.files, ...started } }))
    const there = await readdir(join(folder, 'in', 'site'))
    assert.deepEqual(there.sort(), ['good_thing', 'good_thing-1.0.dist-info'])
    assert.deepEqual((await readdir(join(folder, 'in', 'site', 'good_thing'))).sort(), ['__init__.py', 'data'])
  })

  for (const [what, content] of Object.entries(HOSTILE)) {
    it(`refuses ${what}, and writes nothing outside`, async () => {
      await assert.rejects(unpack(content), error => isPekkaError(error) && error.code === 'LAYER_REFUSED')
      assert.deepEqual(
        (await readdir(folder)).filter(name => name !== 'in' && name !== 'wheel'),
        []
      )
      assert.deepEqual(
        (await readdir(join(folder, 'in')).catch(() => [])).filter(name => name !== 'site'),
        []
      )
    })
  }
})

describe('store of wheels', () => {
  let folder: string
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'pekka-wheels-'))))
  afterEach(() => rm(folder, { recursive: true }))

  const good = wheel(GOOD)
  const entry: LayerPackage = packageOf('good-thing', good)

  it('fetches a wheel once for all who want it, and keeps it', async () => {
    const store = new WheelStore({ folder })
    let fetched = 0
    const fetch = async (_wheel: LayerPackage, path: string) => {
      fetched++
      await writeFile(path, good)
    }
    await Promise.all([store.ensure([entry], fetch), store.ensure([entry], fetch)])
    const again = new WheelStore({ folder })
    const [unpacked] = await again.ensure([entry], fetch)
    assert.equal(fetched, 1)
    assert.ok(unpacked)
    await linkSite([unpacked], join(folder, 'site'))
    assert.equal(await readFile(join(folder, 'site/good_thing/__init__.py'), 'utf8'), 'answer = 42\n')
  })

  it('refuses bytes with another hash before it opens them, and leaves nothing', async () => {
    const store = new WheelStore({ folder })
    const wrong = { ...entry, hash: new Uint8Array(32) }
    const failed = store.ensure([wrong], (_wheel, path) => writeFile(path, good))
    await assert.rejects(failed, error => isPekkaError(error) && error.code === 'BLOB_MISMATCH')
    assert.deepEqual(await readdir(join(folder, 'wheels')), [])
    assert.deepEqual(await readdir(join(folder, 'drafts')), [])
  })

  it('never shows a half-made folder: what a killed process left is gone at the next start', async () => {
    const store = new WheelStore({ folder })
    // Killed while it fetched: the promise stays open for ever.
    const left = Promise.withResolvers<void>()
    void store.ensure([entry], async (_wheel, path) => {
      await writeFile(path, good.subarray(0, 100))
      left.resolve()
      await new Promise(() => {})
    })
    await left.promise
    assert.deepEqual(await readdir(join(folder, 'wheels')), [])
    const next = new WheelStore({ folder })
    await next.open()
    assert.deepEqual(await readdir(join(folder, 'drafts')), [])
    const [unpacked] = await next.ensure([entry], (_wheel, path) => writeFile(path, good))
    assert.ok(unpacked && unpacked.files.length > 0)
  })

  it('removes what was not used for longest when there is too much, and spares what was used just now', async () => {
    const store = new WheelStore({ folder, maxBytes: 1 })
    const other = wheel({ ...GOOD, name: 'other' })
    const third = wheel({ ...GOOD, name: 'third' })
    const [first] = await store.ensure([entry], (_wheel, path) => writeFile(path, good))
    assert.ok(first)
    const { utimes } = await import('node:fs/promises')
    const long = new Date(Date.now() - 3_600_000)
    await utimes(join(first.folder, '..'), long, long)
    await store.ensure([packageOf('other', other)], (_wheel, path) => writeFile(path, other))
    await store.ensure([packageOf('third', third)], (_wheel, path) => writeFile(path, third))
    assert.equal((await readdir(join(folder, 'wheels'))).length, 2)
    await assert.rejects(stat(first.folder))
  })
})
