import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { imageRoot } from './sandboxed-runner.js'

const ROOT = resolve(import.meta.dirname, '../../../..')

/**
 * Has the helper of the user's kernel accept `count` hostile values: npy, Arrow, PNG, JSON and text, mutated from a fixed seed, and
 * three dozen made by hand. Each must end as a value of the codec or as a sentence; none may run anything.
 */
export async function acceptHostile(count: number): Promise<void> {
  const root = imageRoot()
  assert.ok(root)
  const codecs = join(ROOT, 'sandbox-images/runner/pekka_runner')
  const sandbox = ['--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/home']
  const files = ['--ro-bind', codecs, '/home/codecs', '--ro-bind', join(ROOT, 'extension/kernel'), '/home/kernel']
  const test = ['--ro-bind', import.meta.dirname, '/home/test', '--unshare-net', '--die-with-parent']
  const command = ['/opt/pekka/env/bin/python', '/home/test/hostile-values.py', '/home/codecs/codecs.py']
  const args = [...sandbox, ...files, ...test, ...command, '/home/kernel', String(count)]
  const { stdout } = await promisify(execFile)('bwrap', args, { maxBuffer: 16 << 20 })
  const found: unknown = JSON.parse(stdout)
  const { accepted, refused, ...rest } = found as { accepted: number; refused: number } // our own script's
  assert.deepEqual(rest, { bad: [], silent: [], same: true, canary: false, cases: count })
  assert.equal(accepted + refused, count)
  assert.ok(refused > count / 2)
}
