import assert from 'node:assert/strict'
import { join } from 'node:path'
import { sharedNetwork } from '../../../../server/test/support/shared-network.js'
import type { TestNetwork } from '../../support/network.js'

/** What `--json` answers, one object a line. */
const objects = <T>(text: string): T[] =>
  text
    .trim()
    .split('\n')
    .map(line => JSON.parse(line) as T) // the shape is what is tested

describe('commands about tasks', function () {
  this.timeout(240_000)
  let network: TestNetwork
  before(async function () {
    network = (await sharedNetwork(this)).network
  })

  it('run writes a receipt that holds, and tasks lists what it cost, for people and as JSON', async () => {
    const path = join(network.home, 'run.receipt')
    const run = await network.run('hello.py', 'print("hello")', '--receipt', path)
    assert.equal(run.code, 0, run.stderr)
    const verified = await network.pekka('verify', path)
    assert.equal(verified.code, 0, verified.stdout)
    assert.match(verified.stdout, /^All \d+ parts hold\.$/m)

    const shown = /receipt: pekka receipt ([0-9a-f]{8})/.exec(run.stderr)?.[1] ?? ''
    const list = await network.pekka('tasks')
    assert.match(list.stdout, /^TASK +WHAT +STATE +TIME +CREDITS\n/)
    assert.match(list.stdout, new RegExp(`^${shown} +hello\\.py +done, not re-run +\\S.*0\\.\\d+$`, 'm'))
    const [tasks = []] = objects<{ task: string; bridge: string }[]>((await network.pekka('tasks', '--json')).stdout)
    assert.ok(tasks[0]?.task.startsWith(shown))
    const [receipt] = objects<{ view: object }>((await network.pekka('receipt', shown, '--json')).stdout)
    assert.ok(receipt?.view)
  })

  it('ledger prove writes what verify checks with no network, ledger status finds this computer’s witness', async () => {
    const { item } = await network.run('proved.py', 'print("proved")')
    const task = Buffer.from(item?.task ?? []).toString('hex')
    const proof = join(network.home, 'proof.json')
    const made = await network.pekka('ledger', 'prove', task.slice(0, 12), '--out', proof)
    assert.equal(made.code, 0, made.stderr)
    // Of a home without a network.
    const away = { PEKKA_HOME: join(network.home, 'nowhere') }
    const verified = await network.begin(['ledger', 'verify', proof, '--trust', proof], away).ended
    assert.equal(verified.code, 0, verified.stderr)
    assert.match(verified.stdout, new RegExp(`^task ${task}: settled, \\S+ credits paid, `))
    assert.match(verified.stdout, /and agrees with the file from before\.$/m)
    const status = await network.pekka('ledger', 'status')
    assert.equal(status.code, 0, status.stderr)
    assert.match(status.stdout, /height: commit \d+\n +one witness decides alone/)
  })

  it('cancel stops a task that runs: its run ends as cancelled, with what it had printed', async () => {
    const path = await network.file(
      'endless.py',
      'import time\nprint("going", flush=True)\nwhile True: time.sleep(1)\n'
    )
    const command = network.begin(['run', path])
    await command.printed('going\n')
    const task = Buffer.from((await network.newest())?.task ?? []).toString('hex')
    const cancelled = await network.pekka('cancel', task.slice(0, 8), '--json')
    assert.deepEqual(objects(cancelled.stdout), [{ task, cancelled: true }], cancelled.stderr)
    const ended = await command.ended
    assert.equal(ended.code, 130, ended.stderr)
    assert.equal(ended.stdout, 'going\n')
    assert.match(ended.stderr, /Cancelled by you/)
    const again = await network.pekka('cancel', task.slice(0, 8))
    assert.match(again.stderr, /^[0-9a-f]{8} is over: cancelled\. There is nothing to cancel\.$/m)
    await network.quiet()
    const unknown = await network.pekka('cancel', 'ffffffff')
    assert.equal(unknown.code, 64, unknown.stderr)
  })

  it('session keeps what ran before, says what it cost and frees its place', async () => {
    const opened = await network.pekka('session', 'open', '--cap', '1')
    assert.equal(opened.code, 0, opened.stderr)
    assert.match(opened.stderr, /0\.001 credits a second while it runs, 0\.0001 while it waits, at most 1/)
    const id = opened.stdout.trim()
    assert.match(id, /^[0-9a-f]{8}$/)
    const first = await network.pekka('session', 'run', id, '-c', 'import math\nx = 41')
    assert.equal(first.code, 0, first.stderr)
    const failing = await network.pekka('session', 'run', id, '-c', '1 / 0')
    assert.equal(failing.code, 1, failing.stderr)
    assert.match(failing.stderr, /ZeroDivisionError/)
    const file = await network.file('more.py', 'print(math.floor(x) + 1)\n')
    const second = await network.pekka('session', 'run', id, file)
    assert.deepEqual([second.code, second.stdout], [0, '42\n'], second.stderr)
    const closed = await network.pekka('session', 'close', id)
    assert.equal(closed.code, 0, closed.stderr)
    assert.match(closed.stderr, /^Closed\. \d\.\d+ credits, \d\.\d+ came back/m)
    const late = await network.pekka('session', 'run', id, '-c', 'print(x)')
    assert.equal(late.code, 69, late.stderr)
    assert.match(late.stderr, /The session is over/)
    await network.quiet()
  })

  it('logs of the processes are as they were written, and as JSON with the name of each', async () => {
    const plain = await network.pekka('logs', '--process', 'witness', '-n', '1')
    assert.match(plain.stdout, /^==> .*witness\.log\n\{/)
    const lines = objects<{ process: string; line: string }>((await network.pekka('logs', '-n', '1', '--json')).stdout)
    const named = lines.map(({ process }) => process)
    for (const name of ['bridge', 'provider-1', 'wallet', 'witness']) assert.ok(named.includes(name), name)
    assert.ok(lines.every(({ line }) => typeof line === 'string'))
    const none = await network.pekka('logs', '--process', 'nobody')
    assert.equal(none.code, 64, none.stderr)
  })

  it('run --auction has machines bid, runs on the lowest, and its receipt computes the price again', async () => {
    const path = join(network.home, 'auction.receipt')
    const run = await network.run('sold.py', 'print("sold")\n', '--auction', '--receipt', path)
    assert.equal(run.stdout, 'sold\n', run.stderr)
    assert.match(run.stderr, /Won at [0-9.]+ credits a second, of [12] bids?/)
    assert.match(run.stderr, /only this computer can send it the key/)
    assert.equal(run.code, 0)
    assert.ok(run.item?.view && run.item.view.paid > 0n)
    assert.equal(run.before - run.after, run.item.view.paid)
    const verified = await network.pekka('verify', path)
    assert.equal(verified.code, 0, verified.stdout)
    assert.match(verified.stdout, /follows from [12] sealed bids?/)
  })
})
