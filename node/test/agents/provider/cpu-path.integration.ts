import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BubblewrapRuntime, type SandboxImage, type SandboxRuntime } from '@pekka/node/host/sandbox'
import { toHex } from '@pekka/node/protocol'
import { cpuClassOf, measureCpuPaths } from '../../../src/agents/provider/machine/cpu-path.js'
import { imageEnvironment, imageRoot, needImage } from '../../host/runner/sandboxed-runner.js'
import { missing } from '../../host/sandbox/support.js'

/** The fingerprint of the CPU path, measured in sandboxes of the image. */
describe('provider: CPU path', function () {
  this.timeout(120_000)
  let runtime: SandboxRuntime
  let folder: string
  const warnings: unknown[] = []
  const log = { info: () => {}, warn: (data: object) => warnings.push(data), error: () => {} }
  const signal = new AbortController().signal

  before(async function () {
    needImage(this)
    runtime = new BubblewrapRuntime({ owner: `cpu path test ${process.pid}` })
    const report = await runtime.probe()
    if (!report.usable) missing(this, report.reason)
    folder = await mkdtemp(join(tmpdir(), 'pekka-cpu-path-'))
  })
  after(async () => {
    await runtime?.close()
    if (folder !== undefined) await rm(folder, { recursive: true, force: true })
  })
  beforeEach(() => warnings.splice(0))

  const image = (changed: Record<string, string> = {}): SandboxImage => ({
    root: imageRoot() ?? '',
    digest: 'test',
    environment: { ...imageEnvironment(), ...changed }
  })
  const one = async (images: SandboxImage[], from: SandboxRuntime = runtime) =>
    await measureCpuPaths({ runtime: from, log }, { folder, images, signal })

  it('is measured in the image, says which code the libraries took, and is measured once', async () => {
    const [first] = await one([image()])
    assert.ok(first, JSON.stringify(warnings))
    assert.deepEqual(warnings, [])
    assert.equal(first.fingerprint.length, 32)
    assert.match(first.description, /^blas\.numpy=Haswellx1 .*simd=\S+ libm=plain$/)
    assert.match(cpuClassOf(first), /^\w+-[0-9a-f]{12}$/)
    const noMore = { ...runtime, name: runtime.name, create: () => assert.fail('it is known') }
    const [again] = await one([image()], noMore as unknown as SandboxRuntime) // only these two are used
    assert.deepEqual(again, first)
  })

  it('is another one where the libraries take other code', async () => {
    const other = { OPENBLAS_CORETYPE: 'Nehalem', NPY_DISABLE_CPU_FEATURES: 'X86_V3 X86_V4 AVX512_ICL AVX512_SPR' }
    const [pinned, changed] = await one([image(), image(other)])
    assert.ok(pinned && changed, JSON.stringify(warnings))
    assert.notEqual(toHex(pinned.fingerprint), toHex(changed.fingerprint))
    assert.notEqual(cpuClassOf(pinned), cpuClassOf(changed))
  })

  it('says when a pin is not in force, and does without where nothing can be measured', async () => {
    const [unknown, broken] = await one([
      image({ OPENBLAS_CORETYPE: 'NoSuchCore' }),
      { ...image(), root: join(folder, 'no-tree') }
    ])
    assert.ok(unknown)
    assert.equal(broken, null)
    const words = JSON.stringify(warnings.map(data => (data as { issue?: string }).issue ?? 'failed'))
    assert.match(words, /the BLAS of numpy is \w+, not NoSuchCorex1/)
    assert.match(words, /failed/)
  })
})
