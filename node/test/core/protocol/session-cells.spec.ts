import assert from 'node:assert/strict'
import {
  CellChain,
  createBundle,
  decodeBundle,
  encodeBundle,
  openCell,
  sealCell,
  sessionCellSchema,
  signCell,
  toHex,
  type CellPlace,
  type Signer
} from '@pekka/node/protocol'
import { createSigner } from '@pekka/node/host/crypto'
import { createParties, primitives } from '../../support/sealed-run.js'

const { agreement, random, verifier } = primitives

async function open() {
  const { network, task } = await createParties()
  const run = await agreement.generate()
  const client = createSigner(random.bytes(32))
  const binding = { network, task, attempt: 1, run: 1 }
  const chain = new CellChain(binding, client.publicKey, verifier)
  const make = async (place: CellPlace, signer: Signer = client) =>
    await signCell(place, await sealCell(primitives, run.publicKey, place, random.bytes(64)), signer)
  return { binding, run, client, chain, make }
}

describe('protocol: later cells of a session (R33)', () => {
  it('are opened by the run they are sealed to, and only in their place', async () => {
    const { run, chain } = await open()
    const program = { kind: 'cells' as const, cells: [{ id: 'a', source: 'x', tags: [] }], stopOnError: true }
    const encoded = encodeBundle(createBundle(program, 7))
    const place = { ...chain.next, index: 2, previous: random.bytes(32) }
    const sealed = await sealCell(primitives, run.publicKey, place, encoded)
    assert.deepEqual(decodeBundle(await openCell(primitives, run.privateKey, place, sealed)).program, program)
    const elsewhere: Partial<CellPlace>[] = [
      { network: random.bytes(32) },
      { task: random.bytes(32) },
      { attempt: 2 },
      { run: 2 },
      { index: 3 },
      { previous: random.bytes(32) }
    ]
    for (const change of elsewhere) {
      await assert.rejects(openCell(primitives, run.privateKey, { ...place, ...change }, sealed), {
        code: 'SEAL_BROKEN'
      })
    }
    const other = await agreement.generate()
    await assert.rejects(openCell(primitives, other.privateKey, place, sealed), { code: 'SEAL_BROKEN' })
    await assert.rejects(openCell(primitives, run.privateKey, place, sealed.slice(0, 32)), { code: 'SEAL_BROKEN' })
  })

  it('are sealed under a key of their own each time, also in the same place', async () => {
    const { run, chain } = await open()
    const seal = () => sealCell(primitives, run.publicKey, chain.next, new Uint8Array(64))
    const [one, two] = [await seal(), await seal()]
    assert.notEqual(toHex(one.slice(0, 32)), toHex(two.slice(0, 32)))
    assert.notEqual(toHex(one.slice(32)), toHex(two.slice(32)))
  })

  it('follow one another; one that comes again changes nothing', async () => {
    const { chain, make } = await open()
    assert.deepEqual(chain.state, { count: 0, head: null })
    const first = await make(chain.next)
    assert.equal(await chain.add(first), true)
    const { head } = chain.state
    assert.equal(await chain.add(first), false)
    assert.deepEqual(chain.state, { count: 1, head })
    const second = await make(chain.next)
    assert.equal(toHex(second.previous ?? new Uint8Array()), toHex(head ?? new Uint8Array()))
    await chain.add(second)
    assert.equal(await chain.add(first), false, 'an older one again')
    assert.equal(chain.state.count, 2)
  })

  it('are refused from others, in another place, after a gap, or where one stands already', async () => {
    const { chain, make, binding } = await open()
    const first = await make(chain.next)
    const refused = async (cell: Promise<Parameters<typeof chain.add>[0]>, issue: RegExp) => {
      const before = chain.state
      await assert.rejects(chain.add(await cell), { code: 'CELL_REFUSED', message: issue })
      assert.deepEqual(chain.state, before)
    }
    await refused(make({ ...chain.next, task: random.bytes(32) }), /another session/)
    await refused(make({ ...chain.next, attempt: 2 }), /another session/)
    await refused(make({ ...chain.next, run: 2 }), /another session/)
    await refused(make({ ...chain.next, network: random.bytes(32) }), /signature/)
    await refused(make(chain.next, createSigner(random.bytes(32))), /another key/)
    await refused(Promise.resolve({ ...first, hash: random.bytes(32) }), /signature/)
    await refused(make({ ...binding, index: 2, previous: random.bytes(32) }), /missing/)
    await refused(make({ ...binding, index: 1, previous: random.bytes(32) }), /follows another/)
    const twin = make(chain.next)
    await chain.add(first)
    await refused(twin, /stands in its place/)
    await refused(make({ ...binding, index: 2, previous: random.bytes(32) }), /follows another/)
  })

  it('two at once for one place: one of them counts', async () => {
    const { chain, make } = await open()
    const place = chain.next
    const both = await Promise.allSettled([chain.add(await make(place)), chain.add(await make(place))])
    assert.deepEqual(both.map(({ status }) => status).sort(), ['fulfilled', 'rejected'])
    assert.equal(chain.state.count, 1)
  })

  it('say whether they are the first', async () => {
    const { chain, make } = await open()
    const first = await make(chain.next)
    assert.equal(sessionCellSchema.safeParse(first).success, true)
    assert.equal(sessionCellSchema.safeParse({ ...first, previous: random.bytes(32) }).success, false)
    assert.equal(sessionCellSchema.safeParse({ ...first, index: 2 }).success, false)
  })
})
