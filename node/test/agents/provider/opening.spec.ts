import assert from 'node:assert/strict'
import { createPrimitives, random } from '@pekka/node/host/crypto'
import type { ManifestEnvelope } from '@pekka/node/protocol'
import { RunDigester } from '@pekka/node/verification'
import { openOpening, sealOpening } from '../../../src/agents/provider/intake/opening.js'

describe('provider: the opening of a commitment', () => {
  const { aead } = createPrimitives()
  const key = random.bytes(32)
  const binding = { network: random.bytes(32), task: random.bytes(32), attempt: 1, run: 1 }

  it('opens to the manifest, names nothing in clear, and belongs to its run', async () => {
    const digester = new RunDigester()
    const usage = { wallMs: 5, cpuMs: 4, maxMemoryBytes: 3, outputBytes: 0 }
    const done = { type: 'done', outcome: 'ok', reason: 'completed', exitCode: 0, usage, detail: {}, t: 5 } as const
    const result = digester.result(done)
    const run: ManifestEnvelope['run'] = {
      ...{ v: 1, usage, image: random.bytes(32), contentDigest: random.bytes(32), runtime: 'bubblewrap', isolation: 2 },
      ...{ cpuClass: 'x64', fingerprint: null, cpuPath: 'patients.csv', numeric: 'pinned', seed: 7, envRead: [] },
      ...{ raw: digester.raw(key), count: 1, head: random.bytes(32) }
    }
    const manifest: ManifestEnvelope = { result, run, blind: random.bytes(32) }
    const sealed = await sealOpening(aead, key, binding, manifest)
    assert.ok(!Buffer.from(sealed).includes('patients'))
    assert.deepEqual(await openOpening(aead, key, binding, sealed), manifest)
    await assert.rejects(openOpening(aead, key, { ...binding, attempt: 2 }, sealed), { code: 'SEAL_BROKEN' })
  })
})
