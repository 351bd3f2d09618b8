import assert from 'node:assert/strict'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DISK, installCommand, missingPackages, planPackages, problemsOf, shortOfRoom } from '@pekka/node/setup/system'

/** Places that `find` looks at whatever PATH says have no bubblewrap: on every system it is in /usr/bin. */
describe('programs of the system that are missing', () => {
  const { PATH, getuid } = { PATH: process.env.PATH, getuid: process.getuid }
  const terminal = process.stdin.isTTY
  let bin: string

  beforeEach(async () => {
    bin = await mkdtemp(join(tmpdir(), 'pekka-path-'))
    process.env.PATH = bin
    process.stdin.isTTY = false
  })
  afterEach(async () => {
    process.env.PATH = PATH
    process.stdin.isTTY = terminal
    Object.assign(process, { getuid })
    await rm(bin, { recursive: true })
  })

  const program = async (name: string): Promise<void> => {
    await writeFile(join(bin, name), '#!/bin/sh\n')
    await chmod(join(bin, name), 0o755)
  }
  const user = (uid: number): unknown => Object.assign(process, { getuid: () => uid })

  it('are named with what each is for, and none that is there', async () => {
    const names = (): string[] => missingPackages({ needUv: false, needPython: false }).map(({ name }) => name)
    assert.deepEqual(names(), ['bubblewrap'])
    await program('bwrap')
    assert.deepEqual(names(), [])
  })

  it('are told to an ordinary user in one message with the exact command, before anything is done', async () => {
    await program('apt-get')
    user(1000)
    const missing = missingPackages({ needUv: false, needPython: false })
    await assert.rejects(planPackages(missing), (error: Error) => {
      assert.match(error.message, /bubblewrap +the sandbox that tasks run in/)
      assert.ok(
        error.message.includes('sudo apt-get update && sudo apt-get install -y --no-install-recommends bubblewrap'),
        error.message
      )
      return true
    })
  })

  it('are installed without asking by root where nobody sits at a terminal', async () => {
    await program('apt-get')
    user(0)
    const missing = missingPackages({ needUv: false, needPython: false })
    assert.equal(typeof (await planPackages(missing)), 'function')
    assert.equal(installCommand(['a', 'b']), 'apt-get update && apt-get install -y --no-install-recommends a b')
  })

  it('are told without a command where the package manager is another one', async () => {
    const missing = missingPackages({ needUv: false, needPython: false })
    await assert.rejects(planPackages(missing), /lacks \(its package manager isn't apt[^]*bubblewrap/)
  })

  it('leave nothing to plan where there are none', async () => {
    assert.equal(await planPackages([]), undefined)
  })
})

describe('room on the disk', () => {
  it('is no matter where nothing large is made', async () => {
    assert.deepEqual(await problemsOf({ home: tmpdir(), root: '/', needsModules: false, needsHome: false }), [])
  })
  it('says why a home cannot be made', async () => {
    const [problem] = await problemsOf({ home: '/dev/null/pekka', root: '/', needsModules: false, needsHome: false })
    assert.match(problem ?? '', /PEKKA_HOME can't be made: .*\/dev\/null/)
  })
  const home = (free: number) => ({ path: '/data/pekka', free, needs: 4.3e9 })
  const checkout = (free: number) => ({ path: '/src/pekka', free, needs: 1.2e9 })
  it('is told as what is free and what is needed, for each disk that has too little', () => {
    assert.deepEqual(shortOfRoom(home(4.3e9), checkout(1.2e9), false), [])
    assert.deepEqual(shortOfRoom(home(1e9), checkout(0.54e9), false), [
      'The disk of /data/pekka has 1.0 GB free; 4.3 GB are needed.',
      'The disk of /src/pekka has 0.5 GB free; 1.2 GB are needed.'
    ])
  })
  it('must hold both where home and checkout are on one disk', () => {
    assert.deepEqual(shortOfRoom(home(5e9), checkout(5e9), true), [
      'The disk of /data/pekka has 5.0 GB free; 5.5 GB are needed.'
    ])
    assert.deepEqual(shortOfRoom(home(5.5e9), checkout(5.5e9), true), [])
  })
  it('is looked for on the disk of the home itself, before anything is done', async () => {
    // a file system of the kernel's that has no room at all
    const [problem, ...others] = await problemsOf({ home: '/sys', root: '/', needsModules: false, needsHome: true })
    assert.equal(problem, `The disk of /sys has 0.0 GB free; ${DISK.home / 1e9} GB are needed.`)
    assert.deepEqual(others, [])
  })
})
