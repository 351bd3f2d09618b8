import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { homeFrom, placesIn } from '@pekka/node/setup/places'
import { uvIn } from '@pekka/node/setup/python'
import { find } from '@pekka/node/setup/search'
import { decodeLayer, isPekkaError, toHex, type ErrorCode } from '@pekka/node/protocol'
import { concatenated } from '../support/streams.js'
import { Downloader, Layers, definitionsIn } from '../../src/layers/index.js'
import { wheel, wheelFileOf, type WheelInit } from '../../../node/test/host/layers/wheels.js'
import { PackageIndex } from './package-index.js'

const image = new Uint8Array(32).fill(7)
const DAY = 86_400_000

describe('layers', function () {
  this.timeout(60_000)
  let folder: string
  let uv: string
  const index = new PackageIndex()
  let layers: Layers
  let now: () => number

  before(async function () {
    const home = process.env['PEKKA_TEST_HOME'] ?? homeFrom(process.env)
    const found = [uvIn(placesIn(home).tools), find('uv')].find(path => path !== undefined && existsSync(path))
    if (found === undefined) {
      if (process.env['CI'] !== undefined) throw new Error('there is no uv: run the tests by "npm test"')
      return this.skip()
    }
    uv = found
    await index.start()
  })
  after(() => index.stop())

  const offer = (init: WheelInit, more: Partial<(typeof index.files)[number]> = {}): void => {
    const { name, version = '1.0' } = init
    index.files.push({ name, file: wheelFileOf(name, version), bytes: wheel(init), ...more })
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-layers-'))
    index.files.length = 0
    index.asked.length = 0
    index.silent = false
    now = () => Date.now()
    offer({ name: 'numpy', version: '2.0', files: { 'numpy/__init__.py': '' } })
    offer({ name: 'numpy', version: '1.9', files: { 'numpy/__init__.py': '' } })
    offer({ name: 'tables', version: '1.0', files: { 'tables.py': '' }, requires: ['numpy'] })
    await writeFile(join(folder, 'lock'), `numpy==2.0 \\\n    --hash=sha256:${'0'.repeat(64)}\ntables==1.0\n`)
    layers = await create()
  })
  afterEach(async () => {
    await layers.stop()
    await rm(folder, { recursive: true, force: true })
  })

  const create = async (quarantineDays = 7): Promise<Layers> => {
    const environment = {
      PATH: process.env['PATH'],
      HOME: folder,
      UV_CACHE_DIR: join(folder, 'uv'),
      UV_DEFAULT_INDEX: index.url,
      UV_PYTHON_DOWNLOADS: 'never',
      // an index that is away stays away: its tests needn't wait for further tries
      UV_HTTP_RETRIES: '0'
    }
    const pins = {
      of: async () => ({
        python: '3.11',
        platform: 'x86_64-manylinux_2_36',
        lockFile: join(folder, 'lock'),
        versions: new Map([
          ['numpy', '2.0'],
          ['tables', '1.0']
        ]),
        requested: ['tables']
      }),
      known: async () => new Set(['numpy', 'tables', 'humanize'])
    }
    const made = new Layers(
      {
        pins,
        uv: async () => ({ path: uv, environment }),
        downloader: new Downloader(async () => environment),
        clock: { now: () => now() },
        log: { info: () => {}, warn: () => {} }
      },
      { folder: join(folder, 'layers'), quarantineDays }
    )
    await made.start()
    return made
  }
  const make = (...requirements: string[]) => layers.make({ image: 'base', digest: image, requirements })
  const fails = (code: ErrorCode, pattern?: RegExp) => (error: unknown) =>
    isPekkaError(error) &&
    error.code === code &&
    (pattern === undefined || pattern.test(`${error.message} ${error.advice}`))

  it('locks what is missing, with what it needs and the image lacks, and keeps the files for providers', async () => {
    offer({ name: 'good-thing', files: { 'good_thing.py': 'answer = 42\n' }, requires: ['helper>=1', 'numpy'] })
    offer({ name: 'helper', version: '1.2', files: { 'helper.py': '' } })
    const answer = await make('Good_Thing', 'numpy')
    assert.equal(answer.mode, 'on-top')
    assert.deepEqual(
      answer.packages.map(({ name, version, file }) => [name, version, file]),
      [
        ['good-thing', '1.0', 'good_thing-1.0-py3-none-any.whl'],
        ['helper', '1.2', 'helper-1.2-py3-none-any.whl']
      ]
    )
    assert.deepEqual(answer.present, [{ name: 'numpy', version: '2.0' }])
    assert.ok(answer.digest)
    const layer = decodeLayer(await concatenated((await layers.blob(answer.digest))?.chunks))
    assert.deepEqual(layer.packages, answer.packages)
    for (const { hash, size } of answer.packages)
      assert.equal((await concatenated((await layers.blob(hash))?.chunks)).length, size)
    assert.equal(await layers.blob(new Uint8Array(32)), null)
  })

  it('answers the same request at once, also after a restart, and gives one layer one name', async () => {
    offer({ name: 'good-thing', files: { 'good_thing.py': 'answer = 42\n' } })
    const [first, second] = await Promise.all([make('good-thing'), make('good-thing')])
    assert.deepEqual(first, second)
    const asked = index.asked.length
    layers = await create()
    assert.deepEqual(await make('good-thing'), first)
    assert.equal(index.asked.length, asked)
  })

  it('has nothing to add where the image has it', async () => {
    const answer = await make('tables', 'numpy>=2')
    assert.deepEqual([answer.digest, answer.packages], [null, []])
  })

  it('makes a full environment of what does not go with the versions of the image', async () => {
    offer({ name: 'old-thing', files: { 'old_thing.py': '' }, requires: ['numpy<2'] })
    const answer = await make('old-thing')
    assert.equal(answer.mode, 'instead')
    assert.deepEqual(
      answer.packages.map(({ name, version }) => `${name} ${version}`),
      ['numpy 1.9', 'old-thing 1.0']
    )
  })

  it('keeps the image’s versions in a full environment, also those that are younger than a release must be', async () => {
    for (const file of index.files) if (file.name === 'tables') file.uploaded = new Date(Date.now() - DAY).toISOString()
    offer({ name: 'old-thing', files: { 'old_thing.py': '' }, requires: ['numpy<2'] })
    const answer = await make('old-thing')
    assert.deepEqual(
      answer.packages.map(({ name }) => name),
      ['numpy', 'old-thing']
    )
  })

  it('says what conflicts where nothing fits', async () => {
    await assert.rejects(make('numpy>=3'), fails('LAYER_CONFLICT', /numpy/))
  })

  for (const bad of [
    'https://example.org/evil.whl',
    'evil @ https://example.org/evil.whl',
    'git+https://example.org/evil',
    './evil',
    '/etc/passwd',
    'evil.whl',
    '-r other.txt',
    '--index-url=http://evil',
    'name; os_name == "posix"',
    'two words',
    '$(id)'
  ]) {
    it(`refuses the requirement "${bad}" before anything is asked for`, async () => {
      await assert.rejects(make(bad), fails('REQUIREMENT_REFUSED'))
      assert.deepEqual(index.asked, [])
    })
  }

  it('builds nothing from source', async () => {
    index.files.push({ name: 'sourced', file: 'sourced-1.0.tar.gz', bytes: Buffer.from('a trap') })
    await assert.rejects(make('sourced'), fails('LAYER_SOURCE_ONLY', /sourced/))
    assert.deepEqual(
      index.asked.filter(path => path.startsWith('/files')),
      []
    )
  })

  it('waits for whole days, whatever the hour, and looks anew when they are over', async () => {
    const published = Date.parse('2026-06-08T22:00:00Z')
    offer({ name: 'new-thing', version: '1.0', files: { 'new_thing.py': '' } })
    offer(
      { name: 'new-thing', version: '2.0', files: { 'new_thing.py': '' } },
      { uploaded: new Date(published).toISOString() }
    )
    const versionAfter = async (days: number): Promise<string | undefined> => {
      now = () => published + days * DAY
      return (await make('new-thing')).packages[0]?.version
    }
    assert.deepEqual([await versionAfter(6.5), await versionAfter(6.9), await versionAfter(8.2)], ['1.0', '1.0', '2.0'])
    assert.equal(await versionAfter(6.5), '1.0')
  })

  it('waits with a release that is younger than a week', async () => {
    const yesterday = new Date(Date.now() - DAY).toISOString()
    offer({ name: 'new-thing', version: '2.0', files: { 'new_thing.py': '' } }, { uploaded: yesterday })
    await assert.rejects(make('new-thing'), fails('LAYER_TOO_NEW', /new-thing was published in the last 7 days/))
    offer({ name: 'new-thing', version: '1.0', files: { 'new_thing.py': '' } })
    assert.equal((await make('new-thing>=1')).packages[0]?.version, '1.0')
  })

  it('uses the image’s own versions however young they are', async () => {
    for (const file of index.files) file.uploaded = new Date(Date.now() - DAY).toISOString()
    offer({ name: 'good-thing', files: { 'good_thing.py': '' }, requires: ['numpy'] })
    assert.equal((await make('good-thing')).packages.length, 1)
  })

  it('says which name was probably meant where there is none', async () => {
    await assert.rejects(make('humanise==1.0'), fails('LAYER_UNKNOWN_PACKAGE', /Did you mean "humanize"/))
  })

  it('takes a look-alike of a known package only where a version is named with it', async () => {
    offer({ name: 'nunpy', files: { 'nunpy.py': '' } })
    await assert.rejects(make('nunpy'), fails('LAYER_DOUBTFUL', /numpy/))
    assert.deepEqual(index.asked, [])
    assert.equal((await make('nunpy==1.0')).packages[0]?.name, 'nunpy')
  })

  it('ends with a wheel that machines would refuse before anything costs', async () => {
    offer({ name: 'climber', files: { '../outside.py': '' } })
    await assert.rejects(make('climber'), fails('LAYER_REFUSED', /climber-1\.0.*no place for a file/))
    assert.deepEqual(await readdir(join(folder, 'layers', 'wheels')), [])
  })

  it('keeps nothing whose hash is another than the index says', async () => {
    offer({ name: 'good-thing', files: { 'good_thing.py': '' } }, { hash: toHex(new Uint8Array(32)) })
    await assert.rejects(make('good-thing'), fails('LAYER_REFUSED', /another hash/))
    assert.deepEqual(await readdir(join(folder, 'layers', 'wheels')), [])
  })

  it('shows no half layer after it was killed in the middle of one', async () => {
    offer({ name: 'good-thing', files: { 'good_thing.py': '' } })
    // As a kill leaves it: a draft under way, nothing renamed.
    const draft = join(folder, 'layers', 'drafts', 'killed')
    await mkdir(draft)
    await writeFile(join(draft, 'half'), 'half a wheel')
    const again = await create()
    assert.deepEqual(await readdir(join(folder, 'layers', 'drafts')), [])
    assert.equal((await again.make({ image: 'base', digest: image, requirements: ['good-thing'] })).packages.length, 1)
    await again.stop()
  })

  it('tells plainly that the index does not answer, without its address', async () => {
    await index.stop()
    try {
      await assert.rejects(
        make('good-thing'),
        error => fails('LAYERS_UNREACHABLE')(error) && !String(error).includes('127.0.0.1')
      )
    } finally {
      await index.start().catch(() => {})
    }
  })

  it('knows the images of this checkout by their digest alone', async () => {
    const { ROOT } = await import('@pekka/node/setup/places')
    const pins = definitionsIn(join(ROOT, 'sandbox-images'), folder)
    await assert.rejects(pins.of('base', image), fails('LAYER_IMAGE_UNKNOWN'))
    assert.ok((await pins.known()).has('numpy'))
  })
})
