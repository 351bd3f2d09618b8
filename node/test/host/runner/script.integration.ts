import assert from 'node:assert/strict'
import {
  needImage,
  pieceOf,
  scriptCommand,
  Transcript,
  transcriptOf,
  WarmRunners,
  type RunInit
} from './sandboxed-runner.js'

const MIB = 1 << 20

describe('runner: scripts', function () {
  this.timeout(60_000)
  const warm = new WarmRunners()
  before(function () {
    needImage(this)
  })
  after(async () => await warm.close())

  const run = async (source: string, args: string[] = [], init: RunInit = {}): Promise<Transcript> =>
    await transcriptOf(warm.take(), scriptCommand(source, args, init), init)

  it('behaves as at home: argparse, __file__, local imports, multiprocessing, exit code', async () => {
    const source = `
import argparse, multiprocessing, os, sys
def square(x): return x * x
if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int); parser.add_argument("rest", nargs="*")
    a = parser.parse_args()
    print(a.n, a.rest, os.path.basename(__file__), sys.argv[0], sys.path[0] == os.getcwd())
    print([k for k in os.environ if k.startswith("PEKKA") or k == "PYTHONPATH"], [p for p in sys.path if "runner" in p and p != "/opt/pekka/runner/stand_ins"])
    with multiprocessing.get_context("spawn").Pool(2) as pool: print(pool.map(square, [1, 2, 3]))
    sys.exit(7)`
    const seen = await run(source, ['--n', '5', 'ä b', '--', '-x'], { seed: 1 })
    assert.equal(seen.bytes().toString(), "5 ['ä b', '-x'] fit.py fit.py True\n[] []\n[1, 4, 9]\n")
    assert.deepEqual([seen.done.outcome, seen.done.reason, seen.done.exitCode], ['user', 'exit-code', 7])
  })

  it('shows a plain traceback, and gives input() an end of file with a hint', async () => {
    const seen = await run('def f():\n    return 1 / 0\nf()\n')
    assert.equal(
      seen
        .bytes('stderr')
        .toString()
        .replace(/\/.*\//g, ''),
      'Traceback (most recent call last):\n  File "fit.py", line 3, in <module>\n    f()\n' +
        '  File "fit.py", line 2, in f\n    return 1 / 0\n           ~~^~~\nZeroDivisionError: division by zero\n'
    )
    assert.equal(seen.done.exitCode, 1)
    const asked = await run('input("name? ")')
    assert.match(asked.bytes('stderr').toString(), /EOFError/)
    assert.match(String(asked.done.detail['hint']), /asked for input/)
  })

  it('relays both streams byte for byte', async () => {
    const source = `
import os, sys
every = bytes(range(256)) * 4099
sys.stdout.buffer.write(every)
sys.stderr.buffer.write(every[::-1])
os.system("printf 'x\\\\r'")`
    const seen = await run(source)
    const every = Buffer.concat(Array<Buffer>(4099).fill(Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))))
    assert.ok(seen.bytes().equals(Buffer.concat([every, Buffer.from('x\r')])))
    assert.ok(seen.bytes('stderr').equals(Buffer.from(every).reverse()))
    assert.deepEqual(
      [seen.done.outcome, seen.done.exitCode, seen.done.usage.outputBytes],
      ['ok', 0, every.length * 2 + 2]
    )
  })

  it('sends output while the script runs', async () => {
    const seen = await run('import time\nprint("a")\ntime.sleep(0.3)\nprint("b")')
    const at = (word: string) => seen.of('stream').find(event => pieceOf(event).includes(word))?.t ?? 0
    // Not a measurement: both would have the same time if they came together at the end.
    assert.ok(at('b') - at('a') >= 250)
  })

  it('seeds random and numpy, whenever they are imported, but not worker processes', async () => {
    const source = `
import random, subprocess, sys
print(random.random())
import numpy as np
print(np.random.rand(), type(random.__loader__).__name__)
print(subprocess.run([sys.executable, "-c", "import random; print(random.random())"], capture_output=True, text=True).stdout == f"{random.random()}\\n")`
    const seen = await run(source, [], { seed: 7 })
    assert.equal(seen.bytes().toString(), '0.21376022550923923\n0.8006242682838026 SourceFileLoader\nFalse\n')
    const free = [await run(source), await run(source)]
    assert.notEqual(free[0]?.bytes().toString(), free[1]?.bytes().toString())
  })

  it('lists the files it leaves, following no links', async () => {
    const source = `
import os
os.makedirs("out/deep"); open("out/deep/a.csv", "w").write("1,2"); open("b.txt", "w").close()
os.symlink("/etc/passwd", "link"); os.symlink("/etc", "folder"); os.mkfifo("pipe")`
    const seen = await run(source)
    const files = seen.of('files').flatMap(event => event.files)
    assert.deepEqual(files, [
      { name: 'b.txt', size: 0 },
      { name: 'out/deep/a.csv', size: 3 }
    ])
    const many = await run('for i in range(1010): open(f"f{i:04}", "w").close()')
    const [event] = many.of('files')
    assert.deepEqual([event?.files.length, event?.more], [1000, 10])
  })

  it('names the signal that killed it, and keeps what it had written', async () => {
    const seen = await run('import os\nprint("a")\nos.kill(os.getpid(), 11)')
    assert.equal(seen.bytes().toString(), 'a\n')
    assert.deepEqual(
      [seen.done.reason, seen.done.detail['signal'], seen.done.exitCode],
      ['kernel-died', 'SIGSEGV', 139]
    )
  })

  it('keeps 30 MB exact, and of 100 MB what the limit allows with the end after a marker', async () => {
    const source = (count: number) =>
      `import sys\nfor i in range(${count}): sys.stdout.write(f"{i:09}\\n" * 1000)\nprint("the end", end="")`
    const whole = await run(source(3_000))
    assert.equal(whole.bytes().length, 30_000_007)
    assert.equal(whole.of('truncated').length, 0)
    const cut = await run(source(10_000))
    const [marker] = cut.of('truncated')
    assert.deepEqual([marker?.cell, marker?.keptBytes, marker?.cutBytes], [null, 64 * MIB, 100_000_007 - 64 * MIB])
    assert.equal(cut.bytes().length, 64 * MIB)
    assert.ok(cut.bytes().toString('latin1').endsWith('the end'))
    const last = cut.of('stream').filter(event => cut.events.indexOf(event) > cut.events.indexOf(marker ?? cut.done))
    assert.equal(
      last.reduce((sum, event) => sum + Transcript.lengthOf(event), 0),
      MIB
    )
    assert.equal(cut.done.outcome, 'ok')
  })

  it('does not wait for what a script leaves running in the background', async () => {
    const seen = await run('import subprocess\nsubprocess.Popen(["sleep", "1000"])\nprint("done")')
    assert.deepEqual([seen.bytes().toString(), seen.done.reason], ['done\n', 'completed'])
  })
})
