import assert from 'node:assert/strict'
import { LedgerImageRegistry, listedAsks, type ImageStanding, type ProvenLedger } from '@pekka/node/client'
import { PekkaError, encodeCanonical, toHex, type ImageRef, type ImageRow } from '@pekka/node/protocol'
import { createDevnetGenesis } from '@pekka/node/ledger'

const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const image = (fill: number, name = 'base'): ImageRef => ({ name, digest: bytes(fill) })

const rowOf = (fill: number, state: ImageRow['state'], name = 'base'): ImageRow => {
  const content = { name, contentDigest: bytes(9), locks: [] }
  return {
    digest: bytes(fill),
    state,
    proposals: state === 'proposed' ? [{ content, by: [bytes(1)] }] : [],
    record: state === 'proposed' ? null : { content, by: [bytes(1)], at: 5 },
    against: state === 'retired' ? [{ registrar: bytes(1), reason: 'a wheel was withdrawn' }] : [],
    retired: state === 'retired' ? { reason: 'a wheel was withdrawn', at: 6 } : null
  }
}

/** The registry in front of a ledger that says what a test has it say. */
function world(registers = true) {
  const rows = new Map<string, ImageRow>()
  const seen = { asked: [] as string[][], listed: [] as string[], now: 1_000_000, fails: false, noList: false }
  const put = (row: ImageRow): void => void rows.set(toHex(row.digest), row)
  const genesis = encodeCanonical(
    createDevnetGenesis({
      createdAt: 0,
      nonce: new Uint8Array(16),
      witness: bytes(1),
      demo: { threshold: 1, keys: [bytes(2)] },
      providers: [],
      ...(registers && { images: { threshold: 1, keys: [bytes(3)] } })
    })
  )
  const ledger: Pick<ProvenLedger, 'anchor' | 'images'> = {
    anchor: async () => ({ genesis, images: null, trust: { network: bytes(1), epoch: 0, members: [] } }),
    images: async digests => {
      seen.asked.push(digests.map(toHex))
      if (seen.fails) throw new Error('no answer')
      return digests.map(digest => rows.get(toHex(digest)) ?? null)
    }
  }
  const list = {
    standings: async (images: readonly ImageRef[]): Promise<ImageStanding[]> => {
      if (seen.noList) throw new PekkaError('IMAGE_LIST_INVALID', { issue: 'it shows none' })
      seen.listed.push(...images.map(({ digest }) => toHex(digest)))
      return images.map(({ digest }) => (!registers ? 'open' : digest[0] === 5 ? 'listed' : 'unlisted'))
    }
  }
  const registry = new LedgerImageRegistry({ ledger, clock: { now: () => seen.now }, list })
  return { registry, put, seen, standing: async (one: ImageRef) => (await registry.standings([one]))[0] }
}

describe('the ledger’s registry, as a client reads it', () => {
  it('lists what was approved under its name, whatever the list says, and refuses it under another', async () => {
    const { put, seen, standing } = world()
    put(rowOf(6, 'approved'))
    assert.equal(await standing(image(6)), 'listed')
    assert.equal(await standing(image(6, 'chemistry')), 'unlisted')
    assert.deepEqual(seen.listed, [])
  })

  it('refuses what was retired with its reason, though the list has it still', async () => {
    const { put, standing } = world()
    put(rowOf(5, 'retired'))
    assert.deepEqual(await standing(image(5)), { retired: 'a wheel was withdrawn' })
  })

  it('leaves what it says nothing of, or hasn’t decided, to the list', async () => {
    const { put, standing } = world()
    put(rowOf(7, 'proposed'))
    assert.equal(await standing(image(5)), 'listed')
    assert.equal(await standing(image(7)), 'unlisted')
  })

  it('needs no list for what it has decided, whatever else is offered under the name', async () => {
    const { registry, put, seen, standing } = world()
    seen.noList = true
    put(rowOf(6, 'approved'))
    assert.deepEqual(await registry.standings([image(8), image(6)]), ['unlisted', 'listed'])
    await assert.rejects(standing(image(8)), { code: 'IMAGE_LIST_INVALID' })
  })

  it('is asked for no proof where the genesis names no registrars', async () => {
    const { seen, standing } = world(false)
    assert.equal(await standing(image(5)), 'open')
    assert.deepEqual(seen.asked, [])
  })

  it('asks for many digests at once, for each once, and again after a while beside', async () => {
    const { registry, put, seen } = world()
    put(rowOf(6, 'approved'))
    const all = [image(6), image(5), image(6), image(7)]
    assert.deepEqual(await registry.standings(all), ['listed', 'listed', 'listed', 'unlisted'])
    assert.deepEqual(seen.asked, [[image(6), image(5), image(7)].map(({ digest }) => toHex(digest))])
    await registry.standings(all)
    assert.equal(seen.asked.length, 1)
    seen.now += 2 * 60_000
    put(rowOf(6, 'retired'))
    assert.equal((await registry.standings([image(6)]))[0], 'listed', 'a click doesn’t wait')
    assert.equal(seen.asked.length, 2)
    assert.deepEqual((await registry.standings([image(6)]))[0], { retired: 'a wheel was withdrawn' })
  })

  it('is asked before anything is sent once what it said is old, and its silence is no consent', async () => {
    const { put, seen, standing } = world()
    put(rowOf(6, 'approved'))
    assert.equal(await standing(image(6)), 'listed')
    seen.fails = true
    seen.now += 11 * 60_000
    await assert.rejects(standing(image(6)), /no answer/)
    seen.fails = false
    put(rowOf(6, 'retired'))
    assert.deepEqual(await standing(image(6)), { retired: 'a wheel was withdrawn' })
  })

  it('has an offer made to the machines that are left, and says why where none is', async () => {
    const { registry, put } = world()
    put(rowOf(5, 'retired'))
    put(rowOf(6, 'approved'))
    const ask = (one: ImageRef) => ({ ask: { image: one } }) as Parameters<typeof listedAsks>[1][number]
    const [old, good, other] = [ask(image(5)), ask(image(6)), ask(image(8, 'chemistry'))]
    assert.deepEqual(await listedAsks(registry, [old, good, other], 'base'), [good, other])
    await assert.rejects(listedAsks(registry, [old, other], 'base'), {
      code: 'IMAGE_RETIRED',
      message: /withdrawn by this network: a wheel was withdrawn/
    })
  })
})
