import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  cellsCommand,
  imageEnvironment,
  imageRoot,
  needImage,
  scriptCommand,
  startRunner,
  transcriptOf,
  WarmRunners
} from './sandboxed-runner.js'

/** The pins of image.json must hold in whatever runs user code: the kernel, a script, and what these start. */
describe('runner: environment', function () {
  this.timeout(60_000)
  const warm = new WarmRunners()
  before(function () {
    needImage(this)
  })
  after(async () => await warm.close())

  const PROBE = `
import os, subprocess, sys
say = "import sys; print(hash('a'), sys.flags.hash_randomization, sys.flags.isolated, sys.flags.ignore_environment)"
exec(say)
print(subprocess.run([sys.executable, "-c", say], capture_output=True, text=True).stdout, end="")
print(sorted(set("the quick brown fox".split())) and list(set("the quick brown fox".split())))`

  it('gives the same hashes in two sandboxes, in the kernel, a script and their children', async () => {
    const said = [
      (await transcriptOf(warm.take(), cellsCommand([PROBE]))).text('c1'),
      (await transcriptOf(warm.take(), cellsCommand([PROBE]))).text('c1'),
      (await transcriptOf(warm.take(), scriptCommand(PROBE))).bytes().toString()
    ]
    const [first = ''] = said
    const [own, child] = first.split('\n')
    assert.match(own ?? '', /^-?\d+ 0 0 0$/)
    assert.equal(child, own)
    assert.deepEqual(said, [first, first, first])
  })

  it('has every pin of the image in force, and its preloading told to nobody', async () => {
    const source = 'import json, os\nprint(json.dumps(dict(os.environ)))'
    const pins = Object.entries(imageEnvironment()).filter(([name]) => name !== 'PEKKA_PRELOAD')
    assert.ok(pins.some(([name, value]) => name === 'PYTHONHASHSEED' && value === '0'))
    const cells = JSON.parse((await transcriptOf(warm.take(), cellsCommand([source]))).text('c1'))
    const script = JSON.parse((await transcriptOf(warm.take(), scriptCommand(source))).bytes().toString())
    for (const environment of [cells, script]) {
      for (const [name, value] of pins) assert.equal(environment[name], value, name)
      assert.deepEqual(
        Object.keys(environment).filter(name => name.startsWith('PEKKA')),
        []
      )
    }
  })

  it('computes with one thread on the pinned code paths', async () => {
    const source = `
import ctypes, glob, numpy
[file] = glob.glob(numpy.__path__[0] + ".libs/libscipy_openblas*")
blas = ctypes.CDLL(file)
suffix = "64_" if "64_" in file else ""
core = getattr(blas, f"scipy_openblas_get_corename{suffix}")
core.restype = ctypes.c_char_p
print(getattr(blas, f"scipy_openblas_get_num_threads{suffix}")(), core().decode())
print("X86_V4" in numpy.show_config("dicts")["SIMD Extensions"]["found"])`
    const seen = await transcriptOf(warm.take(), cellsCommand([source]))
    assert.equal(seen.text('c1'), '1 Haswell\nFalse\n', JSON.stringify(seen.of('error')))
  })

  it('leaves colours, terminal and time zone as a notebook has them', async () => {
    const seen = await transcriptOf(
      warm.take(),
      cellsCommand([
        'import os, time\nprint({name: os.environ.get(name) for name in ("TERM", "NO_COLOR", "TZ", "COLUMNS", "LINES")}, time.tzname)',
        'os.environ["TZ"] = "Asia/Tokyo"; time.tzset(); print(time.tzname)',
        '1/0'
      ])
    )
    assert.equal(
      seen.text('c1'),
      "{'TERM': 'xterm-color', 'NO_COLOR': None, 'TZ': None, 'COLUMNS': None, 'LINES': None} ('UTC', 'UTC')\n"
    )
    assert.equal(seen.text('c2'), "('JST', 'JST')\n")
    assert.match(seen.of('error')[0]?.traceback.join('\n') ?? '', /\x1b\[\d+m/)
  })

  it("finds matplotlib's list of fonts in the user's home when the image has it", async function () {
    const cache = join(imageRoot() ?? '', 'opt/pekka/cache/matplotlib')
    if (!existsSync(cache)) {
      // Built where bubblewrap couldn't be used: then it isn't there, and nothing else is amiss.
      if (process.env['CI']) throw new Error('the image has no caches')
      return this.skip()
    }
    const source = `
import glob, os, sys
[file] = glob.glob(os.path.expanduser("~/.cache/matplotlib/fontlist-*.json"))
before = os.stat(file)
import matplotlib.font_manager
after = os.stat(file)
print(os.path.basename(file), before.st_mtime_ns == after.st_mtime_ns, os.access(file, os.W_OK))`
    const seen = await transcriptOf(startRunner(), cellsCommand([source]))
    const [name = ''] = seen.text('c1').split(' ')
    assert.ok(readFileSync(join(cache, name)).length > 1000)
    assert.equal(seen.text('c1'), `${name} True True\n`)
  })
})
