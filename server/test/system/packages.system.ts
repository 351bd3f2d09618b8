import assert from 'node:assert/strict'
import type { TestNetwork } from '../../../node/test/support/network.js'
import type { DataServer } from '../support/data-server.js'
import { sharedNetwork } from '../support/shared-network.js'

/** The one suite that asks the package index this computer is set up for; everything else has its own (server/test/layers). */
describe('pekka run --with and --input', function () {
  this.timeout(240_000)
  let network: TestNetwork
  let data: DataServer

  before(async function () {
    const shared = await sharedNetwork(this)
    network = shared.network
    data = shared.data
  })

  it('adds a package that the environment lacks before anything costs, and has it at once the second time', async function () {
    const source = 'import inflect\nprint(inflect.engine().number_to_words(42))\n'
    const run = await network.run('count.py', source, '--with', 'inflect==7.5.0')
    if (run.stderr.includes('LAYERS_UNREACHABLE') && process.env.CI === undefined) return this.skip()
    assert.equal(run.stdout, 'forty-two\n', run.stderr)
    assert.match(run.stderr, /Added: inflect 7\.5\.0/)
    assert.equal(run.code, 0)
    const again = await network.run('count.py', source, '--with', 'inflect==7.5.0')
    assert.equal(again.stdout, 'forty-two\n', again.stderr)
  })

  it('adds what the imports ask for to base where no machine offers the environment that has it', async () => {
    const run = await network.run('count.py', 'import humanize\nprint(humanize.intcomma(12345))\n')
    assert.equal(run.stdout, '12,345\n', run.stderr)
    assert.match(run.stderr, /No machine offers machine-learning now: humanize is added to base for this run\./)
  })

  it('says at the end of a run without a module which command adds it', async () => {
    // A name that is made up while it runs: no scan sees it.
    const run = await network.run('made_up.py', 'import importlib\nimportlib.import_module("huma" + "nize")\n')
    assert.match(run.stderr, /ModuleNotFoundError: No module named 'humanize'\n/)
    assert.match(run.stderr, /Add it and run again: pekka run --with humanize \S+made_up\.py\n/)
    assert.equal(run.code, 1)
  })

  it('ends before anything is offered where a package can not be had', async () => {
    for (const [wish, words, code] of [
      ['inflect==0.0.99', /do not go together/, 64],
      ['nunpy', /one letter away from "numpy"/, 64],
      ['./inflect', /a path or a file/, 64]
    ] as const) {
      const run = await network.run('count.py', 'print(1)', '--with', wish)
      assert.match(run.stderr, words)
      assert.equal(run.code, code)
      assert.equal(run.item, null)
      assert.equal(run.before, run.after)
    }
  })

  it('fetches what --input names: the code opens the address, or the file, without a network', async () => {
    const url = data.at('/stars.csv?v=2')
    const source = [
      'import socket, urllib.request, pandas as pd',
      `print(pd.read_csv(${JSON.stringify(url)}).mass.sum())`,
      `print(urllib.request.urlopen(${JSON.stringify(url)}).read() == open("stars.csv", "rb").read())`,
      `try: urllib.request.urlopen(${JSON.stringify(data.at('/other.csv'))})`,
      'except OSError as error: print("--input" in str(error))'
    ].join('\n')
    const run = await network.run('stars.py', source, '--input', url)
    assert.equal(run.stdout, '4.1\nTrue\nTrue\n', run.stderr)
    assert.match(run.stderr, /Fetched: stars\.csv \(30 B\)/)
    assert.equal(run.code, 0)
    // Once, by the bridge; the machine asked nobody.
    assert.deepEqual(data.asked, ['/stars.csv?v=2'])
  })

  it('ends before anything is offered where an input is not there', async () => {
    const run = await network.run('none.py', 'print(1)', '--input', data.at('/none.csv'))
    assert.match(run.stderr, /could not be fetched: the server answered 404/)
    assert.deepEqual([run.item, run.before], [null, run.after])
  })

  it('fetches nothing from inside the own network', async () => {
    for (const url of ['https://169.254.169.254/', 'https://localhost/', new URL(network.bridge).href]) {
      const run = await network.run('read.py', 'print(1)', '--input', url)
      assert.match(run.stderr, /is not fetched/)
      assert.equal(run.code, 64)
      assert.equal(run.item, null)
    }
  })
})
