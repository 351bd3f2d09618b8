import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isPekkaError } from '@pekka/node/protocol'
import { packageSources, usualIndexOnly } from '../../../src/host/images/package-sources.js'
import { installPython, isLocalBuild } from '../../../src/host/images/python.js'

describe('sources of packages', () => {
  it('are what is set for PEKKA, and what uv is told anyway', () => {
    assert.deepEqual(packageSources({}), { args: [], any: false })
    assert.deepEqual(packageSources({ UV_FIND_LINKS: '/wheels' }), { args: [], any: true })
    const set = { PEKKA_FIND_LINKS: '/a /b', PEKKA_EXTRA_INDEX_URL: 'https://example.org/cpu' }
    assert.deepEqual(packageSources(set).args, [
      ...['--find-links', '/a', '--find-links', '/b'],
      ...['--extra-index-url', 'https://example.org/cpu']
    ])
  })

  it('are left out of a lock, whose hashes must hold for everyone', () => {
    const environment = { UV_INDEX: 'a', UV_FIND_LINKS: 'b', UV_EXTRA_INDEX_URL: 'c', UV_DEFAULT_INDEX: 'd' }
    assert.deepEqual(usualIndexOnly(environment), { UV_DEFAULT_INDEX: 'd' })
  })

  it('are asked for by name where a build of its own has none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pekka-sources-'))
    try {
      assert.equal(isLocalBuild({ version: '2.13.0' }), false)
      const packages = [{ name: 'torch', version: '2.13.0+cpu', hashes: ['a'.repeat(64)] }]
      const what = { name: 'machine-learning', python: '3.11', platform: 'x86_64-manylinux_2_36', packages }
      const options = { uv: '/bin/true', uvEnvironment: {}, cache: folder }
      await assert.rejects(
        installPython(what, join(folder, 'environment'), options),
        error =>
          isPekkaError(error) && error.code === 'IMAGE_SOURCE_MISSING' && /torch 2\.13\.0\+cpu/.test(error.message)
      )
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
