import {
  commitment,
  resultDigest,
  runHash,
  type Done,
  type ManifestEnvelope,
  type Primitives,
  type Result,
  type RunFacts
} from '@pekka/node/protocol'
import type { CpuPath } from '../machine/cpu-path.js'
import type { OpenedTask } from '../intake/intake.js'
import { sealOpening } from '../intake/opening.js'
import type { RunRecord } from '../output/run-store.js'
import type { Chain, SessionClaimed } from './session-pay.js'

export interface ResultInit {
  network: Uint8Array
  provider: Uint8Array
  task: OpenedTask
  /** Number of the attempt, from 1. */
  attempt: number
  runtime: string
  isolation: number
  /** How this machine computes in the task's image; null where it isn't known. */
  path: CpuPath | null
}

/** What an attempt states of its result: the manifest, what it claims for it, and the sealed opening of that (R8, R15). */
export class ResultMaker {
  constructor(
    private readonly components: { primitives: Primitives },
    private readonly init: ResultInit
  ) {}

  manifest(
    result: Result,
    raw: RunFacts['raw'],
    { usage, envRead }: Pick<Done, 'usage' | 'envRead'>,
    { count, head }: Chain
  ): ManifestEnvelope {
    const { offer, ask } = this.init.task
    const run: RunFacts = {
      v: 1,
      usage,
      image: offer.image.digest,
      contentDigest: ask.contentDigest,
      runtime: this.init.runtime,
      isolation: this.init.isolation,
      cpuClass: ask.cpuClass,
      ...this.#path,
      envRead: [...new Set(envRead)].sort(),
      raw,
      count,
      head
    }
    return { result, run, blind: this.components.primitives.random.bytes(32) }
  }

  /** On another path than the pinned one nothing is known of how the machine computes, and nothing is compared. */
  get #path(): Pick<RunFacts, 'fingerprint' | 'cpuPath' | 'numeric' | 'seed'> {
    const { numeric, seed } = this.init.task.bundle
    const known = numeric === 'pinned' ? this.init.path : null
    return { fingerprint: known?.fingerprint ?? null, cpuPath: known?.description ?? '', numeric, seed }
  }

  /** @param claimed of a session; null for a single run */
  async finished(
    manifest: ManifestEnvelope,
    done: Pick<Done, 'usage' | 'outcome'>,
    claimed: SessionClaimed | null,
    chain: Chain
  ): Promise<NonNullable<RunRecord['finished']>> {
    const { network, provider, attempt, task } = this.init
    const digest = resultDigest(task.taskKey, manifest.result)
    const { count, head } = chain
    const { blind } = manifest
    const input = { network, task: task.offer.task, attempt, provider, digest, runHash: runHash(manifest.run), blind }
    const wallMs = claimed?.wallMs ?? Math.min(done.usage.wallMs, task.offer.limits.wallMs)
    const usage = { wallMs, cpuMs: done.usage.cpuMs }
    return {
      claim: {
        commitment: commitment(input),
        run: 1,
        count,
        head,
        usage,
        outcome: done.outcome,
        stored: null,
        session: claimed?.session ?? null
      },
      opening: await sealOpening(
        this.components.primitives.aead,
        task.taskKey,
        { network, task: task.offer.task, attempt, run: 1 },
        manifest
      ),
      digest
    }
  }
}
