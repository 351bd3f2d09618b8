import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'

/** The first jupyter_server in which a stored page of nbconvert can't run scripts in Lab's origin (CVE-2026-44727). */
const FIRST_SAFE = [2, 20]

const atLeast = (version: string): boolean => {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [safeMajor = 0, safeMinor = 0] = FIRST_SAFE
  return major > safeMajor || (major === safeMajor && minor >= safeMinor)
}

describe('B14: the Jupyter server beside the extension', () => {
  it('is asked for by the wheel in a version without the stored-script hole', async () => {
    const project = await readFile(join(ROOT, 'extension', 'pyproject.toml'), 'utf8')
    const [, asked = ''] = /"jupyter_server>=([\d.]+)"/.exec(project) ?? []
    assert.ok(atLeast(asked), `the wheel takes jupyter_server ${asked || 'of any version'}`)
  })

  it('is such a one where npm start sets it up', async () => {
    const lock = await readFile(join(ROOT, 'node', 'bin', 'setup', 'python', 'lab.lock'), 'utf8')
    const [, locked = ''] = /^jupyter-server==([\d.]+)/m.exec(lock) ?? []
    assert.ok(atLeast(locked), `the lock has jupyter_server ${locked}`)
  })
})
