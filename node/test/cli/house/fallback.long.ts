import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'
import { needSetUp } from './test-home.js'

/** In base and not in base-small. Nobody has this version, so whatever an index or a cache holds, base can't be had. */
const IMPOSSIBLE = 'scipy==0.0.1'

describe('a machine that cannot download the large environment', function () {
  this.timeout(900_000)
  let home = ''
  let constraint = ''
  before(async function () {
    needSetUp(this)
    const prepared = process.env.PEKKA_TEST_HOME ?? ''
    home = await mkdtemp(join(tmpdir(), 'pekka small ä '))
    for (const part of ['python', 'tools']) await symlink(join(prepared, part), join(home, part))
    await symlink(join(prepared, 'cache'), join(home, 'cache'))
    // uv takes a list of files there, parted by spaces.
    constraint = await mkdtemp(join(tmpdir(), 'pekka-constraint-'))
    await writeFile(join(constraint, 'file'), `${IMPOSSIBLE}\n`)
  })
  after(async () => {
    if (home === '') return
    spawnSync(process.execPath, [join(ROOT, 'node/bin/pekka.mjs'), 'down'], {
      env: { ...process.env, PEKKA_HOME: home }
    })
    await rm(home, { recursive: true, force: true })
    await rm(constraint, { recursive: true, force: true })
  })

  it('says so and runs a script in the small one all the same; the next start tries again', async () => {
    const script = join(home, 'mean.py')
    await writeFile(script, 'import numpy, sys\nprint(numpy.mean([1, 2, 3]))\nsys.exit(4)\n')
    const child = spawn(process.execPath, [join(ROOT, 'node/bin/pekka.mjs'), 'run', script], {
      env: {
        ...process.env,
        PEKKA_HOME: home,
        UV_CONSTRAINT: join(constraint, 'file'),
        DOCKER_HOST: `unix://${join(home, 'none.sock')}`
      },
      stdio: ['ignore', 'pipe', 'pipe']
    })
    let out = ''
    let err = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (out += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (err += text))
    const status = await new Promise<number | null>(resolve => child.on('close', resolve))
    assert.equal(status, 4, err)
    assert.equal(out, '2.0\n')
    assert.match(err, /Base environment +only the small one: base could not be downloaded/)
    assert.match(err, /base-small \(no machine has base\)/)
    const log = await readFile(join(home, 'logs', 'setup', 'base-environment.log'), 'utf8')
    assert.match(log, /scipy/)
    await assert.rejects(readFile(join(home, 'stamps', 'image-base')), /ENOENT/)
  })
})
