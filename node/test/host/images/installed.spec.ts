import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { modulesOf, readInstalled, removeStray } from '../../../src/host/images/store/installed.js'
import { definitionNames, readDefinition } from '../../../src/host/images/definition/definition.js'
import { linkTree, mergeInto } from '../../../src/host/images/build/derive.js'
import { readModules } from '../../../src/host/images/build/modules-file.js'
import { DEFINITIONS } from './fixtures.js'

describe('what an image holds', () => {
  let site: string
  beforeEach(async () => {
    site = await mkdtemp(join(tmpdir(), 'pekka-site-'))
  })
  afterEach(() => rm(site, { recursive: true }))

  const put = async (path: string, text = ''): Promise<void> => {
    await mkdir(dirname(join(site, path)), { recursive: true })
    await writeFile(join(site, path), text)
  }
  const install = async (name: string, files: string[], fields = ''): Promise<void> => {
    for (const file of files) await put(file, name)
    const info = `${name.replaceAll('-', '_')}-1.0.dist-info`
    await put(
      `${info}/METADATA`,
      `Metadata-Version: 2.4\nName: ${name}\nVersion: 1.0\n${fields}\n\nLicense: only words\n`
    )
    await put(`${info}/RECORD`, files.map(file => `${file},sha256=x,1\n`).join(''))
  }

  it('tells which distribution a module comes from: by namespace, without what is private or stray', async () => {
    await install('Pillow', ['PIL/__init__.py', 'PIL/Image.py', '_imaging.so', 'pillow.libs/lib.so'])
    await install('protobuf', ['google/protobuf/__init__.py', 'google/_upb/_message.so'])
    await install('matplotlib', ['matplotlib/__init__.py', 'mpl_toolkits/mplot3d/__init__.py', 'pylab.py'])
    await install('py-matgen', ['py_matgen/util/__init__.py'])
    await install('py-matgen-core', ['py_matgen/core/__init__.py', 'docs/conf.py', 'tests/__init__.py'])
    assert.deepEqual(Object.fromEntries(modulesOf(await readInstalled(site))), {
      PIL: 'pillow',
      'google.protobuf': 'protobuf',
      matplotlib: 'matplotlib',
      'mpl_toolkits.mplot3d': 'matplotlib',
      py_matgen: 'py-matgen',
      pylab: 'matplotlib'
    })
  })

  it('states a licence as the package does, never its whole text', async () => {
    await install('a', [], 'License-Expression: MIT\nLicense: something else')
    await install('b', [], 'Classifier: License :: OSI Approved :: BSD License')
    await install('c', [], `License: ${'Permission is hereby granted '.repeat(9)}`)
    const licences = (await readInstalled(site)).map(one => one.licence)
    assert.deepEqual(licences, ['MIT', 'BSD License', 'not stated'])
  })

  it('removes a stray file only where two packages brought it', async () => {
    await install('a', ['tests/test_x.py', 'tests/test_a.py', 'a.py'])
    await install('b', ['tests/test_x.py', 'testing/b/__init__.py', 'a.py'])
    assert.deepEqual(await removeStray(site), ['tests/test_x.py'])
    await assert.rejects(readFile(join(site, 'tests/test_x.py')))
    assert.equal(await readFile(join(site, 'testing/b/__init__.py'), 'utf8'), 'b')
  })

  it('adds to a copy by hard links without a change of the original', async () => {
    await put('lower/a/kept', 'of lower')
    await put('added/a/kept', 'of added')
    await put('added/a/new', 'of added')
    const copy = join(site, 'copy')
    await linkTree(join(site, 'lower'), copy, {})
    assert.deepEqual(await mergeInto(join(site, 'added'), copy), ['a/kept'])
    assert.equal(await readFile(join(copy, 'a/kept'), 'utf8'), 'of lower')
    assert.equal(await readFile(join(copy, 'a/new'), 'utf8'), 'of added')
    await assert.rejects(readFile(join(site, 'lower/a/new')))
  })

  it('is in modules.json with the versions of the locks, the smallest image first', async () => {
    const { images } = await readModules(DEFINITIONS)
    assert.deepEqual(
      Object.keys(images).sort(),
      (await definitionNames(DEFINITIONS)).filter(name => name !== 'base-small')
    )
    const sizes = Object.values(images).map(one => one.megabytes)
    assert.deepEqual(
      sizes,
      [...sizes].sort((a, b) => a - b)
    )
    for (const [name, { extends: lower, packages, modules }] of Object.entries(images)) {
      const { locked } = await readDefinition(DEFINITIONS, name)
      const all = { ...(lower === undefined ? {} : images[lower]?.packages), ...packages }
      assert.deepEqual(all, Object.fromEntries(locked.map(one => [one.name, one.version])), `describe ${name} again`)
      for (const [module, owner] of Object.entries(modules)) assert.ok(owner in all, `${module} of ${owner}`)
    }
  })
})
