import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pruneTrees } from '../../../src/host/images/store/prune.js'
import { listTrees } from '../../../src/host/images/build/tree.js'
import { findProgram, placeTree, skipWithout } from './fixtures.js'

describe('a tree of an older definition that a sandbox has mounted', function () {
  this.timeout(30_000)
  let home: string
  before(async function () {
    skipWithout(this, (await findProgram('bwrap')) === undefined ? ['bwrap'] : [])
    home = await mkdtemp(join(tmpdir(), 'pekka prüne-'))
  })
  after(async () => {
    if (home !== undefined) await rm(home, { recursive: true })
  })

  it('stays until the sandbox has ended', async () => {
    const images = join(home, 'images')
    const digests = ['c', 'b', 'a'].map(digit => digit.repeat(64))
    const [, , oldest] = await Promise.all(
      digests.map((digest, age) => placeTree(home, 'base', digest, `2026-01-0${9 - age}T00:00:00.000Z`))
    )
    // What a runtime does: the tree is only in the mount table of the sandbox, nobody has a file of it open.
    const mounts = [
      '--ro-bind',
      '/',
      '/',
      '--ro-bind',
      `${oldest ?? ''}/root`,
      '/mnt',
      '--dev',
      '/dev',
      '--proc',
      '/proc'
    ]
    const child = spawn('bwrap', [...mounts, '--unshare-pid', '--die-with-parent', 'sh', '-c', 'echo up; read line'], {
      stdio: ['pipe', 'pipe', 'inherit'],
      cwd: '/'
    })
    const closed = once(child, 'close')
    try {
      await once(child.stdout, 'data')
      await pruneTrees(images, 'base', digests[0] ?? '')
      assert.equal((await listTrees(images)).length, 3)
    } finally {
      child.kill('SIGKILL')
      await closed
    }
    await pruneTrees(images, 'base', digests[0] ?? '')
    assert.deepEqual(
      (await listTrees(images)).map(tree => tree.digest),
      digests.slice(0, 2)
    )
  })
})
