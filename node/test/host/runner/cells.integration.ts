import assert from 'node:assert/strict'
import { readlinkSync } from 'node:fs'
import { encodeRecord } from '@pekka/node/host/runner'
import {
  cellsCommand,
  needImage,
  startRunner,
  transcriptOf,
  WarmRunners,
  type RunInit,
  Transcript
} from './sandboxed-runner.js'

const MIB = 1 << 20

describe('runner: cells', function () {
  this.timeout(60_000)
  const warm = new WarmRunners()
  before(function () {
    needImage(this)
  })
  after(async () => await warm.close())

  const run = async (sources: (string | [string, string[]])[], init: RunInit = {}): Promise<Transcript> =>
    await transcriptOf(warm.take(), cellsCommand(sources, init), init)

  it('runs cells in order in one kernel, counts from 1, leaves empty cells without a number', async () => {
    const seen = await run(['x = 20\nprint("a")', '  \n', 'x + 22', ['1/0', ['skip-execution']]])
    assert.deepEqual(seen.statuses(), ['c1:ok', 'c2:ok', 'c3:ok', 'c4:skipped'])
    assert.deepEqual(
      seen.of('cell-end').map(event => event.executionCount),
      [1, null, 2, null]
    )
    assert.equal(seen.text('c1'), 'a\n')
    assert.equal(seen.of('execute_result')[0]?.data['text/plain'], '42')
    assert.deepEqual([seen.done.outcome, seen.done.reason, seen.done.exitCode], ['ok', 'completed', 0])
    const { usage } = seen.done
    assert.ok(
      usage.wallMs > 0 && usage.maxMemoryBytes > 20 * MIB && usage.maxMemoryBytes < 1024 * MIB,
      JSON.stringify(usage)
    )
  })

  it('stays for its next run when it is told to stop one that has just ended', async () => {
    const { session, child, end } = warm.take()
    const runKept = async (source: string): Promise<Transcript> => {
      const seen = new Transcript()
      for await (const event of session.run({ ...cellsCommand([source]), keep: true })) seen.events.push(event)
      return seen
    }
    try {
      await runKept('x = 1')
      for (const op of ['interrupt', 'cancel']) child.stdin.write(encodeRecord({ op }))
      const next = await runKept('print(x + 1)')
      assert.deepEqual([next.text('c1'), next.done.outcome], ['2\n', 'ok'])
    } finally {
      await end()
    }
  })

  it('stops at an error with its traceback and marks the cells that were not run', async () => {
    const seen = await run(['def f(): return 1/0', 'print("before")\nf()', 'print("never")'])
    assert.deepEqual(seen.statuses(), ['c1:ok', 'c2:error', 'c3:not-run'])
    const [error] = seen.of('error')
    assert.equal(error?.ename, 'ZeroDivisionError')
    assert.match(error?.traceback.join('\n') ?? '', /def.*f/s)
    assert.equal(seen.text('c2'), 'before\n')
    assert.deepEqual([seen.done.outcome, seen.done.reason, seen.done.exitCode], ['user', 'exception', 1])
    assert.equal(seen.done.detail['ename'], 'ZeroDivisionError')
  })

  it('names the error of an object that cannot be shown', async () => {
    const seen = await run([
      'class Odd:\n    def _repr_html_(self): raise ValueError("no")\n    __repr__ = _repr_html_\nOdd()'
    ])
    assert.equal(seen.of('error')[0]?.ename, 'ValueError')
    if (seen.done.outcome !== 'ok') assert.equal(seen.done.detail['ename'], 'ValueError')
  })

  it('goes on after an error that is tagged, or when told to', async () => {
    const tagged = await run([['1/0', ['raises-exception']], 'print("on")'])
    assert.deepEqual(tagged.statuses(), ['c1:error', 'c2:ok'])
    assert.equal(tagged.done.outcome, 'ok')
    const told = await run(['1/0', 'print("on")'], { stopOnError: false })
    assert.deepEqual(told.statuses(), ['c1:error', 'c2:ok'])
    assert.deepEqual([told.done.outcome, told.done.exitCode], ['user', 1])
  })

  it('keeps the order of prints and displays under load', async () => {
    const source = `
from IPython.display import display
for i in range(100_000):
    print(i)
    if i % 1000 == 999: display({"text/plain": f"after {i}"}, raw=True)`
    const seen = await run([source])
    assert.equal(seen.done.reason, 'completed')
    let next = 0
    let text = ''
    for (const event of seen.events) {
      if (event.type === 'stream') text += event.text
      if (event.type !== 'display_data') continue
      const numbers = text.trimEnd().split('\n').map(Number)
      text = ''
      for (const number of numbers) assert.equal(number, next++)
      assert.equal(event.data['text/plain'], `after ${next - 1}`)
    }
    assert.equal(next, 100_000)
  })

  it('sends text while the cell runs, keeps \\r and the order of both streams', async () => {
    const arrivals: string[] = []
    const source = `
import sys, time
for i in range(3):
    print(f"\\r{i}/2", end="", flush=True); time.sleep(0.05)
    print("e", i, file=sys.stderr, flush=True); time.sleep(0.05)`
    const seen = await run([source], {
      on: event => {
        if (event.type === 'stream') arrivals.push(`${event.name} ${String(event.text)}`)
      }
    })
    assert.deepEqual(arrivals, [
      'stdout \r0/2',
      'stderr e 0\n',
      'stdout \r1/2',
      'stderr e 1\n',
      'stdout \r2/2',
      'stderr e 2\n'
    ])
    const times = seen.of('stream').map(event => event.t)
    assert.ok((times[0] ?? 0) < (times.at(-1) ?? 0), 'all text came at once')
  })

  it('relays display ids, updates from later cells and clear_output', async () => {
    const seen = await run([
      'from IPython.display import display, clear_output, HTML\nh = display("one", display_id=True)\nh.update("two")',
      'h.update("three")',
      'print("gone"); clear_output(wait=True); display(HTML("<b>kept</b>"))'
    ])
    const shown = seen.of('display_data')[0]
    const id = shown?.transient?.['display_id']
    assert.ok(typeof id === 'string')
    assert.deepEqual(
      seen
        .of('update_display_data')
        .map(event => [event.cell, event.transient?.['display_id'], event.data['text/plain']]),
      [
        ['c1', id, "'two'"],
        ['c2', id, "'three'"]
      ]
    )
    assert.deepEqual(
      seen.events.flatMap(event => ('cell' in event && event.cell === 'c3' ? [event.type] : [])),
      ['cell-start', 'stream', 'clear_output', 'display_data', 'cell-end']
    )
  })

  it('draws with matplotlib, shows tables, drops comm messages and shows widgets as text', async () => {
    const seen = await run([
      'import matplotlib.pyplot as plt\nplt.plot([1, 2, 3]);',
      'import pandas as pd\npd.DataFrame({"a": [1, 2]})',
      `from comm import create_comm
from IPython.display import display
create_comm(target_name="jupyter.widget", data={})
display({"application/vnd.jupyter.widget-view+json": {"model_id": "x"}, "text/plain": "IntSlider(value=7)"}, raw=True)`
    ])
    assert.deepEqual(seen.statuses(), ['c1:ok', 'c2:ok', 'c3:ok'])
    const [figure, widget] = seen.of('display_data')
    const png = figure?.data['image/png']
    assert.ok(typeof png === 'string')
    assert.equal(Buffer.from(png, 'base64').subarray(1, 4).toString(), 'PNG')
    assert.match(String(seen.of('execute_result')[0]?.data['text/html']), /<table/)
    assert.deepEqual(Object.keys(widget?.data ?? {}), ['text/plain'])
    assert.match(String(widget?.data['text/plain']), /^IntSlider\(value=7\)\n.*widget/)
  })

  it('runs await, magics, shell lines, subprocesses, threads and forks as at home', async () => {
    const seen = await run([
      'import asyncio\nawait asyncio.sleep(0.01)\nt = asyncio.create_task(asyncio.sleep(0, "task"))\nprint(await t)',
      '%who_ls',
      '!echo from a shell',
      'import subprocess, os\nsubprocess.run(["echo", "from a subprocess"])\nos.system("echo from os.system");',
      'import threading\nw = threading.Thread(target=lambda: print("from a thread")); w.start(); w.join()',
      'from multiprocessing import get_context\nwith get_context("fork").Pool(2) as p: print(sum(p.map(abs, [-1, -2])))',
      '%%writefile helper.py\ndef hello(): return "from a module"',
      'import helper\nprint(helper.hello())',
      'len?'
    ])
    assert.equal(seen.done.reason, 'completed', JSON.stringify(seen.of('error')))
    assert.equal(seen.text('c1'), 'task\n')
    assert.match(String(seen.of('execute_result')[0]?.data['text/plain']), /asyncio/)
    assert.match(seen.text('c3'), /from a shell/)
    assert.match(seen.text('c4'), /from a subprocess/)
    assert.match(seen.text('c4'), /from os\.system/)
    assert.equal(seen.text('c5'), 'from a thread\n')
    assert.equal(seen.text('c6'), '3\n')
    assert.equal(seen.text('c8'), 'from a module\n')
    assert.match(
      String(seen.of('display_data').find(event => event.cell === 'c9')?.data['text/plain']),
      /number of items/
    )
    assert.deepEqual(
      seen.of('files').flatMap(event => event.files),
      [{ name: 'helper.py', size: Buffer.byteLength('def hello(): return "from a module"\n') }]
    )
  })

  it('refuses input() with a sentence that says what to do', async () => {
    const seen = await run(['n = int(input("How many? "))', 'n'])
    const [error] = seen.of('error')
    assert.match(error?.evalue ?? '', /Your code asked for input \(How many\?\).*Put the value into the code/)
    assert.deepEqual(seen.statuses(), ['c1:error', 'c2:not-run'])
  })

  it('seeds random and numpy with the seed of the task, and leaves them alone without one', async () => {
    const source = 'import random, numpy\nprint(random.random(), numpy.random.rand())'
    const first = await run([source], { seed: 7 })
    const second = await run([source], { seed: 7 })
    const other = await run([source], { seed: 8 })
    const [free, free2] = [await run([source]), await run([source])]
    assert.equal(first.text('c1'), '0.34831064891250374 0.48246593807161975\n')
    assert.equal(second.text('c1'), first.text('c1'))
    assert.notEqual(other.text('c1'), first.text('c1'))
    assert.notEqual(free.text('c1'), free2.text('c1'))
  })

  it('imports what it is told before it is ready, seeds that too, and leaves no trace in the namespace', async () => {
    const runner = startRunner({ preload: 'numpy,this,no_such_module' })
    const ready = await runner.session.ready()
    assert.deepEqual(ready.preloaded, ['numpy', 'this'])
    const seen = await transcriptOf(
      runner,
      cellsCommand(
        [
          'import sys\nprint("numpy" in sys.modules, "numpy" in globals(), len(In), hasattr(sys, "last_type"))',
          'import numpy\nprint(numpy.random.rand())'
        ],
        { seed: 7 }
      )
    )
    assert.equal(seen.text('c1'), 'True False 2 False\n')
    assert.equal(seen.text('c2'), '0.186601647902226\n')
  })

  it('ends where sys.exit() or exit() stands, with its code', async () => {
    const code = await run(['import sys\nprint("a")\nsys.exit(4)', 'print("never")'])
    assert.deepEqual([code.done.outcome, code.done.reason, code.done.exitCode], ['user', 'exit-code', 4])
    const fine = await run(['exit()', 'print("never")'])
    assert.deepEqual(fine.statuses(), ['c1:ok', 'c2:not-run'])
    assert.deepEqual([fine.done.outcome, fine.done.reason, fine.done.exitCode], ['ok', 'completed', 0])
  })

  it('lets nothing of the task reach the stream of records', async () => {
    const runner = warm.take()
    await runner.session.ready()
    const records = [0, 1].map(fd => readlinkSync(`/proc/${runner.child.pid}/fd/${fd}`))
    const source = `
import os, glob
print(*(os.readlink(f) for f in glob.glob("/proc/self/fd/*") if os.path.lexists(f)))
for file in glob.glob("/proc/[0-9]*/cmdline"):
    folder = os.path.dirname(file)
    if b"/opt/pekka/runner/main.py" in open(file, "rb").read().split(b"\\0")[3:4]:
        opened = []
        for fd in list(range(64)) + [os.path.basename(f) for f in glob.glob(folder + "/fd/*")]:
            for flags in (os.O_RDONLY, os.O_WRONLY):
                try: opened.append(os.open(f"{folder}/fd/{fd}", flags | os.O_NONBLOCK))
                except OSError: pass
        try: opened.append(os.open(folder + "/mem", os.O_RDWR))
        except OSError: pass
        print("opened", opened)
for fd in (0, 1, 2):
    try: os.write(fd, b"\\xff\\xff\\xff\\xffnot a record")
    except OSError: pass
os.system("printf 'no record either' >&2")
import signal
for number in ("INT", "TERM", "HUP", "QUIT", "USR1"): os.kill(os.getppid(), getattr(signal, "SIG" + number))`
    const seen = await transcriptOf(runner, cellsCommand([source, 'print("still here")']))
    assert.ok(records.every(link => /^(socket|pipe):/.test(link)))
    assert.match(seen.text('c1'), /pipe:/)
    for (const link of records) assert.ok(!seen.text('c1').includes(link), link)
    assert.match(seen.text('c1'), /\nopened \[\]\n/)
    assert.match(seen.text('c1') + seen.text('c1', 'stderr'), /not a record.*no record either/s)
    assert.equal(seen.text('c2'), 'still here\n')
    assert.equal(runner.diagnostics(), '')
  })

  it('passes text that UTF-8 or JSON cannot hold in a form that they can', async () => {
    const seen = await run([
      'print("ä€😀\\x00\\x1b[1m")',
      'from IPython.display import JSON\nJSON({"x": float("nan")})',
      'print("\\ud800!")'
    ])
    assert.equal(seen.text('c1'), 'ä€😀\x00\x1b[1m\n')
    assert.ok(['completed', 'exception'].includes(seen.done.reason), seen.done.reason)
  })

  it('cuts text over the limit of a cell to its first half and its end, with the numbers between', async () => {
    const runs = []
    for (const chunk of [1, 1000]) {
      const source = `
import sys
line = "0123456789abcde\\n"
for _ in range(${3 * MIB} // 16 // ${chunk}): sys.stdout.write(line * ${chunk})
print("the end", end="")`
      runs.push(await run([source], { limits: { cellTextBytes: MIB } }))
    }
    for (const seen of runs) {
      const [marker] = seen.of('truncated')
      assert.ok(marker)
      const at = seen.events.indexOf(marker)
      const size = (from: number, to?: number) =>
        seen.events.slice(from, to).reduce((sum, event) => sum + Transcript.lengthOf(event), 0)
      assert.equal(size(0, at), MIB / 2)
      assert.equal(size(at), MIB / 16)
      assert.equal(marker.keptBytes, MIB / 2 + MIB / 16)
      assert.equal(marker.keptBytes + marker.cutBytes, seen.done.usage.outputBytes)
      assert.ok(seen.text('c1').endsWith('the end'))
      assert.equal(seen.done.reason, 'completed')
    }
    assert.equal(runs[0]?.of('truncated').length, 1)
  })

  it('survives 100 MB printed at once', async () => {
    const seen = await run([
      'x = "y" * 99 + "\\n"\nfor _ in range(100): print(x * 10_000, end="")\nprint("last")',
      'print("next")'
    ])
    assert.equal(seen.done.reason, 'completed')
    assert.equal(seen.text('c1').length, 9 * MIB)
    assert.ok(seen.text('c1').endsWith('last\n'))
    assert.equal(seen.text('c2'), 'next\n')
    assert.equal(seen.of('truncated')[0]?.cutBytes, 100_000_005 - 9 * MIB)
    assert.equal(seen.done.usage.outputBytes, 100_000_005 + 5)
  })

  it('passes one picture of 50 MB below the limit of output, and refuses it with a marker above', async () => {
    const source = 'from IPython.display import Image\nImage(b"\\x89PNG" + bytes(50_000_000), format="png")'
    const passed = await run([source, 'print("on")'], { limits: { outputBytes: 80 * MIB } })
    const png = passed.of('execute_result')[0]?.data['image/png']
    assert.equal(typeof png === 'string' ? Buffer.from(png, 'base64').length : 0, 50_000_004)
    const smaller = source.replace('50_000_000', '10_000_000')
    const refused = await run([smaller, 'print("on")'], { limits: { outputBytes: 8 * MIB } })
    assert.equal(refused.of('execute_result').length, 0)
    const [marker] = refused.of('truncated')
    assert.equal(marker?.what, 'output')
    assert.ok((marker?.cutBytes ?? 0) > 13_000_000)
    assert.equal(refused.text('c2'), 'on\n')
    assert.equal(refused.done.outcome, 'ok')
  })

  it('stops the kernel while the host does not read, and loses nothing', async () => {
    const runner = warm.take()
    await runner.session.ready()
    const source =
      'import time\nfor i in range(64): print("z" * (1 << 20), end=""); time.sleep(0.01)\nprint(time.process_time() < 50)'
    const limits = { cellTextBytes: 160 * MIB, outputBytes: 160 * MIB }
    let paused = false
    const seen = await transcriptOf(runner, cellsCommand([source], { limits }), {
      on: async event => {
        if (paused || event.type !== 'stream') return
        paused = true
        await new Promise(wake => setTimeout(wake, 1500))
      }
    })
    assert.equal(seen.text('c1').length, 64 * MIB + 'True\n'.length)
    assert.equal(seen.done.reason, 'completed')
  })
})
