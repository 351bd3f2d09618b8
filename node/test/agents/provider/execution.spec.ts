import assert from 'node:assert/strict'
import { mock } from 'node:test'
import { createBundle, type Done } from '@pekka/node/protocol'
import type { RunCommand } from '@pekka/node/host/runner'
import {
  execute,
  type ExecutionComponents,
  type ExecutionInit
} from '../../../src/agents/provider/attempt/execution.js'

const USAGE = { wallMs: 1, cpuMs: 1, maxMemoryBytes: 1, outputBytes: 0 }
const DONE: Done = { type: 'done', outcome: 'ok', reason: 'completed', detail: {}, exitCode: 0, usage: USAGE, t: 1 }

describe('running a program', () => {
  afterEach(() => mock.timers.reset())

  it('leaves no timer behind that would kill a kept machine later, also where something comes back', async () => {
    mock.timers.enable({ apis: ['setTimeout'] })
    const killed: string[] = []
    const begun: string[] = []
    const session = {
      kept: true,
      put: () => Promise.resolve(),
      async *run(_: RunCommand, __: AbortSignal, onPart: (part: object) => Promise<void>) {
        begun.push('run')
        await onPart({ of: 'file', index: 0, bytes: new Uint8Array(9) })
        await onPart({ of: 'file', index: 0, bytes: new Uint8Array(9) })
        yield DONE
      }
    }
    // What a run without output and travel uses of them.
    const components = {
      sandbox: { session, sandbox: {} },
      writer: { blob: () => Promise.resolve({}), write: () => Promise.resolve() },
      delivery: { waitUntilBehind: () => Promise.resolve() },
      digester: { add: () => undefined },
      fetchPart: () => Promise.reject(new Error('nothing travels')),
      later: (work: () => void, ms: number) => setTimeout(work, ms),
      begun: () => begun.push('told'),
      kill: (why: string) => killed.push(why),
      killed: () => null
    } as unknown as ExecutionComponents
    const bundle = createBundle({ kind: 'cells', cells: [], stopOnError: true }, 1)
    const offer = { resources: { memoryBytes: 1, diskBytes: 1, milliCpus: 1000 }, limits: { cpuMs: 1 } }
    const init = {
      task: { offer, parts: new Map() },
      bundle,
      limits: { wallMs: 1000, atCap: false, outputBytes: 10 },
      keep: true
    } as unknown as ExecutionInit
    assert.deepEqual(await execute(components, init, new AbortController().signal), DONE)
    assert.deepEqual(begun, ['told', 'run'])
    mock.timers.tick(3_600_000)
    assert.deepEqual(killed, [])
  })
})
