import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { imageRoot, needPackages } from './sandboxed-runner.js'

const ROOT = resolve(import.meta.dirname, '../../../..')

/** Runs a script of this folder beside the kernel's helper, in a sandbox of an image's tree that has these packages. @returns what it found */
export async function inUserKernel(
  context: Mocha.Context,
  script: string,
  packages: readonly string[]
): Promise<Record<string, unknown>> {
  needPackages(context, packages)
  const root = imageRoot()
  assert.ok(root)
  const sandbox = ['--ro-bind', root, '/', '--proc', '/proc', '--dev', '/dev', '--tmpfs', '/tmp', '--tmpfs', '/home']
  const codecs = ['--ro-bind', join(ROOT, 'sandbox-images/runner/pekka_runner'), '/home/codecs']
  const files = ['--ro-bind', join(ROOT, 'extension/kernel'), '/home/kernel']
  const test = ['--ro-bind', import.meta.dirname, '/home/test', '--unshare-net', '--die-with-parent']
  const command = ['/opt/pekka/env/bin/python', `/home/test/${script}`, '/home/codecs/codecs.py']
  const args = [...sandbox, ...codecs, ...files, ...test, ...command, '/home/kernel']
  const { stdout } = await promisify(execFile)('bwrap', args)
  return JSON.parse(stdout) as Record<string, unknown> // our own script's
}
