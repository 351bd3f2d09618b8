import { PekkaError } from '@pekka/node/protocol'
import assert from 'node:assert/strict'
import {
  cellsCommand,
  needImage,
  pieceOf,
  scriptCommand,
  startRunner,
  Transcript,
  transcriptOf,
  WarmRunners,
  type RunInit
} from './sandboxed-runner.js'

const MIB = 1 << 20

/** Calls `act` once, when `word` has been printed. */
const once = (word: string, act: NonNullable<RunInit['on']>): RunInit['on'] => {
  let text = ''
  let acted = false
  return async (event, session) => {
    if (event.type === 'stream') text += pieceOf(event)
    if (acted || !text.includes(word)) return
    acted = true
    await act(event, session)
  }
}

describe('runner: how runs end', function () {
  this.timeout(60_000)
  const warm = new WarmRunners()
  before(function () {
    needImage(this)
  })
  after(async () => await warm.close())

  const run = async (sources: (string | [string, string[]])[], init: RunInit = {}): Promise<Transcript> =>
    await transcriptOf(warm.take(), cellsCommand(sources, init), init)
  const script = async (source: string, init: RunInit = {}): Promise<Transcript> =>
    await transcriptOf(warm.take(), scriptCommand(source, [], init), init)

  const deaths: [string, string, Record<string, unknown>][] = [
    ['os._exit', 'import os; print("last"); os._exit(3)', { exitCode: 3 }],
    ['SIGKILL', 'import os; print("last"); os.kill(os.getpid(), 9)', { signal: 'SIGKILL' }],
    ['a segmentation fault', 'import ctypes; print("last"); ctypes.string_at(0)', { signal: 'SIGSEGV' }]
  ]
  for (const [name, source, detail] of deaths) {
    it(`keeps everything printed before ${name} and says how the kernel ended`, async () => {
      const seen = await run(['print("first")', `print("second")\n${source}`, 'print("never")'])
      assert.deepEqual(seen.statuses(), ['c1:ok', 'c2:error', 'c3:not-run'])
      assert.equal(seen.text('c1') + seen.text('c2'), 'first\nsecond\nlast\n')
      assert.deepEqual([seen.done.outcome, seen.done.reason, seen.done.exitCode], ['user', 'kernel-died', null])
      for (const [key, value] of Object.entries(detail)) assert.equal(seen.done.detail[key], value)
      assert.equal(seen.done.detail['cell'], 'c2')
      if (name.startsWith('a seg')) assert.match(String(seen.done.detail['trace']), /Segmentation fault/)
    })
  }

  it('ends a memory bomb as out of memory with the numbers, and keeps what was printed', async () => {
    const bomb = 'print("growing")\nx = []\nwhile True: x.append(bytearray(b"x" * (8 << 20)))'
    const seen = await run([bomb, '1'], { limits: { memoryBytes: 400 * MIB } })
    assert.deepEqual([seen.done.outcome, seen.done.reason], ['limit', 'out-of-memory'])
    assert.equal(seen.done.detail['limitBytes'], 400 * MIB)
    assert.ok(Number(seen.done.detail['usedBytes']) > 400 * MIB)
    assert.equal(seen.text('c1'), 'growing\n')
    assert.deepEqual(seen.statuses(), ['c1:error', 'c2:not-run'])
  })

  it('takes a MemoryError for the exception it is', async () => {
    const seen = await run(['bytearray(1 << 60)'])
    assert.deepEqual([seen.done.reason, seen.of('error')[0]?.ename], ['exception', 'MemoryError'])
  })

  it('cancels an endless loop by an interrupt', async () => {
    const seen = await run(['print("go")\nwhile True: pass', '1'], { on: once('go', (_, session) => session.cancel()) })
    assert.deepEqual(seen.statuses(), ['c1:error', 'c2:not-run'])
    assert.equal(seen.of('error')[0]?.ename, 'KeyboardInterrupt')
    assert.equal(seen.text('c1'), 'go\n')
    assert.deepEqual([seen.done.outcome, seen.done.reason], ['stopped', 'cancelled'])
  })

  it('kills code that ignores the interrupt, with all it started', async () => {
    const source = `
import signal, subprocess
signal.signal(signal.SIGINT, signal.SIG_IGN)
subprocess.Popen(["sleep", "1000"], start_new_session=True)
print("go", flush=True)
while True:
    try:
        while True: pass
    except BaseException: pass`
    const seen = await run([source, '1'], { on: once('go', (_, session) => session.cancel()) })
    assert.deepEqual([seen.done.outcome, seen.done.reason], ['stopped', 'cancelled'])
    assert.deepEqual(seen.statuses(), ['c1:error', 'c2:not-run'])
    assert.equal(seen.text('c1'), 'go\n')
  })

  it('interrupts one cell on request, as the stop button does', async () => {
    const seen = await run(['print("go")\nimport time; time.sleep(1000)', 'print("on")'], {
      stopOnError: false,
      on: once('go', (_, session) => session.interrupt())
    })
    assert.deepEqual(seen.statuses(), ['c1:error', 'c2:ok'])
    assert.equal(seen.of('error')[0]?.ename, 'KeyboardInterrupt')
    assert.equal(seen.text('c2'), 'on\n')
  })

  it('stops at the wall limit and says the numbers', async () => {
    const seen = await run(['print("a")\nimport time; time.sleep(1000)', '1'], { limits: { wallMs: 500 } })
    assert.deepEqual([seen.done.outcome, seen.done.reason, seen.done.detail['limitMs']], ['limit', 'wall-limit', 500])
    assert.ok(Number(seen.done.detail['usedMs']) >= 500)
    assert.equal(seen.text('c1'), 'a\n')
    assert.deepEqual(seen.statuses(), ['c1:error', 'c2:not-run'])
  })

  it('counts the CPU time of all processes of the task', async () => {
    const source = `
import subprocess, sys
spin = "import time\\nwhile time.process_time() < {}: pass"
for _ in range(2): subprocess.run([sys.executable, "-c", spin.format(0.3)])
print("so far", flush=True)
ps = [subprocess.Popen([sys.executable, "-c", spin.format(1000)], start_new_session=True) for _ in range(2)]
for p in ps: p.wait()`
    const seen = await run([source], { limits: { cpuMs: 1200 } })
    assert.deepEqual([seen.done.outcome, seen.done.reason, seen.done.detail['limitMs']], ['limit', 'cpu-limit', 1200])
    assert.ok(seen.done.usage.cpuMs >= 1200)
    assert.equal(seen.text('c1'), 'so far\n')
  })

  it('waits for orphans, so that they do not use up the processes of the sandbox', async () => {
    const source = `
import os, glob, time
for _ in range(20):
    if os.fork() == 0:
        if os.fork() == 0: time.sleep(0.05)
        os._exit(0)
    os.wait()
dead = lambda: sum(b") Z " in open(f, "rb").read() for f in glob.glob("/proc/[0-9]*/stat"))
deadline = time.time() + 10
time.sleep(0.1)
while dead() and time.time() < deadline: time.sleep(0.05)
print(dead())`
    const seen = await run([source])
    assert.equal(seen.text('c1'), '0\n')
  })

  it('names a full disk', async () => {
    const fill = 'with open("big", "wb") as f:\n    for _ in range(100): f.write(bytes(1 << 20))'
    const runner = startRunner({ workBytes: 8 * MIB })
    const cells = await transcriptOf(runner, cellsCommand([`print("a")\n${fill}`]))
    assert.deepEqual([cells.done.outcome, cells.done.reason], ['limit', 'disk-limit'])
    assert.equal(cells.text('c1'), 'a\n')
    const other = startRunner({ workBytes: 8 * MIB })
    const script = await transcriptOf(other, scriptCommand(fill))
    assert.deepEqual([script.done.outcome, script.done.reason, script.done.exitCode], ['limit', 'disk-limit', 1])
  })

  it('stops a script by interrupt, and kills one that ignores it', async () => {
    const polite = await script(
      'import time\ntry:\n    print("go")\n    time.sleep(1000)\nexcept KeyboardInterrupt: print("bye")',
      { on: once('go\n', (_, session) => session.cancel()) }
    )
    assert.deepEqual(
      [polite.bytes().toString(), polite.done.outcome, polite.done.reason],
      ['go\nbye\n', 'stopped', 'cancelled']
    )
    const stubborn = await script(
      'import signal, os, time\nsignal.signal(2, signal.SIG_IGN)\nos.fork()\nprint("go")\nwhile True: time.sleep(1)',
      { on: once('go', (_, session) => session.cancel()) }
    )
    assert.deepEqual(
      [stubborn.done.outcome, stubborn.done.reason, stubborn.done.exitCode],
      ['stopped', 'cancelled', 137]
    )
  })

  it('closes the open cells itself when the runner is killed', async () => {
    const seen = await run([
      'print("a")',
      'import os, signal\nprint("b", flush=True)\nimport time; time.sleep(0.2); os.kill(os.getppid(), 9)\ntime.sleep(60)',
      '1'
    ])
    assert.deepEqual(seen.statuses(), ['c1:ok', 'c2:error', 'c3:not-run'])
    assert.equal(seen.text('c2'), 'b\n')
    assert.deepEqual([seen.done.reason, seen.done.detail['cell']], ['runner-lost', 'c2'])
    assert.equal(seen.done.usage.outputBytes, 4)
  })

  it('ends with all processes when the host closes its stdin', async () => {
    const runner = warm.take()
    await runner.session.ready()
    const ended = new Promise(done => runner.child.once('exit', done))
    runner.child.stdin.end()
    await ended
  })

  it('refuses what is no record with an error, before and during a run', async () => {
    const garbage = Buffer.from('00000010ffffffff', 'hex')
    for (const bytes of [garbage, Buffer.from('ffffffff', 'hex'), Buffer.from('000000060000000278', 'hex')]) {
      const runner = warm.take()
      await runner.session.ready()
      runner.child.stdin.write(Buffer.concat([bytes, Buffer.alloc(64)]))
      await assert.rejects(
        transcriptOf(runner, cellsCommand(['1'])),
        (error: PekkaError) => error.code === 'RUNNER_LOST' && error.data['message'] !== undefined
      )
    }
    const runner = warm.take()
    const command = cellsCommand(['print("go", flush=True)\nimport time; time.sleep(1000)'])
    const cut = once('go', () => void runner.child.stdin.write(garbage))
    await assert.rejects(transcriptOf(runner, command, { on: cut }), { code: 'RUNNER_LOST' })
  })

  it('stops waiting when the caller aborts', async () => {
    const runner = warm.take()
    const controller = new AbortController()
    const seen = new Transcript()
    try {
      await assert.rejects(async () => {
        for await (const event of runner.session.run(
          cellsCommand(['import time; time.sleep(1000)']),
          controller.signal
        )) {
          seen.events.push(event)
          controller.abort(new Error('enough'))
        }
      }, /enough/)
    } finally {
      await runner.end()
    }
    assert.deepEqual(
      seen.events.map(event => event.type),
      ['cell-start']
    )
  })
})
