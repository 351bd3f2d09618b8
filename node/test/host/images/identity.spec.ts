import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, rename, rm, symlink, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contentDigest, normaliseModes } from '../../../src/host/images/definition/identity.js'

describe('content digest of a tree', () => {
  let root: string
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'pekka-tree-'))
    await mkdir(join(root, 'usr/lib'), { recursive: true })
    await writeFile(join(root, 'usr/lib/a.py'), 'a = 1\n')
    await writeFile(join(root, 'usr/tool'), '#!/bin/sh\n', { mode: 0o755 })
    await symlink('usr/lib', join(root, 'lib'))
  })
  afterEach(() => rm(root, { recursive: true }))
  const digest = async (): Promise<string> => (await contentDigest(root)).digest

  it('changes with a byte, a name, a link target, an executable bit, a new empty folder', async () => {
    const seen = new Set([await digest()])
    await writeFile(join(root, 'usr/lib/a.py'), 'a = 2\n')
    seen.add(await digest())
    await rename(join(root, 'usr/lib/a.py'), join(root, 'usr/lib/b.py'))
    seen.add(await digest())
    await rm(join(root, 'lib'))
    await symlink('/usr/lib', join(root, 'lib'))
    seen.add(await digest())
    await chmod(join(root, 'usr/tool'), 0o644)
    seen.add(await digest())
    await mkdir(join(root, 'empty'))
    seen.add(await digest())
    assert.equal(seen.size, 6)
  })

  it('stays the same with other times, byte code, caches and notes of the installer', async () => {
    const before = await digest()
    await utimes(join(root, 'usr/lib/a.py'), 1, 1)
    await chmod(join(root, 'usr/lib/a.py'), 0o600)
    await mkdir(join(root, 'usr/lib/__pycache__'))
    await writeFile(join(root, 'usr/lib/__pycache__/a.cpython-311.pyc'), 'x')
    await mkdir(join(root, 'etc'))
    const withFolder = await digest()
    await writeFile(join(root, 'etc/ld.so.cache'), 'x')
    assert.equal(await digest(), withFolder)
    await rm(join(root, 'etc'), { recursive: true })
    await mkdir(join(root, 'opt/pekka'), { recursive: true })
    const withPekka = await digest()
    await mkdir(join(root, 'opt/pekka/cache/matplotlib'), { recursive: true })
    await writeFile(join(root, 'opt/pekka/cache/matplotlib/fontlist.json'), '{}')
    assert.equal(await digest(), withPekka)
    await rm(join(root, 'opt'), { recursive: true })
    assert.equal(await digest(), before)
  })

  it('counts what could run: sourceless byte code outside of a cache', async () => {
    const before = await digest()
    await writeFile(join(root, 'usr/lib/hidden.pyc'), 'x')
    assert.notEqual(await digest(), before)
  })

  it('keeps two trees apart whose paths and contents only join to the same text', async () => {
    await writeFile(join(root, 'x'), '')
    const one = await digest()
    await rm(join(root, 'x'))
    await writeFile(join(root, 'x","file",false,"'), '')
    assert.notEqual(await digest(), one)
  })

  it('leaves no setuid bit and nothing that another user could not read', async () => {
    await chmod(join(root, 'usr/tool'), 0o4711)
    await chmod(join(root, 'usr/lib'), 0o700)
    await chmod(join(root, 'usr/lib/a.py'), 0o600)
    await normaliseModes(root)
    const { stat } = await import('node:fs/promises')
    const mode = async (path: string): Promise<number> => (await stat(join(root, path))).mode & 0o7777
    assert.deepEqual(await Promise.all(['usr/tool', 'usr/lib', 'usr/lib/a.py'].map(mode)), [0o755, 0o755, 0o644])
  })
})
