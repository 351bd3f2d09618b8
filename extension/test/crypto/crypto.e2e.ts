import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { PrimitiveVectors } from '../../../node/test/support/primitives-conformance.js'
import { browserBench } from '../outputs/browser.js'
import type { SignatureVectors } from '../../../node/test/support/signature-cases.js'
import { largeProof } from './large-proof.js'
import type * as Harness from './harness.js'

declare const pkCrypto: typeof Harness

/** Our own files, of the shape that is said. */
const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../docs/vectors/${name}.json`, import.meta.url), 'utf8'))
const vectors = read('primitives') as PrimitiveVectors
const signatures = read('signatures') as SignatureVectors
const proofs = read('proofs') as {
  trust: Harness.PlainTrust
  proofs: { proof: string; facts: { table?: string }[] }[]
  refused: { proof: string }[]
}

describe('crypto: in a real browser', function () {
  this.timeout(60_000)
  const bench = browserBench('../crypto/harness.ts')

  for (const scriptOnly of [false, true]) {
    it(`${scriptOnly ? 'pure JavaScript' : 'WebCrypto'} passes the conformance suite`, async () => {
      const result = await bench.page.evaluate(
        async ([vectors, scriptOnly]) => await pkCrypto.conformance(vectors, scriptOnly),
        [vectors, scriptOnly] as [PrimitiveVectors, boolean]
      )
      assert.deepEqual(result.failed, [])
      assert.ok(result.ran > 50)
      assert.equal(result.found, scriptOnly ? 'false false false' : 'true true true')
    })
  }

  for (const scriptOnly of [false, true]) {
    const how = scriptOnly ? 'pure JavaScript' : 'WebCrypto'
    it(`${how} answers every edge case of signatures as the ledger does`, async () => {
      const differ = await bench.page.evaluate(
        async ([vectors, scriptOnly]) => await pkCrypto.signatures(vectors, scriptOnly),
        [signatures, scriptOnly] as [SignatureVectors, boolean]
      )
      assert.deepEqual(differ, [])
    })
  }

  it('checks what the ledger says from a proof, and finds the bad ones', async () => {
    const check = async (trust: Harness.PlainTrust, encoded: string[]) =>
      await bench.page.evaluate(async ([trust, encoded]) => await pkCrypto.proofs(trust, encoded, false), [
        trust,
        encoded
      ] as [Harness.PlainTrust, string[]])
    const encoded = (list: { proof: string }[]) => list.map(({ proof }) => proof)
    assert.deepEqual(
      (await check(proofs.trust, encoded(proofs.proofs))).shown,
      proofs.proofs.map(({ facts }) => facts.map(({ table }) => table ?? 'transaction').join())
    )
    const { shown } = await check(proofs.trust, encoded(proofs.refused))
    assert.deepEqual(
      shown,
      proofs.refused.map(() => 'PROOF_INVALID')
    )
    const { trust, proof } = await largeProof()
    const large = await check(trust, Array<string>(20).fill(proof))
    assert.deepEqual([...new Set(large.shown)], ['account'])
    console.log(`      21 witnesses, 20,000 rows: ${proof.length / 2} bytes, ${large.shortest.toFixed(1)} ms`)
  })

  it('keeps one non-extractable key per wallet, for all tabs and after a reload', async () => {
    const name = 'wallet-1'
    const first = await bench.page.evaluate(async name => {
      // Two stores stand for two tabs that open at once.
      const [a, b] = await Promise.all([pkCrypto.store(), pkCrypto.store()])
      const [one, two] = await Promise.all([a.keys(name), b.keys(name)])
      const signature = await one.signer.sign(new Uint8Array(3))
      const database = await new Promise<IDBDatabase>(resolve => {
        const request = indexedDB.open('pekka')
        request.onsuccess = () => resolve(request.result)
      })
      const record = await new Promise<{ sign: CryptoKey }>(resolve => {
        const request = database.transaction('keys').objectStore('keys').get(name)
        request.onsuccess = () => resolve(request.result as { sign: CryptoKey })
      })
      const stolen = await crypto.subtle.exportKey('pkcs8', record.sign).then(
        () => 'exported',
        (error: Error) => error.name
      )
      database.close()
      return {
        keys: [one, two].map(({ signer }) => [...signer.publicKey].join()),
        signature: signature.length,
        unreadable: one.unreadable,
        stolen,
        local: Object.keys(localStorage).length
      }
    }, name)
    assert.equal(first.keys[0], first.keys[1])
    assert.deepEqual(
      [first.signature, first.unreadable, first.stolen, first.local],
      [64, true, 'InvalidAccessError', 0]
    )
    const other = await bench.page.context().newPage()
    await other.goto(bench.page.url())
    const again = await other.evaluate(
      async name => [...(await (await pkCrypto.store()).keys(name)).signer.publicKey].join(),
      name
    )
    assert.equal(again, first.keys[0])
    await other.close()
  })

  for (const scriptOnly of [false, true]) {
    it(`derives from the paired view key after a reload${scriptOnly ? ', without WebCrypto too' : ''}`, async () => {
      const name = `wallet-view-${scriptOnly}`
      const derive = async (): Promise<{ key: string; grant: unknown }> =>
        await bench.page.evaluate(
          async ([name, scriptOnly]) => {
            const { view, grant } = await (await pkCrypto.store(scriptOnly)).keys(name)
            const key = await view?.derive(new Uint8Array(0))
            return { key: [...(key ?? [])].map(byte => byte.toString(16).padStart(2, '0')).join(''), grant }
          },
          [name, scriptOnly] as [string, boolean]
        )
      assert.equal((await derive()).key, '')
      await bench.page.evaluate(
        async ([name, scriptOnly]) => {
          await (
            await pkCrypto.store(scriptOnly)
          ).pair(name, { viewSecret: new Uint8Array(22).fill(0x0b), grant: { cap: '5' } })
        },
        [name, scriptOnly] as [string, boolean]
      )
      await bench.page.reload()
      assert.deepEqual(await derive(), { key: vectors.hkdf[0]?.key ?? '?', grant: { cap: '5' } })
    })
  }

  it('lets one tab at a time take the next transaction', async () => {
    const order = await bench.page.evaluate(async () => {
      const [a, b] = [await pkCrypto.store(), await pkCrypto.store()]
      const seen: string[] = []
      const work = async (name: string): Promise<void> => {
        seen.push(`${name} in`)
        await new Promise(resolve => setTimeout(resolve, 20))
        seen.push(`${name} out`)
      }
      await Promise.all([a.exclusive('w', () => work('a')), b.exclusive('w', () => work('b'))])
      return seen
    })
    assert.deepEqual(order, ['a in', 'a out', 'b in', 'b out'])
  })

  it('forgets a wallet', async () => {
    const [before, after] = await bench.page.evaluate(async () => {
      const store = await pkCrypto.store()
      const before = [...(await store.keys('gone')).signer.publicKey].join()
      await store.forget('gone')
      return [before, [...(await store.keys('gone')).signer.publicKey].join()]
    })
    assert.notEqual(before, after)
  })
})
