import assert from 'node:assert/strict'
import type { PekkaClient, TaskRequest, TaskUpdate } from '@pekka/node/client'
import { CREDIT, type TaskItem } from '@pekka/node/protocol'
import { describeOutcome } from '../../../node/src/cli/task/outcome.js'
import { sleep, until, type TestNetwork } from '../../../node/test/support/network.js'
import { sharedNetwork } from '../support/shared-network.js'
import { expectRun } from './expect.js'

const notebook = (cells: object[], extra: object = {}): string =>
  JSON.stringify({ nbformat: 4, nbformat_minor: 5, metadata: {}, cells, ...extra })
const code = (source: string, id = 'one'): object => ({
  cell_type: 'code',
  id,
  source,
  metadata: {},
  outputs: [],
  execution_count: null
})

/** Credits of the price list of an embedded network: a thousandth a second. */
const SECOND = 1000n

const script = (source: string, cap: bigint): TaskRequest => ({
  program: { kind: 'script', file: 'task.py', source: new TextEncoder().encode(source), args: [] },
  image: 'base',
  cap,
  note: { v: 1, title: 'task.py', kind: 'script', path: null, cells: [] }
})

/** The task once it is refused, or done. */
async function endOf(client: PekkaClient, task: Uint8Array): Promise<TaskItem> {
  let item = await client.task(task)
  await until('the task has ended', async () => {
    item = await client.task(task)
    return item.bridge === 'refused' || item.view?.state === 'settled'
  })
  return item
}

const refusal = (item: TaskItem): TaskUpdate => ({
  phase: { phase: 'refused', code: item.code ?? '' },
  item,
  finished: null
})

/** docs/failures.md names these tests. */
describe('bad input on a whole network', function () {
  this.timeout(60_000)
  let network: TestNetwork

  before(async function () {
    network = (await sharedNetwork(this)).network
  })

  const refuses = (
    title: string,
    name: string,
    content: () => string | Uint8Array,
    says: string[],
    exit = 64
  ): void => {
    it(title, async () => {
      const run = await network.run(name, content())
      await expectRun(network, run, { exit, says, state: null, pays: 'nothing' })
    })
  }

  refuses('refuses a notebook that is no JSON', 'broken.ipynb', () => '{"cells": [', [
    'The notebook cannot be read: it is not JSON (INPUT_NOTEBOOK)',
    'a notebook, and complete?'
  ])
  refuses('refuses JSON that is no notebook', 'other.ipynb', () => '{"nbformat": 4, "cells": 7}', [
    'The notebook cannot be read: cells: ',
    '(INPUT_NOTEBOOK)',
    'Open and save it once in JupyterLab.'
  ])
  refuses(
    'refuses a notebook of an old format with the command that converts it',
    'old.ipynb',
    () => JSON.stringify({ nbformat: 3, nbformat_minor: 0, metadata: {}, worksheets: [] }),
    [
      'The notebook cannot be read: it has the old format 3 (INPUT_NOTEBOOK)',
      'Convert it: jupyter nbconvert --to notebook --nbformat 4 "'
    ]
  )
  refuses(
    'refuses a notebook that is not Python',
    'r.ipynb',
    () => notebook([code('1')], { metadata: { kernelspec: { name: 'ir', language: 'R' } } }),
    ['Only Python runs remotely; this is R. (INPUT_NOT_PYTHON)', 'Choose a Python notebook.']
  )
  refuses('refuses a notebook with too much code', 'huge.ipynb', () => notebook([code('x = 1\n'.repeat(3 << 20))]), [
    'The code is too large (18874368 bytes; at most 16777216). (INPUT_TOO_LARGE)',
    'Put data into files.'
  ])
  refuses('refuses a notebook without code', 'empty.ipynb', () => notebook([code('  \n')]), [
    'Nothing to run: there is no code. (INPUT_EMPTY)',
    'Write some code first.'
  ])
  refuses('refuses an empty script', 'empty.py', () => '\n', ['Nothing to run: there is no code. (INPUT_EMPTY)'])
  refuses('refuses what is neither a script nor a notebook', 'data.csv', () => 'a,b\n', [
    'data.csv is neither a Python script (.py) nor a notebook (.ipynb). (USAGE)'
  ])

  it('refuses an environment that no machine offers, and names those there are', async () => {
    const run = await network.run('hi.py', 'print(1)', '--image', 'nope')
    const says = ['No machine offers the environment "nope". (IMAGE_UNKNOWN)', /Choose one of: base/]
    await expectRun(network, run, { exit: 69, says, state: null, pays: 'nothing' })
  })

  it('refuses more memory than any machine has', async () => {
    const run = await network.run('hi.py', 'print(1)', '--memory', '64GB')
    const says = ['No machine matches. Nothing was charged. (NO_MATCH)']
    await expectRun(network, run, { exit: 69, says, state: null, pays: 'nothing' })
  })

  it('refuses a cap that does not pay one second', async () => {
    const run = await network.run('hi.py', 'print(1)', '--cap', '0.0005')
    const says = ['A cap of 0.0005 credits is less than one second costs. (CAP_TOO_LOW)', 'Raise the cap.']
    await expectRun(network, run, { exit: 64, says, state: null, pays: 'nothing' })
  })

  it('refuses a task that the account cannot pay', async () => {
    const run = await network.run('hi.py', 'print(1)', '--cap', '50')
    const says = [
      /^You have \d+(\.\d+)? credits, this needs 50 credits\. \(FUNDS_MISSING\)/m,
      'Lower the cap, or add credits.'
    ]
    await expectRun(network, run, { exit: 77, says, state: null, pays: 'nothing' })
  })

  it('refuses a task of a key that has spent what it may', async () => {
    const client = await network.delegate({ cap: 3n * SECOND, perTask: 2n * SECOND, lifeMs: 600_000 })
    const first = await endOf(client, await client.submit(script('print(1)', 2n * SECOND)))
    assert.equal(first.view?.state, 'settled')
    const rest = 3n * SECOND - (first.view?.paid ?? 0n)
    const before = await network.free()
    await client.submit(script('while True: pass', rest > 2n * SECOND ? 2n * SECOND : rest))
    const task = await client.submit(script('print(2)', 2n * SECOND))
    const refused = await endOf(client, task)
    assert.equal(refused.code, 'DELEGATE_CAP')
    const { line, exitCode } = describeOutcome(task, refusal(refused))
    assert.equal(line, 'Not started: This key may not spend that much. (DELEGATE_CAP) Nothing was charged.')
    assert.equal(exitCode, 77)
    await until('the other has ended', async () => (await network.account()).locked === 0n)
    assert.ok(before - (await network.free()) <= 2n * SECOND)
  })

  it('refuses a task of a key that has expired', async () => {
    const client = await network.delegate({ cap: CREDIT, perTask: CREDIT, lifeMs: 2000 })
    const before = await network.free()
    await sleep(3000)
    await assert.rejects(client.submit(script('print(1)', SECOND)), {
      code: 'DELEGATE_EXPIRED',
      message: 'This key has expired.',
      advice: 'Pair again: "pekka pair".'
    })
    assert.equal(await network.free(), before)
  })

  it('runs code with a syntax error as code that failed: its message is shown, its seconds are paid', async () => {
    const run = await network.run('syntax.py', 'x = (\n')
    const says = ["SyntaxError: '(' was never closed", 'Your code ended with exit code 1  ']
    await expectRun(network, run, { exit: 1, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
  })

  it('shows the traceback of a cell that raised and exits with 1', async () => {
    const run = await network.run('raises.ipynb', notebook([code('print("first")'), code('1/0', 'two')]))
    assert.equal(run.stdout, 'first\n')
    const says = ['ZeroDivisionError', 'Your code stopped: ZeroDivisionError  ']
    await expectRun(network, run, { exit: 1, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
  })

  it('tells a script that asks for input that nobody can type there', async () => {
    const run = await network.run('input.py', 'print("before")\nname = input("name? ")\n')
    assert.equal(run.stdout, 'before\nname? ')
    const says = ['EOFError', 'Your code asked for input  nobody can type there  ', 'Set the value in your code.']
    await expectRun(network, run, { exit: 1, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
  })

  it('tells a cell that asks for input that nobody can type there', async () => {
    const run = await network.run('input.ipynb', notebook([code('name = input("name? ")')]))
    const says = ['Your code asked for input  nobody can type there  ']
    await expectRun(network, run, { exit: 1, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
  })

  it('stops an endless loop at its time limit and keeps what it printed', async () => {
    const run = await network.run('loop.py', 'print("still here", flush=True)\nwhile True: pass\n', '--time', '2')
    assert.equal(run.stdout, 'still here\n')
    const says = ['Stopped at your limit of 2 s  the code was still at work  ', 'Run again with more time.']
    await expectRun(network, run, { exit: 124, says, state: 'settled', reason: 'not-rerun', pays: 'its seconds' })
  })

  it('stops a task at its cap, which is what it costs', async () => {
    const source = 'import time\nprint("going", flush=True)\nwhile True: time.sleep(0.1)\n'
    const run = await network.run('cap.py', source, '--cap', '0.002')
    assert.equal(run.stdout, 'going\n')
    const says = ['Stopped at your cap  the code was still at work  ', 'Run again with a higher cap.']
    await expectRun(network, run, { exit: 124, says, state: 'settled', reason: 'not-rerun', pays: 2n * SECOND })
  })

  it('cancels code that ignores every signal, keeps its output and bills the seconds it ran', async () => {
    const path = await network.file(
      'ignore.py',
      'import signal, time\nfor n in (signal.SIGINT, signal.SIGTERM): signal.signal(n, signal.SIG_IGN)\n' +
        'print("never", flush=True)\nwhile True:\n  try: time.sleep(60)\n  except BaseException: pass\n'
    )
    const before = await network.free()
    const command = network.begin(['run', path])
    await command.printed('never\n')
    command.kill('SIGINT')
    const ended = await command.ended
    const run = { ...ended, item: await network.newest(), before, after: await network.free() }
    const says = ['Cancelling; output so far is kept.', 'Cancelled by you  output so far is kept  ']
    await expectRun(network, run, { exit: 130, says, state: 'settled', reason: 'stopped', pays: 'its seconds' })
  })
})
