import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { readShadows, shadowing, shadowsExpression } from '../../src/values/shadows.js'

const run = promisify(execFile)

describe('values: Python’s own names in a kernel', function () {
  this.timeout(60_000)

  it('are those that a cell has given another meaning, not those of IPython, and nothing is bound by asking', async function () {
    const python = process.env['PEKKA_TEST_PYTHON']
    if (python === undefined) {
      if (process.env['CI'] !== undefined) throw new Error('PEKKA_TEST_PYTHON is not set: run the tests by "npm test"')
      return this.skip()
    }
    const names = ['input', 'max', 'sum', 'len', 'open', 'exit', 'quit', 'print', 'list', 'nothing', 'vars', 'all']
    const program = `
import json, sys
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_cell("input = [1]\\nsum = 0\\nfrom builtins import len\\ndef max(x): return x\\nlist = list\\nvars = [2]\\nall = 0")
before = set(shell.user_ns)
answer = eval(${JSON.stringify(shadowsExpression(names))}, shell.user_global_ns, shell.user_ns)
assert set(shell.user_ns) == before
sys.stdout.write(repr(answer))`
    const { stdout } = await run(python, ['-c', program])
    assert.deepEqual(readShadows(stdout), ['input', 'max', 'sum', 'vars', 'all'])
  })

  it('are asked of an idle kernel alone, and its refusal is no answer', async () => {
    const never = () => assert.fail('it was asked')
    assert.deepEqual(await shadowing({ status: 'busy', requestExecute: never }, ['sum']), [])
    assert.deepEqual(await shadowing({ status: 'idle', requestExecute: never }, []), [])
    const failing = () => ({ done: Promise.reject(new Error('disposed')), dispose: () => undefined }) as never // as much as is used
    assert.deepEqual(await shadowing({ status: 'idle', requestExecute: failing }, ['sum']), [])
  })
})
