/** What every runtime must do, in one suite that each is put through. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { SANDBOX_EXTRAS, type Sandbox, type SandboxImage, type SandboxRuntime } from '@pekka/node/host/sandbox'
import { PekkaError } from '@pekka/node/protocol'
import { LIMITS, runPython } from './support.js'

export interface Subject {
  runtime: SandboxRuntime
  image: SandboxImage
  /** A second runtime of the same owner, as a restarted provider has it. */
  again(): SandboxRuntime
  /** Processes on the machine whose command line has the word. */
  leftovers(): Promise<string[]>
  /** Control groups or prlimit only. */
  groups: boolean
}

const PYTHON = ['/opt/pekka/env/bin/python', '-I', '-u', '-c'] as const

export function conformance(subject: () => Subject): void {
  const started: Sandbox[] = []
  const start = async (source: string, limits = LIMITS): Promise<Sandbox> => {
    const { runtime, image } = subject()
    const sandbox = await runtime.create({ image, argv: [...PYTHON, source], limits })
    started.push(sandbox)
    return sandbox
  }
  // A test that fails must not spoil the next.
  afterEach(() => Promise.all(started.splice(0).map(sandbox => sandbox.remove())))

  const run = (source: string, options: Parameters<typeof runPython>[3] = {}) =>
    runPython(subject().runtime, subject().image, source, options)

  it('says what it enforces', async () => {
    const report = await subject().runtime.probe()
    assert.ok(report.usable)
    assert.ok(report.enforced.memory && report.enforced.pids && report.enforced.disk && report.enforced.seccomp)
  })

  it('gives the program its place: user, directory, host name, environment, an empty home', async () => {
    const { stdout } = await run(`
import os, json, pwd
print(json.dumps([os.getuid(), os.getgid(), os.getcwd(), os.uname().nodename, sorted(os.environ), os.listdir('/home/pekka'),
  os.listdir('.'), pwd.getpwuid(os.getuid()).pw_name]))
open('x', 'w').close(); open('/tmp/x', 'w').close(); open('/dev/shm/x', 'w').close()`)
    const [uid, gid, cwd, host, names, home, work, user] = JSON.parse(stdout) as unknown[]
    assert.deepEqual([uid, gid, cwd, host, user], [10001, 10001, '/home/pekka/work', 'pekka', 'pekka'])
    assert.deepEqual(home, ['work'])
    assert.deepEqual(work, [])
    const own = ['HOSTNAME', 'OLDPWD', 'PWD', 'LC_CTYPE']
    assert.deepEqual(
      (names as string[]).filter(name => !own.includes(name)),
      ['HOME', 'LANG', 'PATH']
    )
  })

  it('shows a directory of the machine read-only, with what is put there while it runs', async () => {
    const source = await mkdtemp(join(tmpdir(), 'pekka-extras-'))
    try {
      await chmod(source, 0o755)
      const { runtime, image } = subject()
      const look = `
import os, sys
print(os.listdir('/srv/pekka'), flush=True)
sys.stdin.readline()
print(open('/srv/pekka/later').read())
for attempt in ("open('/srv/pekka/mine', 'w')", "open('/srv/pekka/later', 'a')", "os.chmod('/srv/pekka/later', 0o777)",
                "os.remove('/srv/pekka/later')"):
    try: eval(attempt); print('ESCAPED', attempt)
    except OSError: print('refused')`
      const mounts = [{ source, target: SANDBOX_EXTRAS }]
      const sandbox = await runtime.create({ image, argv: [...PYTHON, look], limits: LIMITS, mounts })
      started.push(sandbox)
      const lines = createInterface({ input: sandbox.stdout })[Symbol.asyncIterator]()
      const next = async (): Promise<unknown> => (await lines.next()).value
      assert.equal(await next(), '[]')
      await writeFile(join(source, 'later'), 'hello', { mode: 0o644 })
      sandbox.stdin.write('\n')
      assert.deepEqual(
        [await next(), await next(), await next(), await next(), await next()],
        ['hello', 'refused', 'refused', 'refused', 'refused']
      )
      await sandbox.remove()
      assert.equal(await readFile(join(source, 'later'), 'utf8'), 'hello')
    } finally {
      await rm(source, { recursive: true })
    }
  })

  it('puts nothing of its own into stdin, stdout or stderr', async () => {
    for (let round = 0; round < 5; round++) {
      const { stdout, stderr, code } = await run(
        'import sys; data = sys.stdin.buffer.read(); sys.stdout.buffer.write(data); sys.stderr.buffer.write(data[::-1])',
        { input: 'only this\n' }
      )
      assert.deepEqual([stdout, stderr, code], ['only this\n', '\nsiht ylno', 0])
    }
    const quiet = await run('import sys; print(len(sys.stdin.buffer.read()))')
    assert.equal(quiet.stdout, '0\n')
  })

  it('carries bytes both ways while the program runs, unchanged and in order', async () => {
    const sandbox = await start(
      'import sys\nfor line in sys.stdin.buffer: sys.stdout.buffer.write(line); sys.stdout.flush()'
    )
    const output = sandbox.stdout[Symbol.asyncIterator]() as AsyncIterator<Buffer>
    for (const line of ['one\n', `${'x'.repeat(200_000)}\n`, '\u0000\u0001binary\n']) {
      sandbox.stdin.write(line)
      let got = ''
      while (got.length < line.length) {
        const { value } = await output.next()
        got += String(value)
      }
      assert.equal(got, line)
    }
    sandbox.stdin.end()
    assert.equal((await sandbox.exited).code, 0)
    await sandbox.remove()
  })

  it('blocks a program whose output nobody reads, and loses none of it', async () => {
    const sandbox = await start(`
import sys
for _ in range(1024): sys.stdout.buffer.write(b'x' * 65536)
sys.stdout.flush()`)
    // It has stopped when it uses no more CPU; a program that wasn't blocked would have ended.
    for (let before = -1; ; await delay(200)) {
      const { cpuMs } = await sandbox.usage()
      // Looking at it costs a little, too.
      if (cpuMs > 0 && cpuMs - before < 2) break
      before = cpuMs
    }
    assert.equal(await Promise.race([sandbox.exited, Promise.resolve('running')]), 'running')
    assert.equal((await text(sandbox.stdout)).length, 64 << 20)
    assert.equal((await sandbox.exited).code, 0)
    await sandbox.remove()
  })

  it('kills a program that is blocked because nobody reads, and keeps what it had written', async () => {
    const sandbox = await start(`
import sys
print('first words')
while True: sys.stdout.buffer.write(b'x' * 65536)`)
    await once(sandbox.stdout, 'readable')
    await sandbox.kill()
    assert.match(await text(sandbox.stdout), /^first words/)
    await sandbox.remove()
  })

  it('keeps the output of a program that ended before anybody read', async () => {
    for (let round = 0; round < 5; round++) {
      const { runtime, image } = subject()
      const sandbox = await runtime.create({ image, argv: ['/bin/sh', '-c', 'echo out; echo err >&2'], limits: LIMITS })
      started.push(sandbox)
      await sandbox.exited
      assert.deepEqual(await Promise.all([text(sandbox.stdout), text(sandbox.stderr)]), ['out\n', 'err\n'])
    }
  })

  it('passes on the exit code, and the signal that ended the program', async () => {
    assert.equal((await run('import sys; sys.exit(7)')).code, 7)
    const sandbox = await start('import os, signal; os.kill(os.getpid(), signal.SIGKILL)')
    assert.deepEqual(await sandbox.exited, { code: 137, signal: 'SIGKILL', oomKilled: false })
    await sandbox.remove()
  })

  it('ends every process of the sandbox with its program, also those that left their parent', async () => {
    const sandbox = await start(`
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.close(0); os.close(1); os.close(2)
        time.sleep(600)
    os._exit(0)
os.wait(); print('left behind')`)
    assert.equal(await text(sandbox.stdout), 'left behind\n')
    await sandbox.exited
    assert.deepEqual(await subject().leftovers(), [])
    await sandbox.remove()
  })

  it('kills a program that ignores signals, with its children, at once and as often as asked', async () => {
    const sandbox = await start(`
import os, signal, time
for number in range(1, 65):
    try: signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError): pass
for _ in range(5):
    if os.fork() == 0: time.sleep(600)
print('ready', flush=True)
time.sleep(600)`)
    await once(sandbox.stdout, 'data')
    assert.notDeepEqual(await subject().leftovers(), [])
    await Promise.all([sandbox.kill(), sandbox.kill()])
    await sandbox.kill()
    assert.deepEqual(await subject().leftovers(), [])
    assert.equal((await sandbox.exited).signal, 'SIGKILL')
    await sandbox.remove()
    await sandbox.remove()
  })

  it('kills a fork bomb', async () => {
    const sandbox = await start(`
import os
print('ready', flush=True)
while True:
    try: os.fork()
    except OSError: pass`)
    await once(sandbox.stdout, 'data')
    await sandbox.kill()
    assert.deepEqual(await subject().leftovers(), [])
    await sandbox.remove()
  })

  it('gives a running sandbox the limits of its task', async () => {
    const bomb = `
import sys, os
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        try:
            block = bytearray(b'x') * int(line); os._exit(0)
        except MemoryError: os._exit(1)
    print('took' if os.waitpid(pid, 0)[1] == 0 else 'refused', flush=True)`
    const sandbox = await start(bomb, { ...LIMITS, memoryBytes: 256 << 20 })
    const lines = createInterface({ input: sandbox.stdout })[Symbol.asyncIterator]()
    const ask = async (bytes: number) => {
      sandbox.stdin.write(`${bytes}\n`)
      return (await lines.next()).value
    }
    assert.equal(await ask(150 << 20), 'took')
    await sandbox.setLimits({ memoryBytes: 96 << 20, cpus: 0.5, pids: 32 })
    assert.equal(await ask(150 << 20), 'refused')
    if (subject().groups) {
      await sandbox.setLimits({ memoryBytes: 512 << 20, cpus: 1, pids: 32 })
      assert.equal(await ask(300 << 20), 'took')
    }
    await sandbox.remove()
  })

  it('counts CPU time and memory, and still knows them after the end', async () => {
    const sandbox = await start(`
import sys, time
block = bytearray(b'x') * (40 << 20)
while time.process_time() < 0.3: pass
print('ready', flush=True); sys.stdin.read()`)
    await once(sandbox.stdout, 'data')
    const { cpuMs, maxMemoryBytes } = await sandbox.usage()
    assert.ok(cpuMs >= 290 && cpuMs < 20_000, `${cpuMs} ms`)
    assert.ok(maxMemoryBytes > 40 << 20 && maxMemoryBytes < 128 << 20, `${maxMemoryBytes} bytes`)
    await sandbox.remove()
    assert.ok((await sandbox.usage()).cpuMs >= cpuMs)
  })

  it('says when the kernel killed something for want of memory', async function () {
    if (!subject().groups) return this.skip()
    const sandbox = await start("block = bytearray(b'x') * (300 << 20)")
    const { code, oomKilled } = await sandbox.exited
    assert.deepEqual([code, oomKilled], [137, true])
    assert.ok((await sandbox.usage()).oomKills >= 1)
    await sandbox.remove()
  })

  it('holds a program to its share of the CPU', async function () {
    if (!subject().groups) return this.skip()
    const source = `
import time
begin = time.monotonic()
while time.monotonic() - begin < 1.5: pass
print(time.process_time() / 1.5)`
    const { stdout } = await run(source, { limits: { cpus: 0.2 } })
    assert.ok(Number(stdout) < 0.4, `got ${stdout.trim()} of a CPU`)
  })

  it('shows a task nothing of the one before', async () => {
    const search = `
import os
found = [os.path.join(top, name) for place in ('/home', '/tmp', '/dev/shm', '/var/tmp', '/run') for top, _, names in os.walk(place) for name in names]
print(found)`
    const mark = `
for place in ('/home/pekka', '/home/pekka/work', '/tmp', '/dev/shm'):
    open(f'{place}/canary', 'w').write('of the first tenant')`
    assert.equal((await run(mark)).code, 0)
    assert.equal((await run(search)).stdout, '[]\n')
    assert.match((await run(mark + search)).stdout, /work\/canary/, 'control: the search finds what is there')
  })

  it('removes what a provider that was killed has left', async () => {
    const sandbox = await start("import time; print('ready', flush=True); time.sleep(600)")
    await once(sandbox.stdout, 'data')
    const next = subject().again()
    assert.equal(await next.cleanup(), 1)
    assert.equal(await next.cleanup(), 0)
    await sandbox.exited
    assert.deepEqual(await subject().leftovers(), [])
    await sandbox.remove()
  })

  it('leaves its own sandboxes alone when it cleans up', async () => {
    const sandbox = await start('import sys; sys.stdin.read(); print("still here")')
    assert.equal(await subject().runtime.cleanup(), 0)
    sandbox.stdin.end()
    assert.equal(await text(sandbox.stdout), 'still here\n')
    await sandbox.remove()
  })

  it('says what is wrong with an image it does not have, and leaves nothing', async () => {
    const { runtime } = subject()
    const image = { root: '/nonexistent', engineId: `sha256:${'0'.repeat(64)}`, digest: 'none', environment: {} }
    await assert.rejects(
      runtime.create({ image, argv: ['/bin/true'], limits: LIMITS }),
      (error: unknown) => error instanceof PekkaError && error.code === 'SANDBOX_FAILED'
    )
    assert.equal(await runtime.cleanup(), 0)
  })

  it('starts nothing for a caller who has given up', async () => {
    const { runtime, image } = subject()
    const reason = new Error('given up')
    await assert.rejects(
      runtime.create({ image, argv: ['/bin/true'], limits: LIMITS }, AbortSignal.abort(reason)),
      reason
    )
    assert.equal(await runtime.cleanup(), 0)
  })
}
