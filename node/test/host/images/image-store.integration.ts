import assert from 'node:assert/strict'
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cp, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { isPekkaError } from '@pekka/node/protocol'
import { createImageStore, type BuildProgress, type ImageStore, type ImageTree } from '@pekka/node/host/images'
import { downloadDebian } from '../../../src/host/images/build/debian.js'
import { readDefinition } from '../../../src/host/images/definition/definition.js'
import { treeSandboxArguments } from '../../../src/host/images/build/verify.js'
import { canStartDockerd, startDockerd, type TestEngine } from '../../support/dockerd.js'
import { DEFINITIONS, findProgram, skipWithout } from './fixtures.js'

const NAME = 'base-small'
const run = promisify(execFile)
const quiet = { info: () => undefined, warn: () => undefined }
const hasCode = (code: string) => (error: unknown) => isPekkaError(error) && error.code === code

/** Builds download about 90 MB; slow lines and busy machines are no failure. */
const BUILD_TIMEOUT = 600_000

describe('image store', function () {
  this.timeout(BUILD_TIMEOUT)
  let folder: string
  let home: string
  let runner: string
  let uv: string
  let images: ImageStore
  let tree: ImageTree

  const storeIn = (where: string, definitions = DEFINITIONS): ImageStore =>
    createImageStore({ uv: async () => uv, log: quiet }, { home: where, definitions, runner })
  /** Runs Python in a sandbox of the tree and gives what it prints. */
  const python = async (code: string): Promise<string> => {
    const sandbox = treeSandboxArguments(tree.root, tree.environment)
    return (await run('bwrap', [...sandbox, '/opt/pekka/env/bin/python', '-c', code])).stdout.trim()
  }
  /** The definitions with one file of base-small changed. */
  const changedDefinitions = async (file: string, change: (text: string) => string): Promise<string> => {
    const definitions = await mkdtemp(join(folder, 'definitions-'))
    await cp(join(DEFINITIONS, NAME), join(definitions, NAME), { recursive: true })
    await cp(join(DEFINITIONS, 'verify.py'), join(definitions, 'verify.py'))
    const path = join(definitions, NAME, file)
    const text = await readFile(path, 'utf8')
    assert.notEqual(change(text), text)
    await writeFile(path, change(text))
    return definitions
  }

  before(async function () {
    const programs = {
      uv: await findProgram('uv', 'PEKKA_UV'),
      bwrap: await findProgram('bwrap'),
      'apt-get': await findProgram('apt-get')
    }
    skipWithout(
      this,
      Object.entries(programs).flatMap(([name, path]) => (path === undefined ? [name] : []))
    )
    uv = programs.uv ?? ''
    // A blank and an umlaut: the user's data directory may have both.
    folder = await mkdtemp(join(tmpdir(), 'pekka bïlder-'))
    home = join(folder, 'home')
    runner = join(folder, 'runner')
    await cp(DEFINITIONS, join(folder, 'definitions'), { recursive: true })
    await run('mkdir', [runner])
    await writeFile(join(runner, 'main.py'), 'print("runner")\n')
    images = storeIn(home)
    // Two at once: one builds, the other waits for it.
    const progress: BuildProgress[] = []
    const onProgress = (each: BuildProgress): void => void progress.push(each)
    const [one, two] = await Promise.all([
      images.build(NAME, { onProgress }),
      storeIn(home).build(NAME, { onProgress })
    ])
    assert.equal(progress.filter(({ step }) => step === 'wait').length, 1)
    assert.equal(progress.filter(({ step }) => step === 'done').length, 1)
    assert.deepEqual(one, two)
    tree = one
  })

  after(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true })
  })

  it('names the tree by its digest and finds it again', async () => {
    assert.equal(tree.digest, await images.digest(NAME))
    assert.ok(tree.root.endsWith(`${NAME}-${tree.digest.slice(0, 12)}/root`))
    assert.deepEqual(await images.get(NAME), tree)
    assert.deepEqual(await images.list(), [tree])
    assert.equal(await images.get('base'), undefined)
  })

  it('answers at once for what is built', async () => {
    const progress: BuildProgress[] = []
    assert.deepEqual(await images.build(NAME, { onProgress: each => progress.push(each) }), tree)
    assert.deepEqual(progress, [])
  })

  it('imports every package in a sandbox', async () => {
    const checks = await images.verify(NAME)
    assert.deepEqual(
      checks.map(check => check.package),
      tree.packages.map(one => one.name).sort()
    )
    assert.deepEqual(
      checks.filter(check => !check.ok || check.modules.length === 0),
      []
    )
  })

  it('runs the interpreter and the versions of the lock, with the numeric pins in force', async () => {
    const answer: unknown = JSON.parse(
      await python(`
import json, os, sys, numpy, pwd
print(json.dumps([sys.version.split()[0], numpy.__version__, sys.prefix, sys.flags.hash_randomization,
                  pwd.getpwuid(os.getuid()).pw_name, os.getcwd(), numpy.show_config('dicts')['SIMD Extensions']['found']]))`)
    )
    assert.ok(Array.isArray(answer))
    const numpy = tree.packages.find(one => one.name === 'numpy')?.version
    assert.deepEqual(answer.slice(0, 6), [tree.pythonVersion, numpy, '/opt/pekka/env', 0, 'pekka', '/home/pekka/work'])
    assert.ok(!answer[6].includes('X86_V4'), `numpy dispatches to ${String(answer[6])}`)
  })

  it('has every module that a warm sandbox imports beforehand', async () => {
    assert.equal(await python(`import ${tree.preload.join(', ')}; print('all there')`), 'all there')
  })

  it('starts with byte code that is never checked against times', async () => {
    const flags = await python(`
import importlib.util, numpy, json, sys
for module in (json, numpy):
    cached = importlib.util.cache_from_source(module.__file__)
    print(int.from_bytes(open(cached, 'rb').read(8)[4:], 'little'))
print(numpy.show_config.__code__.co_filename)`)
    // Flag 1: bound to the source's hash; flag 2 would be: check it at import (PEP 552).
    assert.equal(flags, `1\n1\n/opt/pekka/env/lib/python3.11/site-packages/numpy/__config__.py`)
  })

  it('holds no setuid file, no state of apt, no address of a mirror', async () => {
    const { stdout } = await run('find', [
      tree.root,
      '-perm',
      '/7000',
      '-o',
      '-path',
      '*/etc/apt',
      '-o',
      '-path',
      '*/var/lib/dpkg'
    ])
    assert.equal(stdout, '')
    const { stdout: scripts } = await run('find', [
      join(tree.root, 'opt/pekka/env/bin'),
      '-type',
      'f',
      '-newermt',
      '1970-01-01'
    ])
    for (const script of scripts.trim().split('\n'))
      assert.doesNotMatch(await readFile(script, 'latin1'), /\/home\/(?!pekka)|bïlder|latin/)
    assert.equal(
      await python(
        'import subprocess; print(subprocess.run(["ipython", "--version"], capture_output=True, text=True).stdout)'
      ),
      tree.packages.find(one => one.name === 'ipython')?.version
    )
  })

  describe('of a definition that extends another', () => {
    const EXTENDED = 'extended'
    const ADDED = 'sortedcontainers'
    let definitions: string
    let extended: ImageTree
    let refused: unknown
    const imports: string[] = []

    before(async () => {
      definitions = await mkdtemp(join(folder, 'definitions-'))
      await cp(join(DEFINITIONS, NAME), join(definitions, NAME), { recursive: true })
      await cp(join(DEFINITIONS, NAME), join(definitions, EXTENDED), { recursive: true })
      await cp(join(DEFINITIONS, 'verify.py'), join(definitions, 'verify.py'))
      const lock = await readFile(join(DEFINITIONS, 'base/requirements.lock'), 'utf8')
      const [entry = ''] = new RegExp(`^${ADDED}==[^]*?(?=\\n\\S)`, 'm').exec(lock) ?? []
      const at = (file: string): string => join(definitions, EXTENDED, file)
      await writeFile(at('requirements.lock'), `${await readFile(at('requirements.lock'), 'utf8')}${entry}\n`)
      await writeFile(at('packages.in'), `${ADDED}  # for the test\n`)
      const own = { format: 1, name: EXTENDED, description: '', licence: '', extends: NAME, debian: { packages: [] } }
      await writeFile(at('image.json'), JSON.stringify({ ...own, preload: [ADDED], environment: {}, buildBytes: 1 }))
      const onProgress = ({ step, text }: BuildProgress): void => void (step === 'import' && imports.push(text))
      const startup = 'import os\nos.environ["STARTED"] = "yes"\n'
      await writeFile(at('startup.py'), startup)
      const warmup = 'import os\nopen(os.path.expanduser("~/.cache/warm.json"), "w").write("{}")\n'
      await writeFile(at('warmup.py'), warmup)
      extended = await storeIn(home, definitions).build(EXTENDED, { onProgress })
      // And one made of it that starts so that nothing new can be imported, nor what the other image has.
      await writeFile(at('startup.py'), `import sys\nsys.modules["${ADDED}"] = sys.modules["numpy"] = None\n`)
      refused = await storeIn(home, definitions)
        .build(EXTENDED, { onProgress })
        .catch((error: unknown) => error)
      await writeFile(at('startup.py'), startup)
    })

    it('shares every file of that one, and leaves it as it was', async () => {
      const path = 'opt/pekka/env/lib/python3.11/site-packages/numpy/__init__.py'
      const code = 'opt/pekka/env/lib/python3.11/site-packages/numpy/__pycache__/__init__.cpython-311.pyc'
      for (const file of [path, code, 'usr/bin/python3.11']) {
        const [one, other] = await Promise.all([tree, extended].map(({ root }) => stat(join(root, file))))
        assert.equal(one?.ino, other?.ino, file)
      }
      const { contentDigest } = await import('../../../src/host/images/definition/identity.js')
      assert.equal((await contentDigest(tree.root)).digest, tree.contentDigest)
    })

    it('has what it adds: packages, byte code, start-up, caches', async () => {
      const sandbox = treeSandboxArguments(extended.root, extended.environment)
      const code = `import os, ${ADDED} as m; print(os.environ["STARTED"], m.__cached__ and os.path.exists(m.__cached__))`
      const { stdout } = await run('bwrap', [...sandbox, '/opt/pekka/env/bin/python', '-I', '-c', code])
      assert.equal(stdout.trim(), 'yes True')
      assert.equal(await readFile(join(extended.root, 'opt/pekka/cache/warm.json'), 'utf8'), '{}')
      assert.equal(extended.packages.length, tree.packages.length + 1)
      assert.deepEqual(extended.preload, [...tree.preload, ADDED])
    })

    it('is built from a tree with the same packages where only the runner changed, to the same content; not handed out once its record says another', async () => {
      const other = join(folder, 'other runner')
      await run('mkdir', [other])
      await writeFile(join(other, 'main.py'), 'print("another runner")\n')
      const store = createImageStore(
        { uv: async () => '/no/such/uv', log: quiet },
        { home, definitions, runner: other }
      )
      const steps: string[] = []
      const again = await store.build(EXTENDED, { onProgress: ({ step }) => steps.push(step) })
      // Nothing of it needs to be imported again.
      assert.ok(!steps.includes('import'), steps.join(' '))
      assert.notEqual(again.digest, extended.digest)
      assert.notEqual(again.contentDigest, extended.contentDigest)
      await cp(join(runner, 'main.py'), join(other, 'main.py'))
      const back = createImageStore({ uv: async () => '/no/such/uv', log: quiet }, { home, definitions, runner: other })
      const record = join(extended.root, '../image.json')
      await writeFile(record, (await readFile(record, 'utf8')).replace(extended.contentDigest, 'e'.repeat(64)))
      await assert.rejects(back.get(EXTENDED), hasCode('IMAGE_NOT_REGISTERED'))
      assert.equal((await back.build(EXTENDED)).contentDigest, extended.contentDigest)
    })

    it('is imported in the build, without what the other one has, again where it starts in another way, and fails it with the names of what can’t be', () => {
      assert.ok(isPekkaError(refused))
      assert.equal(refused.code, 'IMAGE_BUILD_FAILED')
      // With what the other one has, for that starts differently here too.
      const issue = String(refused.data.issue)
      for (const name of [ADDED, 'numpy', 'pandas']) assert.match(issue, new RegExp(`[:,] ${name} \\(`))
      assert.doesNotMatch(issue, /ipykernel \(/)
      assert.deepEqual(
        imports,
        Array.from({ length: 2 }, () => '5 packages, as a program would')
      )
    })

    it('is refused where its lock has another hash than that of the one it extends', async () => {
      const at = join(definitions, EXTENDED, 'requirements.lock')
      const text = await readFile(at, 'utf8')
      await writeFile(at, text.replace(/sha256:..../, 'sha256:0000'))
      await assert.rejects(storeIn(home, definitions).build(EXTENDED), hasCode('IMAGE_DEFINITION_INVALID'))
      await writeFile(at, text)
    })
  })

  it('leaves nothing of a build that was stopped', async () => {
    const definitions = await changedDefinitions('image.json', text => text.replace('Haswell', 'Zen'))
    const store = storeIn(home, definitions)
    const stop = new AbortController()
    const onProgress = ({ step }: BuildProgress): void => {
      if (step === 'unpack') stop.abort(new Error('stopped by the test'))
    }
    await assert.rejects(store.build(NAME, { signal: stop.signal, onProgress }), /stopped by the test/)
    assert.deepEqual(await leftovers(home), [])
    assert.equal(await store.get(NAME), undefined)
    assert.deepEqual(await images.list(), [tree])
  })

  it('counts nothing of a build that was killed as built; the next one removes it and gives the same content, elsewhere and under another umask', async () => {
    const place = join(folder, 'killed')
    const source = new URL('./build-process.ts', import.meta.url).pathname
    const child = spawn(
      process.execPath,
      ['--conditions=pekka-source', '--import', 'tsx', source, uv, place, DEFINITIONS, runner, NAME],
      {
        stdio: ['ignore', 'pipe', 'inherit']
      }
    )
    const ended = once(child, 'exit')
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.startsWith('compile')) child.kill('SIGKILL')
    }
    await ended
    assert.equal((await leftovers(place)).length, 1)
    const store = storeIn(place)
    assert.deepEqual(await store.list(), [])
    const before = process.umask(0o077)
    try {
      const again = await store.build(NAME)
      assert.notEqual(again.root, tree.root)
      assert.equal(again.contentDigest, tree.contentDigest)
      assert.deepEqual(again.packages, tree.packages)
    } finally {
      process.umask(before)
    }
    assert.deepEqual(await leftovers(place), [])
  })

  it('refuses a file that does not have the locked hash', async () => {
    const definitions = await changedDefinitions('requirements.lock', text =>
      text.replaceAll(/(packaging==[^]*?)(?=\n\w|$)/g, block => block.replaceAll(/sha256:..../g, 'sha256:0000'))
    )
    const store = storeIn(join(folder, 'wrong hash'), definitions)
    await assert.rejects(
      store.build(NAME),
      error => hasCode('IMAGE_DOWNLOAD_FAILED')(error) && /hash/i.test(String(error))
    )
    assert.deepEqual(await store.list(), [])
  })

  it('says which part failed where the index does not answer, so that a smaller image can be tried', async () => {
    const uvEnvironment = { ...process.env, UV_DEFAULT_INDEX: 'http://127.0.0.1:9/simple', UV_HTTP_RETRIES: '0' }
    const init = { home: join(folder, 'no index'), definitions: DEFINITIONS, runner }
    const store = createImageStore({ uv: async () => uv, uvEnvironment, log: quiet }, init)
    await assert.rejects(store.build(NAME), error => {
      assert.ok(isPekkaError(error))
      assert.equal(error.code, 'IMAGE_DOWNLOAD_FAILED')
      assert.equal(error.data.what, 'Python packages')
      assert.match(String(error.data.issue), /127\.0\.0\.1:9/)
      return true
    })
    assert.deepEqual(await leftovers(join(folder, 'no index')), [])
    assert.ok((await stat(join(folder, 'no index/images', `${NAME}.log`))).size > 0)
  })

  it('looks at the disk before it begins', async () => {
    const definitions = await changedDefinitions('image.json', text =>
      text.replace(/"buildBytes": \d+/, '"buildBytes": 9000000000000000')
    )
    await assert.rejects(storeIn(join(folder, 'full'), definitions).build(NAME), hasCode('DISK_FULL'))
  })

  it("takes the suite's current version of a Debian package whose locked one is gone, and says so", async () => {
    const definition = await readDefinition(DEFINITIONS, NAME)
    const debianLock = definition.debianLock.map(one => (one.name === 'sed' ? { ...one, version: '4.8-1' } : one))
    const { changes } = await downloadDebian({ ...definition, debianLock }, { cache: join(home, 'cache/apt') })
    assert.deepEqual(
      changes.filter(({ name }) => name === 'sed').map(({ locked }) => locked),
      ['4.8-1']
    )
  })

  it('reports a package that cannot be imported or kills the interpreter, and checks the rest', async () => {
    const { verifyTree } = await import('../../../src/host/images/build/verify.js')
    const script = await readFile(join(DEFINITIONS, 'verify.py'), 'utf8')
    const dies = script.replace(
      'importlib.import_module(module)',
      'os.abort() if name == "parso" else importlib.import_module(module)'
    )
    const packages = ['packaging', 'parso', 'no-such-package', 'traitlets']
    const checks = await verifyTree(tree, { script: dies, packages, processes: 1 })
    assert.deepEqual(
      checks.map(({ package: name, ok }) => [name, ok]),
      [
        ['no-such-package', false],
        ['packaging', true],
        ['parso', false],
        ['traitlets', true]
      ]
    )
    assert.match(checks.find(check => check.package === 'parso')?.error ?? '', /interpreter ended/)
  })

  describe('in Docker Engine', () => {
    let engine: TestEngine | undefined
    let docker: Docker

    before(async function () {
      if (process.env.DOCKER_HOST === undefined) {
        skipWithout(this, canStartDockerd() ? [] : ['dockerd, or rights to start it'])
        engine = await startDockerd()
      }
      docker = new Docker({ socketPath: engine?.socket ?? process.env.DOCKER_HOST?.replace('unix://', '') })
    })
    after(() => engine?.stop())

    it('becomes an image with the user, the environment and the working directory, and is imported once', async () => {
      const id = await images.importInto(docker, NAME)
      assert.match(id, /^sha256:[0-9a-f]{64}$/)
      const image = await docker.getImage(`pekka/${NAME}:${tree.digest.slice(0, 12)}`).inspect()
      assert.equal(image.Id, id)
      assert.equal(image.Config.User, '10001:10001')
      assert.equal(image.Config.WorkingDir, '/home/pekka/work')
      assert.ok(image.Config.Env.includes('NPY_DISABLE_CPU_FEATURES=X86_V4 AVX512_ICL AVX512_SPR'))
      const before = await docker.listImages({ all: true })
      assert.equal(await images.importInto(docker, NAME), id)
      assert.equal((await docker.listImages({ all: true })).length, before.length)
    })

    it('holds the same files: the same Python answers', async () => {
      const id = await images.importInto(docker, NAME)
      const container = await docker.createContainer({
        Image: id,
        Cmd: ['python', '-I', '-c', 'import numpy, pandas; print(numpy.__version__, pandas.__version__)'],
        HostConfig: { NetworkMode: 'none', ReadonlyRootfs: true }
      })
      try {
        await container.start()
        const { StatusCode } = await container.wait()
        const words = (await container.logs({ stdout: true, stderr: true })).toString('latin1')
        assert.equal(StatusCode, 0, words)
        const version = (name: string): string => tree.packages.find(one => one.name === name)?.version ?? ''
        assert.ok(words.includes(`${version('numpy')} ${version('pandas')}`), words)
      } finally {
        await container.remove({ force: true })
      }
    })
  })
})

/** What builds have left in `<home>/images`. */
async function leftovers(home: string): Promise<string[]> {
  return (await readdir(join(home, 'images'))).filter(name => name.startsWith('.building'))
}
