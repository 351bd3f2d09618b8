import Docker from 'dockerode'
import { PekkaError } from '@pekka/node/protocol'
import { BubblewrapRuntime } from './bubblewrap/runtime.js'
import { DockerRuntime } from './docker/runtime.js'
import { selfTest, type Verdict } from './escape/run.js'
import type { RuntimeName, RuntimeReport, SandboxImage, SandboxRuntime } from './types.js'

export interface SelectOptions {
  /** Whose sandboxes these are; see `BubblewrapInit.owner`. */
  owner: string
  /**
   * The image the start-up test runs in, as far as it is there for each runtime: without `engineId` Docker isn't tried,
   * without `root` bubblewrap isn't.
   */
  image: SandboxImage
  /** Only this one; else Docker where an engine answers, then bubblewrap. */
  only?: RuntimeName
  /** Default: DOCKER_HOST, else the engine's usual socket. */
  docker?: Docker
  /** For bubblewrap; see `BubblewrapInit.stateDirectory`. */
  stateDirectory?: string
  signal?: AbortSignal
}

export interface SelectedRuntime {
  runtime: SandboxRuntime
  /** With the isolation that the start-up test has shown, to be published. */
  report: RuntimeReport & { usable: true }
  verdicts: Verdict[]
  /** Why the runtimes before this one aren't used. */
  passedOver: { name: RuntimeName; reason: string; remedy: string }[]
}

/**
 * Chooses the runtime of this machine, removes what an earlier provider of the same owner left, and proves by the
 * escape suite's quick part that it keeps tasks in.
 *
 * @throws PekkaError SANDBOX_UNUSABLE if none is usable or none passes. There is no way without a sandbox.
 */
export async function selectRuntime(options: SelectOptions): Promise<SelectedRuntime> {
  const { owner, docker, stateDirectory, image, only, signal } = options
  const candidates: { name: RuntimeName; make: () => SandboxRuntime; ready: boolean; missing: string }[] = [
    {
      name: 'docker',
      make: () => new DockerRuntime({ owner, docker }),
      ready: image.engineId !== undefined,
      missing: 'the image is not imported into the engine yet'
    },
    {
      name: 'bubblewrap',
      make: () => new BubblewrapRuntime({ owner, stateDirectory }),
      ready: image.root !== undefined,
      missing: 'the tree of the image is not built'
    }
  ]
  const passedOver: SelectedRuntime['passedOver'] = []
  for (const { name, make, ready, missing } of candidates) {
    if (only !== undefined && only !== name) continue
    signal?.throwIfAborted()
    if (!ready) {
      passedOver.push({ name, reason: missing, remedy: 'pekka image build' })
      continue
    }
    const runtime = make()
    const report = await runtime.probe(signal)
    if (!report.usable) {
      passedOver.push({ name, reason: report.reason, remedy: report.remedy })
      continue
    }
    const refused = await tryOut(runtime, report, image, signal)
    if ('runtime' in refused) return { ...refused, passedOver }
    passedOver.push({ name, ...refused })
    await runtime.close()
  }
  throw new PekkaError('SANDBOX_UNUSABLE', {
    issue: passedOver.map(({ name, reason }) => `${name}: ${reason}`).join('; '),
    remedy: passedOver.map(({ remedy }) => remedy).join(' Or: ')
  })
}

async function tryOut(
  runtime: SandboxRuntime,
  report: RuntimeReport & { usable: true },
  image: SandboxImage,
  signal?: AbortSignal
): Promise<Omit<SelectedRuntime, 'passedOver'> | { reason: string; remedy: string }> {
  try {
    await runtime.cleanup()
    const { isolation, verdicts } = await selfTest(runtime, report, image, signal)
    if (isolation > 0) return { runtime, report: { ...report, isolation }, verdicts }
    const open = verdicts.filter(({ escaped }) => escaped !== false)
    const reason = `the start-up test got out: ${open.map(({ probe, detail }) => `${probe} (${detail})`).join(', ')}`
    return { reason, remedy: 'Report this; docs/sandbox.md tells what each probe does.' }
  } catch (error) {
    if (signal?.aborted === true) await runtime.close()
    signal?.throwIfAborted()
    const reason =
      error instanceof PekkaError && typeof error.data.issue === 'string' ? error.data.issue : String(error)
    return { reason, remedy: '"pekka doctor" shows what is missing.' }
  }
}
