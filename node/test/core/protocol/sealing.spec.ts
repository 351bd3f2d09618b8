import assert from 'node:assert/strict'
import {
  FRAME_SIZES,
  counterNonce,
  createBundle,
  decodeBundle,
  encodeBundle,
  encodeFrames,
  openBox,
  openBundle,
  padme,
  runKeys,
  sealBox,
  sealBundle,
  toHex,
  type Aead
} from '@pekka/node/protocol'
import { createParties, primitives, printed, sealRun } from '../../support/sealed-run.js'

const { agreement, random } = primitives

describe('sealing', () => {
  it('opens a box only with its KEM key and only at its (network, task, provider, ask)', async () => {
    const p = await createParties()
    const kem = await agreement.generate()
    const binding = { network: p.network, task: p.task, provider: p.provider, ask: random.bytes(32) }
    const box = await sealBox(primitives, p.taskKey, kem.publicKey, binding)
    assert.equal(toHex(await openBox(primitives, box, kem.privateKey, binding, p.commit)), toHex(p.taskKey))
    for (const field of ['network', 'task', 'provider', 'ask'] as const) {
      const elsewhere = { ...binding, [field]: random.bytes(32) }
      await assert.rejects(openBox(primitives, box, kem.privateKey, elsewhere, p.commit), { code: 'SEAL_BROKEN' })
    }
    const other = await agreement.generate()
    await assert.rejects(openBox(primitives, box, other.privateKey, binding, p.commit), { code: 'SEAL_BROKEN' })
  })

  it('refuses a boxed key that is not the one the offer commits to', async () => {
    const p = await createParties()
    const kem = await agreement.generate()
    const binding = { network: p.network, task: p.task, provider: p.provider, ask: random.bytes(32) }
    const box = await sealBox(primitives, random.bytes(32), kem.publicKey, binding)
    await assert.rejects(openBox(primitives, box, kem.privateKey, binding, p.commit), { code: 'BUNDLE_REFUSED' })
  })

  it('gives a resent bundle the same bytes, bound to its task', async () => {
    const p = await createParties()
    const encoded = encodeBundle(
      createBundle({ kind: 'script', file: 'a.py', source: new Uint8Array([1]), args: [] }, 7)
    )
    const first = await sealBundle(primitives.aead, p.taskKey, p, encoded)
    assert.deepEqual(await sealBundle(primitives.aead, p.taskKey, p, encoded), first)
    assert.deepEqual(decodeBundle(await openBundle(primitives.aead, p.taskKey, p, first)).program.kind, 'script')
    await assert.rejects(openBundle(primitives.aead, p.taskKey, { ...p, task: random.bytes(32) }, first), {
      code: 'SEAL_BROKEN'
    })
  })

  it('pads bundles by Padmé, at most 12 % more, and refuses other padding', () => {
    for (let size = 256; size < 1 << 22; size = Math.floor(size * 1.07) + 1) {
      assert.ok(padme(size) >= size && padme(size) <= size * 1.12, `${size} → ${padme(size)}`)
      assert.equal(padme(padme(size)), padme(size))
    }
    const encoded = encodeBundle(
      createBundle({ kind: 'cells', cells: [{ id: 'a', source: '1', tags: [] }], stopOnError: true }, null)
    )
    assert.throws(() => decodeBundle(new Uint8Array([...encoded, 0])), { code: 'BUNDLE_REFUSED' })
    const dirty = encoded.slice()
    dirty[dirty.length - 1] = 1
    assert.throws(() => decodeBundle(dirty), { code: 'BUNDLE_REFUSED' })
  })

  it('pads every frame to one of the published sizes', () => {
    for (const length of [0, 1, 200, 900, 5000, 70_000, 200_000]) {
      for (const frame of encodeFrames({ events: printed('x'.repeat(length)), manifest: null }))
        assert.ok(FRAME_SIZES.includes(frame.length))
    }
  })

  it('never repeats a (key, nonce) pair over attempts, restarted providers and a reloaded client (R5)', async () => {
    const seen = new Set<string>()
    const original: Aead['seal'] = primitives.aead.seal
    const watched: Aead = {
      ...primitives.aead,
      seal: (key, nonce, plaintext, associated) => {
        const pair = `${toHex(key)}/${toHex(nonce)}`
        assert.ok(!seen.has(pair), 'a (key, nonce) pair was used twice')
        seen.add(pair)
        return original(key, nonce, plaintext, associated)
      }
    }
    primitives.aead.seal = watched.seal
    try {
      const p = await createParties()
      await sealRun(p, [printed('a'), printed('b')])
      await sealRun(p, [printed('a'), printed('b')], { run: 2 })
      await sealRun(p, [printed('a')], { attempt: 2 })
      // A provider restored from a copy of its disk would claim the same attempt and run again.
      await sealRun(p, [printed('a')], { attempt: 2 })
    } finally {
      primitives.aead.seal = original
    }
    assert.ok(seen.size >= 9)
  })

  it('derives other keys for every attempt, run and blob', async () => {
    const p = await createParties()
    const pair = await agreement.generate()
    const keys = new Set<string>()
    for (const [attempt, run] of [
      [1, 1],
      [1, 2],
      [2, 1],
      [2, 2]
    ] as const) {
      const derived = await runKeys(agreement, pair.privateKey, p.readPublic, {
        network: p.network,
        task: p.task,
        attempt,
        run
      })
      for (const key of [derived.frame, derived.blob(0), derived.blob(1)]) keys.add(toHex(key))
    }
    assert.equal(keys.size, 12)
    assert.notDeepEqual(counterNonce(1), counterNonce(2))
  })
})
