import assert from 'node:assert/strict'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createGroup, findGroupPlace } from '../../../src/host/sandbox/cgroup.js'
import { temporaryDirectory } from './support.js'

/**
 * Where groups are found is a matter of text and directories, so it is tested on such; that they hold is shown by the
 * conformance and escape suites on the machine's real ones.
 */
describe('control groups', () => {
  let directory: Awaited<ReturnType<typeof temporaryDirectory>>
  beforeEach(async () => (directory = await temporaryDirectory()))
  afterEach(() => directory.remove())

  const files = async (at: string, contents: Record<string, string>) => {
    const path = join(directory.path, at)
    await mkdir(path, { recursive: true })
    for (const [name, content] of Object.entries(contents)) await writeFile(join(path, name), content)
  }
  const mount2 = () => `30 20 0:26 / ${directory.path} rw,nosuid - cgroup2 cgroup2 rw\n`
  const read = (path: string) => readFile(join(directory.path, path), 'utf8')

  it('version 2: takes the nearest group above that hands memory and pids down', async () => {
    const all = { 'cgroup.controllers': 'cpu memory pids', 'cgroup.procs': '' }
    await files('', { ...all, 'cgroup.subtree_control': 'cpu memory pids' })
    await files('user', { ...all, 'cgroup.subtree_control': 'cpu memory pids' })
    await files('user/session', { 'cgroup.controllers': '', 'cgroup.procs': '', 'cgroup.subtree_control': '' })
    const place = await findGroupPlace({ mountinfo: mount2(), membership: '0::/user/session\n' })
    assert.ok('version' in place)
    assert.equal(place.version, 2)
    assert.equal(place.directories.memory, join(directory.path, 'user'))
    assert.equal(place.directories.cpu, join(directory.path, 'user'))
  })

  it('version 2: sets limits without swap and room for the runtime itself', async () => {
    const all = {
      'cgroup.controllers': 'cpu memory pids',
      'cgroup.procs': '',
      'cgroup.subtree_control': 'cpu memory pids'
    }
    await files('', all)
    const place = await findGroupPlace({ mountinfo: mount2(), membership: '0::/\n' })
    assert.ok('version' in place)
    await files('pekka-owner/one', { 'memory.swap.max': 'max' })
    const group = await createGroup(place, 'pekka-owner', 'one')
    await group.setLimits({ memoryBytes: 1 << 28, cpus: 1.5, pids: 50 })
    assert.equal(await read('pekka-owner/one/memory.max'), String(1 << 28))
    assert.equal(await read('pekka-owner/one/memory.swap.max'), '0')
    assert.equal(await read('pekka-owner/one/pids.max'), '53')
    assert.equal(await read('pekka-owner/one/cpu.max'), '150000 100000')
    assert.equal(await read('pekka-owner/cgroup.subtree_control'), '+memory +pids +cpu')
    assert.deepEqual(group.entrances, [join(directory.path, 'pekka-owner/one/cgroup.procs')])
  })

  it('version 2: reads what was used', async () => {
    const all = {
      'cgroup.controllers': 'cpu memory pids',
      'cgroup.procs': '',
      'cgroup.subtree_control': 'cpu memory pids'
    }
    await files('', all)
    const place = await findGroupPlace({ mountinfo: mount2(), membership: '0::/\n' })
    assert.ok('version' in place)
    const group = await createGroup(place, 'pekka-owner', 'one')
    await files('pekka-owner/one', {
      'cpu.stat': 'usage_usec 1234567\nuser_usec 1000000\n',
      'memory.peak': '4096000\n',
      'memory.events': 'low 0\noom 2\noom_kill 1\n'
    })
    assert.deepEqual(await group.usage(), { cpuMs: 1234.567, maxMemoryBytes: 4096000, oomKills: 1 })
  })

  it('version 1: takes our own group where it is visible, else the top of the hierarchy', async () => {
    for (const name of ['memory/own', 'pids', 'cpu']) await files(name, { 'cgroup.procs': '' })
    const line = (names: string, at: string) =>
      `40 30 0:27 / ${join(directory.path, at)} rw - cgroup cgroup rw,${names}\n`
    const mountinfo = line('memory', 'memory') + line('pids', 'pids') + line('cpu,cpuacct', 'cpu')
    const place = await findGroupPlace({
      mountinfo,
      membership: '4:memory:/own\n3:pids:/elsewhere\n1:cpu,cpuacct:/\n0::/\n'
    })
    assert.ok('version' in place)
    assert.equal(place.version, 1)
    assert.equal(place.directories.memory, join(directory.path, 'memory/own'))
    assert.equal(place.directories.pids, join(directory.path, 'pids'))
    assert.equal(place.directories.cpuacct, join(directory.path, 'cpu'))
  })

  it('says what is missing', async () => {
    const place = await findGroupPlace({ mountinfo: '', membership: '' })
    assert.deepEqual(place, { reason: 'no control group for memory and pids can be made here' })
  })
})
