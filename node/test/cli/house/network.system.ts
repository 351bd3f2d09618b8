import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { MAIN } from '@pekka/node/setup/places'
import { housePlaces } from '../../../src/cli/house/places.js'

/** The command line as it was built, on a home of its own that borrows the large parts (environments, images) of a set-up one. */
describe('a network on this computer', function () {
  this.timeout(240_000)
  let home: string
  let children: ChildProcess[]

  before(function () {
    if (process.env.PEKKA_TEST_HOME !== undefined && existsSync(MAIN)) return
    if (process.env.CI) throw new Error('PEKKA_TEST_HOME names no home that is set up')
    this.skip()
  })
  beforeEach(async () => {
    children = []
    home = await mkdtemp(join(tmpdir(), 'pekka netz ä '))
    for (const part of ['images', 'python', 'tools'])
      await symlink(join(process.env.PEKKA_TEST_HOME ?? '', part), join(home, part))
    await mkdir(join(home, 'work'))
    await writeFile(
      join(home, 'work', 'echo.py'),
      'import sys\nprint(sys.argv[1:])\nprint("oops", file=sys.stderr)\nsys.exit(7)\n'
    )
  })
  afterEach(async () => {
    await pekka('down').ended
    for (const child of children) child.kill('SIGKILL')
    await rm(home, { recursive: true, force: true })
  })

  const pekka = (...args: string[]) => {
    const child = spawn(process.execPath, [MAIN, ...args], {
      env: { ...process.env, PEKKA_HOME: home },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    children.push(child)
    const said = { out: '', err: '' }
    child.stdout.on('data', data => (said.out += String(data)))
    child.stderr.on('data', data => (said.err += String(data)))
    const ended = new Promise<number | null>(resolve => child.once('close', code => resolve(code)))
    const until = async (pattern: RegExp): Promise<void> => {
      while (!pattern.test(said.out) && child.exitCode === null) await new Promise(resolve => setTimeout(resolve, 50))
      assert.match(said.out, pattern, said.err)
    }
    return { child, said, ended, until }
  }
  /** Processes that have this home in their command line or work in it. */
  const leftRunning = async (): Promise<string[]> => {
    const pids = (await readdir('/proc')).filter(name => /^\d+$/.test(name))
    const lines = await Promise.all(pids.map(pid => readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')))
    return lines.filter(line => line.includes(home))
  }
  const assertNothingLeft = async (): Promise<void> => {
    assert.deepEqual(await leftRunning(), [])
    assert.equal(existsSync(join(home, 'lock')), false)
    assert.equal(existsSync(housePlaces(home, process.env).sockets), false)
  }

  it('made by pekka run passes output and exit code through, and nothing of it is left', async () => {
    const run = pekka('run', '-q', join(home, 'work', 'echo.py'), 'a', '--json')
    assert.equal(await run.ended, 7, run.said.err)
    assert.equal(run.said.out, "['a', '--json']\n")
    assert.equal(run.said.err, 'oops\n')
    await assertNothingLeft()
  })

  it('tells a second start who runs and where, serves both, and stops at SIGINT', async () => {
    const up = pekka('up')
    await up.until(/Open {2}(http:\S+)/)
    const [, page = ''] = /Open {2}(http:\S+)/.exec(up.said.out) ?? []
    assert.equal((await fetch(page)).status, 200)
    const second = pekka('up')
    assert.equal(await second.ended, 78)
    assert.ok(second.said.err.includes(`process ${up.child.pid}) at ${page}`), second.said.err)
    const run = pekka('run', '-q', join(home, 'work', 'echo.py'))
    assert.equal(await run.ended, 7, run.said.err)
    assert.equal((await fetch(page)).status, 200, 'a run that ended has taken nothing with it')
    up.child.kill('SIGINT')
    await up.ended
    await assertNothingLeft()
  })

  it('that was killed is cleared away by the next start', async () => {
    const first = pekka('up')
    await first.until(/Open/)
    first.child.kill('SIGKILL')
    await first.ended
    const next = pekka('up')
    await next.until(/Open/)
    next.child.kill('SIGTERM')
    await next.ended
    await assertNothingLeft()
  })
})
