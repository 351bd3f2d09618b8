import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isPekkaError } from '@pekka/node/protocol'
import {
  definitionNames,
  parseDebianLock,
  parseInput,
  parseLock,
  readDefinition
} from '../../../src/host/images/definition/definition.js'
import { sandboxEnvironment } from '../../../src/host/images/build/environment.js'
import { imageDigest, runnerFiles } from '../../../src/host/images/definition/identity.js'
import { DEFINITIONS } from './fixtures.js'

const hash = (digit: string): string => `--hash=sha256:${digit.repeat(64)}`

describe('image definitions', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-definition-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  /** A copy of base-small's definition with one file changed. */
  const changed = async (file: string, change: (text: string) => string): Promise<void> => {
    await mkdir(join(folder, 'base-small'), { recursive: true })
    for (const name of ['image.json', 'packages.in', 'requirements.lock', 'debian.lock']) {
      const text = await readFile(join(DEFINITIONS, 'base-small', name), 'utf8')
      await writeFile(join(folder, 'base-small', name), name === file ? change(text) : text)
    }
  }
  const digestWith = async (file: string, change: (text: string) => string): Promise<string> => {
    await changed(file, change)
    return imageDigest(await readDefinition(folder, 'base-small'), [])
  }

  it('reads every definition of the checkout, each with the locked form of all it asks for', async () => {
    const names = await definitionNames(DEFINITIONS)
    const fields = ['biology', 'chemistry', 'machine-learning', 'rendering', 'telecommunications']
    assert.deepEqual(names, ['base', 'base-small', ...fields])
    for (const name of names) {
      const definition = await readDefinition(DEFINITIONS, name)
      const locked = new Set(definition.locked.map(one => one.name))
      assert.deepEqual(
        definition.requested.filter(one => !locked.has(one)),
        []
      )
      const debian = new Set(definition.debianLock.map(one => one.name))
      assert.deepEqual(
        definition.debian.packages.filter(one => !debian.has(one)),
        []
      )
    }
  })

  it('gives a reason for every package it asks for', async () => {
    for (const name of await definitionNames(DEFINITIONS)) {
      const lines = (await readFile(join(DEFINITIONS, name, 'packages.in'), 'utf8')).trim().split('\n')
      const unexplained = lines.filter(line => !line.startsWith('#') && !/^\S+\s+# \S/.test(line))
      assert.deepEqual(unexplained, [])
    }
  })

  it('shares the pins of all images', async () => {
    const pins = new Set(parseInput(await readFile(join(DEFINITIONS, 'constraints.txt'), 'utf8')))
    for (const name of await definitionNames(DEFINITIONS)) {
      const { locked } = await readDefinition(DEFINITIONS, name)
      assert.deepEqual(
        locked.filter(one => !pins.has(`${one.name}==${one.version}`)),
        []
      )
    }
  })

  it('writes no address of an index into a lock', async () => {
    for (const name of await definitionNames(DEFINITIONS)) {
      const text = await readFile(join(DEFINITIONS, name, 'requirements.lock'), 'utf8')
      assert.doesNotMatch(text, /:\/\/|index-url|find-links/)
    }
  })

  it('refuses a lock line that would let an index decide', () => {
    for (const line of [
      'numpy',
      'numpy>=2',
      'numpy==2.4.6',
      'numpy==2.*',
      `numpy @ https://example.org/n.whl ${hash('a')}`
    ]) {
      assert.throws(() => parseLock(line), /exact version/, line)
    }
    assert.deepEqual(parseLock(`Zope.Interface==7.1 \\\n    ${hash('b')} \\\n    ${hash('a')}\n    # via x\n`), [
      { name: 'zope-interface', version: '7.1', hashes: ['a'.repeat(64), 'b'.repeat(64)] }
    ])
    assert.throws(() => parseDebianLock('bash'), /name=version/)
  })

  it('names the known images where one is unknown, and never reads outside the definitions', async () => {
    for (const name of ['nothing', '../sandbox-images/base', '']) {
      await assert.rejects(
        readDefinition(DEFINITIONS, name),
        error => isPekkaError(error) && error.code === 'IMAGE_UNKNOWN'
      )
    }
  })

  it('refuses a definition with a field it does not know', async () => {
    await changed('image.json', text => text.replace('"format": 1,', '"format": 1, "postInstall": "rm -rf /",'))
    await assert.rejects(
      readDefinition(folder, 'base-small'),
      error =>
        isPekkaError(error) &&
        error.code === 'IMAGE_DEFINITION_INVALID' &&
        String(error.data.issue).includes('postInstall')
    )
  })

  it('gives a sandbox its pins, places and preloading, and nothing of colour, terminal or time zone', async () => {
    for (const name of await definitionNames(DEFINITIONS)) {
      const definition = await readDefinition(DEFINITIONS, name)
      const environment = sandboxEnvironment(definition)
      assert.equal(environment.PYTHONHASHSEED, '0')
      assert.equal(environment.OPENBLAS_NUM_THREADS, '1')
      assert.equal(environment.PEKKA_PRELOAD, definition.preload.join(','))
      assert.match(environment.PATH ?? '', /^\/opt\/pekka\/env\/bin:/)
      const users = /^(TZ|TERM|COLORTERM|COLUMNS|LINES|LS_COLORS|.*_COLOR|CLICOLOR.*|LC_.*|MPLBACKEND)$/
      assert.deepEqual(
        Object.keys(environment).filter(key => users.test(key)),
        []
      )
    }
  })

  it('changes its digest with a hash, a Debian version, a pin of the environment, a preloaded module', async () => {
    const same = await digestWith('none', text => text)
    const others = [
      await digestWith('requirements.lock', text =>
        text.replace(/sha256:[0-9a-f]/, found => (found.endsWith('0') ? 'sha256:1' : 'sha256:0'))
      ),
      await digestWith('debian.lock', text => text.replace(/^bash=.*$/m, 'bash=5.2.15-2')),
      await digestWith('image.json', text => text.replace('"Haswell"', '"Zen"')),
      await digestWith('image.json', text => text.replace('"preload": ["numpy", ', '"preload": ["os", "numpy", '))
    ]
    assert.equal(new Set([same, ...others]).size, 5)
  })

  it('keeps its digest when only words for people or the order in the lock change', async () => {
    const same = await digestWith('none', text => text)
    assert.equal(
      await digestWith('image.json', text => text.replace(/"description": ".*"/, '"description": "Other words"')),
      same
    )
    assert.equal(await digestWith('packages.in', text => `# a comment\n${text}`), same)
    const reordered = (text: string): string =>
      text
        .split(/\n(?=[a-z])/)
        .reverse()
        .map(one => one.trimEnd())
        .join('\n')
    assert.equal(await digestWith('requirements.lock', reordered), same)
  })

  it('changes its digest with the runner, whose tests and byte code do not count', async () => {
    const runner = join(folder, 'runner')
    await mkdir(join(runner, 'package'), { recursive: true })
    await mkdir(join(runner, 'tests'))
    await mkdir(join(runner, '__pycache__'))
    for (const path of ['main.py', 'package/a.py', 'tests/test_a.py', '__pycache__/main.pyc', '.hidden']) {
      await writeFile(join(runner, path), path)
    }
    const definition = await readDefinition(DEFINITIONS, 'base-small')
    const files = await runnerFiles(runner)
    assert.deepEqual(
      files.map(file => file.path),
      ['main.py', 'package/a.py']
    )
    const before = imageDigest(definition, files)
    await writeFile(join(runner, 'package/a.py'), 'other')
    assert.notEqual(imageDigest(definition, await runnerFiles(runner)), before)
  })
})
