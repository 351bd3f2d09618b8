import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BubblewrapRuntime, DockerRuntime } from '@pekka/node/host/sandbox'
import { conformance, type Subject } from './conformance.js'
import { ENVIRONMENT, imageRoot, missing, testDocker, type TestDocker } from './support.js'

/** Processes of the machine that run the sandbox's interpreter for the suite. */
async function pythonProcesses(): Promise<string[]> {
  const found: string[] = []
  for (const pid of await readdir('/proc')) {
    const command = /^\d+$/.test(pid) ? await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') : ''
    if (command.startsWith('/opt/pekka/env/bin/python\0-I\0-u\0-c\0')) found.push(command)
  }
  return found
}

describe('runtime bubblewrap', function () {
  this.timeout(30_000)
  const owner = `conformance ${process.pid}`
  let subject: Subject

  before(async function () {
    const root = imageRoot(this)
    const runtime = new BubblewrapRuntime({ owner })
    const report = await runtime.probe()
    if (!report.usable) return missing(this, `bubblewrap: ${report.reason}`)
    subject = {
      runtime,
      image: { root, digest: 'test', environment: ENVIRONMENT },
      again: () => new BubblewrapRuntime({ owner }),
      leftovers: pythonProcesses,
      groups: report.isolation >= 2
    }
  })

  after(() => subject?.runtime.close())

  conformance(() => subject)

  it('leaves no control group, directory or mount after close', async () => {
    await subject.runtime.close()
    const name = `pekka-${createHash('sha256').update(owner).digest('hex').slice(0, 16)}`
    const everything = await readdir('/sys/fs/cgroup', { recursive: true }).catch(() => [])
    assert.deepEqual(
      everything.filter(path => path.includes(name)),
      []
    )
    assert.ok(!existsSync(join('/run', name)) && !existsSync(join(tmpdir(), name)))
    assert.ok(!(await readFile('/proc/self/mountinfo', 'utf8')).includes(name))
  })
})

describe('runtime docker', function () {
  this.timeout(30_000)
  let engine: TestDocker
  let subject: Subject

  before(async function () {
    const root = imageRoot(this)
    engine = await testDocker(this, root)
    const { docker, image } = engine
    const owner = `conformance ${process.pid}`
    const runtime = new DockerRuntime({ owner, docker })
    const report = await runtime.probe()
    assert.ok(report.usable)
    subject = {
      runtime,
      image,
      again: () => new DockerRuntime({ owner, docker }),
      leftovers: pythonProcesses,
      groups: true
    }
  })

  after(async () => {
    await subject?.runtime.close()
    await engine?.stop()
  })

  conformance(() => subject)

  it('leaves no container after close', async () => {
    await subject.runtime.close()
    const containers = await engine.docker.listContainers({ all: true, filters: { label: ['org.pekka.sandbox'] } })
    assert.deepEqual(containers, [])
  })
})
