import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { TestHome, needSetUp, type Running } from './test-home.js'

describe('a network on this computer', function () {
  this.timeout(240_000)
  let home: TestHome
  let echo: string
  const pekka = (...args: string[]): Running => home.pekka(...args)

  before(function () {
    needSetUp(this)
  })
  beforeEach(async () => {
    home = await TestHome.make()
    echo = join(home.path, 'work', 'echo.py')
    await writeFile(echo, 'import sys\nprint(sys.argv[1:])\nprint("oops", file=sys.stderr)\nsys.exit(7)\n')
  })
  afterEach(() => home.remove())

  it('made by pekka run passes output and exit code through, and nothing of it is left', async () => {
    const run = pekka('run', '-q', echo, 'a', '--json')
    assert.equal(await run.ended, 7, run.said.err)
    assert.equal(run.said.out, "['a', '--json']\n")
    assert.equal(run.said.err, 'oops\n')
    await home.assertNothingLeft()
  })

  it('tells a second start who runs and where, serves both, and stops at SIGINT', async () => {
    const up = pekka('up')
    await up.until(/Open {2}(http:\S+)/)
    const [, page = ''] = /Open {2}(http:\S+)/.exec(up.said.out) ?? []
    assert.equal((await fetch(page)).status, 200)
    const second = pekka('up')
    assert.equal(await second.ended, 78)
    assert.ok(second.said.err.includes(`process ${up.child.pid}) at ${page}`), second.said.err)
    const run = pekka('run', '-q', echo)
    assert.equal(await run.ended, 7, run.said.err)
    assert.equal((await fetch(page)).status, 200, 'a run that ended has taken nothing with it')
    up.child.kill('SIGINT')
    await up.ended
    await home.assertNothingLeft()
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
    await home.assertNothingLeft()
  })
})
