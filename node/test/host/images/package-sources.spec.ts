import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isPekkaError } from '@pekka/node/protocol'
import { packageSources, usualIndexOnly } from '../../../src/host/images/definition/package-sources.js'
import { installPython, isLocalBuild } from '../../../src/host/images/build/python.js'

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

  it('are asked for what the locks have from the usual index only where that hasn’t it', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pekka-sources-'))
    try {
      const [uv, log] = [join(folder, 'uv'), join(folder, 'log')]
      const lays = `for last; do :; done; mkdir -p "$last/bin" "$last/lib/python3.11/site-packages"`
      const script = `#!/bin/sh\nif [ "$1" = venv ]; then ${lays}; exit; fi\necho "from \${UV_INDEX:-the usual one}" >> '${log}'\n[ -z "$EMPTY" ] || [ -n "$UV_INDEX" ]\n`
      await writeFile(uv, script, { mode: 0o755 })
      const packages = [{ name: 'soundfile', version: '0.14.0', hashes: ['a'.repeat(64)] }]
      const what = { name: 'telecommunications', python: '3.11', platform: 'x86_64-manylinux_2_36', packages }
      const asked = async (uvEnvironment: NodeJS.ProcessEnv): Promise<string[]> => {
        await rm(log, { force: true })
        const given = { PATH: process.env['PATH'], ...uvEnvironment }
        const work = await mkdtemp(join(folder, 'work-'))
        await installPython(what, join(work, 'environment'), { uv, uvEnvironment: given, cache: folder })
        return (await readFile(log, 'utf8')).trim().split('\n')
      }
      assert.deepEqual(await asked({ UV_INDEX: 'another' }), ['from the usual one'])
      // Each place is first asked for what the cache holds.
      const empty = await asked({ UV_INDEX: 'another', EMPTY: 'yes' })
      assert.deepEqual(empty, ['from the usual one', 'from the usual one', 'from another'])
      await assert.rejects(asked({ EMPTY: 'yes' }), /uv/)
    } finally {
      await rm(folder, { recursive: true })
    }
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
