import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { readFile, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { Command, TestNetwork, makeHome, needNetwork, sleep, until } from '../../../node/test/support/network.js'
import { MAIN } from '@pekka/node/setup/places'
import { expectRun } from './expect.js'

const notebookOf = (source: string): string =>
  JSON.stringify({
    nbformat: 4,
    nbformat_minor: 5,
    metadata: {},
    cells: [{ cell_type: 'code', id: 'one', source, metadata: {}, outputs: [], execution_count: null }]
  })

/** docs/failures.md names these tests. */
describe('heavy programs and long waits on a whole network', function () {
  this.timeout(240_000)
  let network: TestNetwork

  before(async function () {
    this.timeout(150_000)
    needNetwork(this)
    network = await TestNetwork.start()
  })
  after(async function () {
    this.timeout(60_000)
    await (network as TestNetwork | undefined)?.stop()
  })

  /** The machine is as good as before: another task runs. */
  async function expectHealthy(): Promise<void> {
    const next = await network.run('next.py', 'print("next")')
    assert.equal(next.stdout, 'next\n')
    await expectRun(network, next, { exit: 0, says: ['Done, not re-run'], state: 'settled', pays: 'its seconds' })
  }

  it('cuts 100 MB printed at once to its beginning and its end, and the code goes on', async () => {
    const source =
      'import sys\nline = "x" * 99 + "\\n"\nsys.stdout.write(line * 1_000_000)\nprint("the end", flush=True)\n'
    const run = await network.run('flood.py', source)
    assert.ok(run.stdout.startsWith('x'.repeat(99)))
    assert.ok(run.stdout.endsWith('the end\n'))
    assert.ok(run.stdout.length <= 64 << 20, `${run.stdout.length} characters came through`)
    const says = [/^\[\d+ bytes of output were cut here\]$/m, 'Done, not re-run']
    await expectRun(network, run, { exit: 0, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
    await expectHealthy()
  })

  it('brings one image of 40 MB home whole', async () => {
    const source =
      'import os\nfrom IPython.display import Image, display\n' +
      'raw = b"\\x89PNG\\r\\n\\x1a\\n" + bytes(40_000_000)\ndisplay(Image(data=raw, format="png"))\nprint("shown")\n'
    const out = await network.file('image-out.ipynb', '')
    const run = await network.run('image.ipynb', notebookOf(source), '--out', out)
    await expectRun(network, run, { exit: 0, says: ['Done, not re-run'], state: 'settled', pays: 'its seconds' })
    const written: { cells: { outputs: { data?: Record<string, string> }[] }[] } = JSON.parse(
      await readFile(out, 'utf8')
    )
    const image = written.cells[0]?.outputs.find(output => output.data?.['image/png'] !== undefined)
    assert.equal(Buffer.from(image?.data?.['image/png'] ?? '', 'base64').length, 40_000_008)
  })

  it('refuses one output that is larger than all output may be, says so, and the code goes on', async () => {
    const source =
      'from IPython.display import Image, display\n' +
      'raw = b"\\x89PNG\\r\\n\\x1a\\n" + bytes(60_000_000)\ndisplay(Image(data=raw, format="png"))\nprint("goes on")\n'
    const run = await network.run('large.ipynb', notebookOf(source))
    assert.match(run.stdout, /goes on\n$/)
    const says = [/^\[\d+ bytes of output were cut here\]$/m, 'Done, not re-run']
    await expectRun(network, run, { exit: 0, says, state: 'settled', pays: 'its seconds' })
  })

  it('holds a fork bomb inside its sandbox and ends it at the time limit', async () => {
    const source = 'import os\nprint("bomb", flush=True)\nwhile True:\n    try: os.fork()\n    except OSError: pass\n'
    const run = await network.run('bomb.py', source, '--time', '5')
    assert.match(run.stdout, /^bomb\n/)
    assert.ok(run.code === 124 || run.code === 137 || run.code === 1, `exit ${run.code}: ${run.stderr}`)
    assert.equal(run.item?.view?.state, 'settled')
    await network.quiet()
    await expectHealthy()
  })

  it('ends code that takes too much memory, names the limit and keeps what it printed', async () => {
    const source = 'print("filling", flush=True)\nhold = []\nwhile True: hold.append(bytearray(b"x" * (16 << 20)))\n'
    const run = await network.run('memory.py', source, '--memory', '512MB')
    assert.equal(run.stdout, 'filling\n')
    const says = ['Your code ran out of memory at 512 MB', 'Run again with 1 GB.']
    await expectRun(network, run, { exit: 124, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
    await expectHealthy()
  })

  it('tells code that fills the disk that the disk is full', async () => {
    const source =
      'print("writing", flush=True)\nwith open("full", "wb") as file:\n    while True: file.write(bytes(16 << 20))\n'
    const run = await network.run('disk.py', source)
    assert.equal(run.stdout, 'writing\n')
    const says = [/Errno (28|27|122)/, 'The working directory is full at 2 GB']
    await expectRun(network, run, { exit: 124, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
    await expectHealthy()
  })

  it('gives all credits back when no provider answers within a minute', async () => {
    const pids = await Promise.all(['provider-1', 'provider-2'].map(name => network.signal(name, 'SIGSTOP')))
    try {
      const run = await network.run('nobody.py', 'print("never")')
      assert.equal(run.stdout, '')
      const says = ['No machine took it. 0.500 credits came back.', 'Run again.']
      const { locked } = await network.account()
      assert.equal(locked, 0n)
      assert.equal(run.code, 69, run.stderr)
      for (const words of says) assert.ok(run.stderr.includes(words), run.stderr)
      assert.equal(run.item?.view?.reason, 'no-provider')
      assert.equal(run.item.view.refunded, run.item.view.offer.cap)
      assert.equal(run.after, run.before)
    } finally {
      for (const pid of pids) process.kill(pid, 'SIGCONT')
    }
    await until('the providers are back', async () => (await network.client.health()).providers === 2, 60_000)
    await expectHealthy()
  })

  it('keeps the lease of a running task while the ledger stands still for longer than it', async () => {
    const path = await network.file(
      'long.py',
      'import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(1)\n'
    )
    const before = await network.free()
    const command = network.begin(['run', path])
    await command.printed('2\n')
    await network.signal('witness', 'SIGSTOP')
    await sleep(34_000)
    await network.signal('witness', 'SIGCONT')
    const ended = await command.ended
    const run = { ...ended, item: await network.newest(), before, after: await network.free() }
    assert.equal(run.stdout, Array.from({ length: 40 }, (_, i) => `${i}\n`).join(''))
    await expectRun(network, run, { exit: 0, says: ['Done, not re-run'], state: 'settled', pays: 'its seconds' })
    assert.equal(run.item?.view?.attempts.length, 1)
  })

  it('takes the next port for JupyterLab where one is taken, and says which process runs already', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await until('the port is taken', () => server.listening)
    const address = server.address()
    assert.ok(typeof address === 'object' && address !== null)
    const { folder, env } = await makeHome()
    const pekka = (...args: string[]): Command =>
      new Command(spawn(process.execPath, [MAIN, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] }))
    const up = pekka('up', '--no-browser', '--json', '--port', String(address.port))
    try {
      await up.printed('"lab"')
      const said: { lab: string } = JSON.parse(up.stdout)
      assert.notEqual(new URL(said.lab).port, String(address.port))
      const again = await pekka('up', '--no-browser').ended
      assert.equal(again.code, 78, again.stderr)
      assert.match(
        again.stderr,
        /PEKKA runs already \(process \d+\) at http:\/\/127\.0\.0\.1:\d+.* \(ALREADY_RUNNING\)/
      )
      assert.match(again.stderr, /Use that one, or stop it: "pekka down"\./)
    } finally {
      up.kill('SIGTERM')
      await up.ended
      server.close()
      await rm(folder, { recursive: true, force: true })
    }
  })
})
