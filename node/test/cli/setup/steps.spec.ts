import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { homeFrom } from '@pekka/node/setup/places'
import { StepError, Steps } from '@pekka/node/setup/steps'

describe('set-up steps', () => {
  let logs: string
  beforeEach(async () => {
    logs = await mkdtemp(join(tmpdir(), 'pekka steps ü-'))
  })
  afterEach(() => rm(logs, { recursive: true, force: true }))

  const recorder = () => {
    const out = new PassThrough()
    const steps = new Steps({ logs, out })
    return { steps, said: () => String(out.read() ?? '') }
  }

  it('prints one line with the seconds for a step that did something, and none for one that was not needed', async () => {
    const { steps, said } = recorder()
    await steps.step('Packages', async () => 'Node 24')
    await steps.step('Build', async () => undefined)
    assert.match(said(), /^ {2}Packages +Node 24 +0\.\d s\n$/)
  })

  it('keeps all that a command printed in a log file', async () => {
    const { steps } = recorder()
    await steps.step('Some thing', step => step.run('sh', ['-c', 'echo out; echo err >&2']))
    const log = await readFile(join(logs, 'some-thing.log'), 'utf8')
    assert.match(log, /\$ sh -c 'echo out; echo err >&2'\nout\nerr\n/)
  })

  it('tells the last lines, the command and the log of a step that failed', async () => {
    const { steps } = recorder()
    const work = steps.step('Build', step => step.run('sh', ['-c', 'seq 100; exit 3']))
    await assert.rejects(work, (error: Error) => {
      assert.ok(error instanceof StepError)
      assert.match(error.message, /^Build failed: exit code 3\n/)
      assert.match(error.message, / {4}86\n[\s\d]+ {4}100\n/)
      assert.doesNotMatch(error.message, / {4}85\n/)
      assert.match(error.message, /command {2}sh -c 'seq 100; exit 3'\n/)
      assert.ok(error.message.endsWith(`full log ${join(logs, 'build.log')}`))
      return true
    })
  })

  it('stops the steps beside one that failed and reports the first failure only', async () => {
    const { steps } = recorder()
    const slow = steps.step('Slow', step => step.run('sleep', ['60']))
    const broken = steps.step('Broken', async () => {
      throw new Error('no luck')
    })
    const ends = await Promise.allSettled([slow, broken])
    for (const end of ends)
      assert.match(String(end.status === 'rejected' && end.reason.message), /^Broken failed: no luck/)
  })

  it('draws how far a step is and what is left on a terminal, and takes it away at its end', async () => {
    const written: string[] = []
    const out = { write: (text: string) => void written.push(text), isTTY: true, columns: 80 }
    const steps = new Steps({ logs, out })
    await steps.step('Base environment', async step => {
      step.progress('1283 of 1692 MB', 0.75)
      return 'ready'
    })
    assert.ok(
      written.includes('  Base environment      ###############-----  1283 of 1692 MB   about 10 s'),
      written.join('|')
    )
    assert.match(written.at(-1) ?? '', /^ {2}Base environment +ready/)
  })

  it('says nothing in between where lines cannot be redrawn and a step is quick', async () => {
    const { steps, said } = recorder()
    await steps.step('Base environment', async step => {
      for (let i = 0; i < 100; i++) step.progress(`${i} of 100 MB`, i / 100)
      return 'ready'
    })
    assert.match(said(), /^ {2}Base environment +ready +0\.\d s\n$/)
  })
})

describe('PEKKA_HOME', () => {
  it("is the user's data directory unless it is set, and ignores a relative XDG_DATA_HOME", () => {
    assert.equal(homeFrom({ PEKKA_HOME: '/srv/a b' }), '/srv/a b')
    assert.equal(homeFrom({ XDG_DATA_HOME: '/data' }), '/data/pekka')
    assert.match(homeFrom({ XDG_DATA_HOME: 'data' }), /\/\.local\/share\/pekka$/)
  })
})
