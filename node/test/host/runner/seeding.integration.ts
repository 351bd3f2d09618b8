import assert from 'node:assert/strict'
import type { NumericPath } from '@pekka/node/protocol'
import { cellsCommand, needImage, scriptCommand, transcriptOf, WarmRunners } from './sandboxed-runner.js'

/** What of a task is the same in every run of it: random numbers, what Python says of the machine, the numeric path. */
describe('runner: seeds, identity, numeric paths', function () {
  this.timeout(60_000)
  const warm = new WarmRunners()
  before(function () {
    needImage(this)
  })
  after(async () => await warm.close())

  const DRAW = `
import os, random, uuid
import numpy as np
print(random.random(), random.Random().random(), uuid.uuid4(), os.urandom(8).hex())
print(np.random.rand(), np.random.RandomState().rand(), np.random.default_rng().random(), np.random.SeedSequence().entropy)`
  const REAL = `
import os, random, secrets, ssl
print(secrets.token_hex(8), random.SystemRandom().random(), ssl.RAND_bytes(8).hex(), os.getrandom(8).hex())`

  it('draws the same unseeded numbers in every run, other ones in every cell, and real ones where they must be', async () => {
    const run = async (seed: number | null) => {
      const seen = await transcriptOf(warm.take(), cellsCommand([DRAW, DRAW, REAL], { seed }))
      assert.equal(seen.done.outcome, 'ok', JSON.stringify(seen.of('error')))
      return ['c1', 'c2', 'c3'].map(cell => seen.text(cell))
    }
    const [first, second, other, free] = [await run(7), await run(7), await run(8), await run(null)]
    assert.deepEqual(first?.slice(0, 2), second?.slice(0, 2))
    const values = (text: string | undefined) => new Set((text ?? '').trim().split(/\s+/))
    assert.equal(values(first?.slice(0, 2).join(' ')).size, 16, 'no number twice')
    for (const another of [other, free])
      assert.equal(values([...(first ?? []), ...(another ?? [])].slice(0, 5).join(' ')).size, 36)
    const [a, b] = [values(first?.[2]), values(second?.[2])]
    assert.equal([...a].filter(value => b.has(value)).length, 0, 'secrets, SystemRandom, ssl and getrandom stay real')
  })

  it("doesn't touch what the user has seeded, in no later cell", async () => {
    const seen = await transcriptOf(
      warm.take(),
      cellsCommand(
        [
          'import random, numpy as np\nrandom.seed(1); np.random.seed(1); g = np.random.default_rng(1)',
          'print(random.random(), np.random.rand(), g.random())',
          'print(random.random(), np.random.rand(), g.random())',
          'r = random.Random(1); s = np.random.RandomState(1); g = np.random.default_rng(1)\nfor _ in range(2): print(r.random(), s.rand(), g.random())'
        ],
        { seed: 7 }
      )
    )
    assert.equal(seen.text('c2') + seen.text('c3'), seen.text('c4'))
  })

  it('gives forked children numbers of their own, the same in every run', async () => {
    const source = `
import os, random, uuid
def child():
    r, w = os.pipe()
    if os.fork() == 0:
        os.write(w, f"{random.random()} {uuid.uuid4()}".encode()); os._exit(0)
    os.wait(); return os.read(r, 200).decode()
print(child(), child(), random.random())`
    const [a, b] = [
      await transcriptOf(warm.take(), scriptCommand(source, [], { seed: 7 })),
      await transcriptOf(warm.take(), scriptCommand(source, [], { seed: 7 }))
    ]
    assert.equal(a.bytes().toString(), b.bytes().toString())
    assert.equal(new Set(a.bytes().toString().trim().split(' ')).size, 5)
  })

  it('says the same of the machine everywhere, and notes what a program reads of the rest', async () => {
    const alike =
      'import os, multiprocessing\nprint(os.uname().release, os.cpu_count(), multiprocessing.cpu_count(), len(os.sched_getaffinity(0)))'
    const reads = 'open("/proc/cpuinfo").close(); open("/proc/sys/kernel/random/boot_id").close()'
    const shell = 'import subprocess; subprocess.run("uname -r; cat /proc/meminfo", shell=True, capture_output=True)'
    const quiet = await transcriptOf(warm.take(), { ...cellsCommand([alike, 'import sklearn, pandas']), cpus: 3 })
    assert.equal(quiet.text('c1'), '6.1.0 3 3 3\n')
    assert.deepEqual(quiet.done.envRead, [])
    const cells = await transcriptOf(warm.take(), cellsCommand([alike, reads]))
    assert.deepEqual(cells.done.envRead, ['boot', 'cpu'])
    const calls = 'import os; os.getloadavg(); os.sysconf("SC_PHYS_PAGES"); os.sysconf("SC_PAGE_SIZE")'
    const asked = await transcriptOf(warm.take(), cellsCommand([calls]))
    assert.deepEqual(asked.done.envRead, ['memory', 'uptime'])
    const through =
      'import joblib\ndef f(): open("/proc/meminfo").close()\njoblib.Parallel(1)(joblib.delayed(f)() for _ in range(2))'
    const called = await transcriptOf(warm.take(), cellsCommand(['import joblib; joblib.cpu_count(True)', through]))
    assert.deepEqual(called.done.envRead, ['memory'])
    const script = await transcriptOf(warm.take(), scriptCommand(`${alike}\n${shell}`))
    assert.equal(script.bytes().toString(), '6.1.0 1 1 1\n')
    assert.deepEqual(script.done.envRead, ['kernel', 'memory'])
  })

  it('tells what was read by a program that was killed', async () => {
    const source = 'open("/proc/cpuinfo").close()\nimport os; os.kill(os.getpid(), 9)'
    for (const command of [cellsCommand([source]), scriptCommand(source)]) {
      const { done } = await transcriptOf(warm.take(), command)
      assert.deepEqual([done.reason, done.envRead], ['kernel-died', ['cpu']])
    }
  })

  it('takes the numeric path that the task asks for, in cells and scripts', async () => {
    const source = `
import os, numpy
from numpy._core._multiarray_umath import __cpu_features__ as features
print(os.environ.get("OPENBLAS_CORETYPE"), os.environ["OMP_NUM_THREADS"], "GLIBC_TUNABLES" in os.environ, features["X86_V3"])`
    const of = async (numeric: NumericPath) => {
      const rest = { numeric, cpus: 2 }
      const cells = await transcriptOf(warm.take(), { ...cellsCommand([source]), ...rest })
      const script = await transcriptOf(warm.take(), { ...scriptCommand(source), ...rest })
      assert.equal(cells.text('c1'), script.bytes().toString(), JSON.stringify(cells.of('error')))
      return cells.text('c1').trim()
    }
    assert.match(await of('pinned'), /^Haswell 1 True/)
    assert.match(await of('native'), /^None 2 False/)
    assert.equal(await of('other'), 'Nehalem 1 False False')
  })
})
