import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { text } from 'node:stream/consumers'
import { setTimeout as delay } from 'node:timers/promises'
import { RunnerSession } from '@pekka/node/host/runner'
import { BubblewrapRuntime, createSandboxPool, type SandboxPool } from '@pekka/node/host/sandbox'
import { ENVIRONMENT, imageRoot, LIMITS, missing, temporaryDirectory } from './support.js'

const PROGRAM = fileURLToPath(new URL('./provider-process.ts', import.meta.url))
const NODE = [process.execPath, '--conditions=pekka-source', '--import', 'tsx', PROGRAM] as const

async function sleepers(): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    const command = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : ''
    if (command.startsWith('/opt/pekka/env/bin/python') && command.includes('/proc/self/fd')) found.push(pid)
  }
  return found
}

describe('a provider and its sandboxes', function () {
  this.timeout(60_000)
  let root: string
  const privileged = process.getuid?.() === 0

  before(async function () {
    root = imageRoot(this)
    const report = await new BubblewrapRuntime({ owner: 'probe' }).probe()
    if (!report.usable) return missing(this, `bubblewrap: ${report.reason}`)
  })

  it('that is killed takes its sandboxes along, and its next life finds what is left of them', async () => {
    const owner = `killed ${process.pid}`
    const provider = spawn(NODE[0], [...NODE.slice(1), 'serve', root, owner], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(provider.stdout, 'data')
    assert.equal((await sleepers()).length, 1)
    provider.kill('SIGKILL')
    await once(provider, 'exit')
    const next = new BubblewrapRuntime({ owner })
    assert.equal(await next.cleanup(), 1)
    // Killed processes are gone a moment later; mocha's limit ends this loop if they never are.
    while ((await sleepers()).length > 0) await delay(10)
    await next.close()
  })

  it('does not hand on descriptors that it has itself inherited', async () => {
    const owner = `inherits ${process.pid}`
    const provider = spawn('bash', ['-c', 'exec 77</etc/passwd; exec "$@"', 'bash', ...NODE, 'serve', root, owner], {
      stdio: ['ignore', 'pipe', 'inherit']
    })
    const [said] = (await once(provider.stdout, 'data')) as [Buffer]
    provider.kill('SIGKILL')
    await once(provider, 'exit')
    await new BubblewrapRuntime({ owner }).close()
    assert.equal(said.toString().trim(), "['0', '1', '2', '3']", 'the fourth is the listing itself')
  })

  it('refuses to start as root where no control group can be made, and says why', async function () {
    if (!privileged) return this.skip()
    const hidden = 'mount -t tmpfs -o ro none /sys/fs/cgroup; exec "$@"'
    const command = [
      '--mount',
      '--propagation',
      'private',
      'sh',
      '-c',
      hidden,
      'sh',
      ...NODE,
      'select',
      root,
      'refused'
    ]
    const provider = spawn('unshare', command, { stdio: ['ignore', 'pipe', 'inherit'] })
    const { refused } = JSON.parse(await text(provider.stdout)) as { refused?: string }
    assert.match(
      refused ?? '',
      /no control group for memory and pids can be made here, and resource limits don't bind root/
    )
  })

  it('runs as an ordinary user with isolation 1', async function () {
    if (!privileged) return this.skip()
    // The tree may lie where only root gets to; a mount in a namespace of its own shows it to everybody.
    const place = await temporaryDirectory()
    await chmod(place.path, 0o755)
    const shown = 'mount --bind "$1" "$2"; shift 2; exec setpriv --reuid 65534 --regid 65534 --clear-groups -- "$@"'
    const command = ['env', 'TMPDIR=/tmp', 'HOME=/tmp', ...NODE, 'select', place.path, `nobody ${process.pid}`]
    const provider = spawn(
      'unshare',
      ['--mount', '--propagation', 'private', 'sh', '-c', shown, 'sh', root, place.path, ...command],
      { stdio: ['ignore', 'pipe', 'inherit'] }
    )
    const answer = JSON.parse(await text(provider.stdout)) as object
    await place.remove()
    assert.deepEqual(answer, { isolation: 1 })
  })

  it('serves a cell from a warm sandbox with the runner of the image', async () => {
    const image = { root, digest: 'test', environment: ENVIRONMENT }
    const runtime = new BubblewrapRuntime({ owner: `runner ${process.pid}` })
    const limits = { ...LIMITS, memoryBytes: 1 << 30, pids: 128, files: 1024 }
    const pool: SandboxPool<RunnerSession> = createSandboxPool(
      {
        runtime,
        log: { info: () => {}, warn: () => {} },
        start: async ({ stdin, stdout, stderr }, signal) => {
          stderr.resume()
          const session = new RunnerSession({ stdin, stdout })
          await session.ready(signal)
          return session
        }
      },
      {
        argv: ['/opt/pekka/env/bin/python', '-I', '-u', '/opt/pekka/runner/main.py'],
        limits,
        warm: [{ image, size: 1 }]
      }
    )
    try {
      while (pool.waiting().get('test') !== 1) await delay(20)
      const taken = await pool.take(image, { ...limits, memoryBytes: 512 << 20 }, AbortSignal.timeout(30_000))
      assert.ok(taken.warm)
      let output = ''
      const events = taken.session.run({
        kind: 'cells',
        cells: [{ id: 'one', source: "import os; print(os.getuid(), os.getcwd(), 'from the sandbox')", tags: [] }],
        limits: {
          ...{ wallMs: 30_000, cpuMs: 30_000, memoryBytes: 512 << 20, diskBytes: limits.diskBytes },
          ...{ outputBytes: 1 << 20, cellTextBytes: 1 << 20 }
        },
        seed: 1,
        stopOnError: true
      })
      for await (const event of events) {
        if (event.type === 'stream') output += JSON.stringify(event)
        if (event.type === 'done') assert.equal(event.outcome, 'ok')
      }
      assert.match(output, /10001 \/home\/pekka\/work from the sandbox/)
      await taken.release()
    } finally {
      await pool.stop()
      await runtime.close()
    }
  })
})
