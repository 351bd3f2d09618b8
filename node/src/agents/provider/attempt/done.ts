import { isPekkaError, type Done, type FailReason } from '@pekka/node/protocol'
import type { TakenSandbox } from '../machine/workshop.js'

/** Why a run was ended from outside. */
export type Killed = 'wall' | 'cancel' | 'output' | 'abandoned'

/** Says what the host knows better than a runner that is gone, or that only saw its kernel killed. */
export async function settleDone(
  done: Done,
  sandbox: TakenSandbox['sandbox'],
  killed: Killed | null,
  memoryBytes: number
): Promise<Done> {
  const kernelKilled = done.reason === 'kernel-died' && done.detail['signal'] === 'SIGKILL'
  if (done.reason !== 'runner-lost' && !kernelKilled) return done
  const { cpuMs, maxMemoryBytes, oomKills } = await sandbox.usage()
  const outOfMemory = {
    outcome: 'limit',
    reason: 'out-of-memory',
    detail: { ...done.detail, limitBytes: memoryBytes }
  } as const
  if (kernelKilled) return oomKills > 0 ? { ...done, ...outOfMemory } : done
  const usage = { ...done.usage, cpuMs: Math.round(cpuMs), maxMemoryBytes: Math.round(maxMemoryBytes) }
  if (killed === 'wall') return { ...done, usage, outcome: 'limit', reason: 'wall-limit' }
  if (killed === 'output') return { ...done, usage, outcome: 'limit', reason: 'output-limit' }
  if (killed === 'cancel') return { ...done, usage, outcome: 'stopped', reason: 'cancelled' }
  if (oomKills > 0) return { ...done, usage, ...outOfMemory }
  return { ...done, usage }
}

/** Our own fault, with the reason that the ledger is told. */
export class ProviderFault extends Error {
  constructor(readonly reason: FailReason) {
    super(reason)
  }
}

export function faultOf(error: unknown): FailReason {
  if (error instanceof ProviderFault) return error.reason
  if (error instanceof Error && 'code' in error && error.code === 'ENOSPC') return 'resources'
  if (!isPekkaError(error)) return 'internal'
  const sandbox = ['SANDBOX_FAILED', 'SANDBOX_UNUSABLE', 'RUNNER_LOST', 'RUNNER_PROTOCOL', 'IMAGE_UNKNOWN']
  return sandbox.includes(error.code) ? 'sandbox' : 'internal'
}
