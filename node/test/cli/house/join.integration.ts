import assert from 'node:assert/strict'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { missing } from '../../host/sandbox/support.js'
import { Namespace } from '../../support/namespace.js'
import { TestHome, needSetUp } from './test-home.js'

/** The provider's longest pause between two tries, twice: some runs are quicker than that on a quick machine, however many. */
const BACK_MS = 60_000

describe('another machine', function () {
  this.timeout(240_000)
  const namespace = new Namespace()
  let begun = false
  let here: TestHome
  let there: TestHome

  before(async function () {
    needSetUp(this)
    try {
      namespace.start()
      begun = true
    } catch (error) {
      missing(this, `no network namespace can be made (${error instanceof Error ? error.message.split('\n')[0] : ''})`)
    }
    here = await TestHome.make()
    there = await TestHome.make()
  })
  after(async () => {
    if (!begun) return
    await there.remove()
    await here.remove()
    namespace.stop()
  })

  it('joins by pekka invite, runs a task, and comes back by itself when the network is started again', async () => {
    const script = join(here.path, 'work', 'far.py')
    await writeFile(script, 'print("from afar")\n')
    const up = here.pekka('up', '--listen', namespace.here)
    await up.until(/Open/)

    const invite = here.pekka('invite')
    assert.equal(await invite.ended, 0, invite.said.err)
    // the line to type, as a person would take it from the terminal
    const [, line = ''] = /^ +pekka (provider start --bridge .+)$/m.exec(invite.said.err) ?? []
    const more = ['--name', 'far-away', '--price', '1', '--json']
    const provider = there.pekkaIn((...command) => namespace.inside(...command), ...line.split(' '), ...more)
    await provider.until(/"ready":true/)

    const first = here.pekka('run', script)
    assert.equal(await first.ended, 0, first.said.err)
    assert.equal(first.said.out, 'from afar\n')
    assert.match(first.said.err, /Running on far-away/, 'the cheapest machine is asked first')

    up.child.kill('SIGINT')
    await up.ended
    const again = here.pekka('up', '--listen', namespace.here)
    await again.until(/Open/)
    // the network's own machines run it meanwhile; the other is back within its longest pause
    let shown = ''
    for (const end = Date.now() + BACK_MS; !shown.includes('far-away') && Date.now() < end;) {
      const run = here.pekka('run', script)
      assert.equal(await run.ended, 0, run.said.err)
      shown = run.said.err
    }
    assert.match(shown, /Running on far-away/)
    provider.child.kill('SIGTERM')
    assert.equal(await provider.ended, 0, provider.said.err)
  })
})
