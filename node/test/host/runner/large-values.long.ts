import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { imageRoot, needPackages } from './sandboxed-runner.js'

const ROOT = resolve(import.meta.dirname, '../../../..')
const run = promisify(execFile)

/** What of memory a value may take where it is written and read, beside what it takes anyway: as much again. */
const MOST = 2

describe('large values', function () {
  this.timeout(1_200_000)
  before(function () {
    needPackages(this, ['numpy', 'pandas', 'pyarrow'])
  })

  it('a frame of 1 GB and an array of 100 MB travel there and back in twice their memory', async () => {
    const node = ['--max-semi-space-size=4', '--conditions=pekka-source', '--import=tsx']
    const { stdout } = await run(process.execPath, [...node, join(ROOT, 'node/bench/values.ts'), '--json'], {
      cwd: ROOT,
      maxBuffer: 16 << 20
    })
    const { figures } = JSON.parse(stdout.trim().split('\n').at(-1) ?? '') as { figures: Record<string, number> } // the bench's
    for (const name of ['array.memory_in', 'array.memory_out', 'frame.memory_in', 'frame.memory_out'])
      assert.ok((figures[name] ?? Infinity) <= MOST, `${name} is ${figures[name]}`)
  })

  it('a million names are looked at up to as many as may travel, in less memory than they take', async () => {
    const root = imageRoot()
    assert.ok(root)
    const tree = ['--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/home']
    const codecs = ['--ro-bind', join(ROOT, 'sandbox-images/runner/pekka_runner'), '/home/codecs']
    const files = ['--ro-bind', join(ROOT, 'extension/kernel'), '/home/kernel', '--ro-bind', import.meta.dirname]
    const command = ['/opt/pekka/env/bin/python', '/home/test/large-names.py', '/home/codecs/codecs.py', '/home/kernel']
    const { stdout } = await run('bwrap', [
      ...[...tree, ...codecs, ...files, '/home/test'],
      ...['--unshare-net', '--die-with-parent', ...command]
    ])
    const found = JSON.parse(stdout) as Record<string, number | string[]> // our own script's
    assert.deepEqual([found['values'], found['more'], found['refused']], [10_000, 990_000, []])
    assert.ok(Number(found['taken']) < Number(found['size']), JSON.stringify(found))
  })
})
