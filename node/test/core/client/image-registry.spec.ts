import assert from 'node:assert/strict'
import { Http, PekkaClient, ProvenLedger, SignedImageRegistry, imageSignersOf } from '@pekka/node/client'
import {
  encodeCanonical,
  encodeCbor,
  networkId,
  signImageList,
  type Genesis,
  type ImageList,
  type ImageRef,
  type Signer
} from '@pekka/node/protocol'
import { createDevnetGenesis } from '@pekka/node/ledger'
import { createPrimitives, createSigner, createVerifier } from '@pekka/node/host/crypto'
import { askView } from '../../support/asks.js'

const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const owner = createSigner(bytes(41))
const second = createSigner(bytes(42))
const third = createSigner(bytes(43))
const stranger = createSigner(bytes(44))
const base: ImageRef = { name: 'base', digest: bytes(5) }
const forged: ImageRef = { name: 'base', digest: bytes(6) }
const newer: ImageRef = { name: 'base', digest: bytes(7) }

/** A genesis whose asks no proof shows (two witnesses), so that these tests are of images alone. */
function genesisOf(images: Genesis['images']): Genesis {
  const devnet = createDevnetGenesis({
    createdAt: 0,
    nonce: new Uint8Array(16),
    witness: bytes(1),
    demo: { threshold: 1, keys: [bytes(2)] },
    providers: [],
    ...(images !== undefined && { images })
  })
  return { ...devnet, witnesses: [...devnet.witnesses, { key: bytes(3), stake: 1n }] }
}

/** A bridge that shows what a test has it show, and a client's view of it. */
function openBridge(images: Genesis['images'] | null = { threshold: 1, keys: [owner.publicKey] }) {
  const genesis = genesisOf(images ?? undefined)
  const network = networkId(genesis)
  const shown = {
    genesis: encodeCanonical(genesis),
    images: undefined as Uint8Array | undefined,
    asks: [] as unknown[]
  }
  const world = { now: 1_000_000, asked: 0 }
  const list = (madeAt: number, listed: ImageRef[], of = network): ImageList => ({
    kind: 'pekka/image-list',
    v: 1,
    network: of,
    madeAt,
    images: listed
  })
  const fetch = async (url: string) => {
    const common = { network, bridge: bytes(9), name: 'b', addresses: [], witnesses: [], genesis: shown.genesis }
    const isNetwork = url === '/v1/network'
    if (isNetwork) world.asked++
    const body = encodeCbor(
      isNetwork ? { ...common, ...(shown.images && { images: shown.images }) } : { asks: shown.asks }
    )
    return { status: 200, headers: { get: () => null }, arrayBuffer: async () => body.slice().buffer }
  }
  const clock = { now: () => world.now }
  const verifier = createVerifier()
  const ledger = new ProvenLedger({ http: new Http({ fetch }, { base: '' }), verifier, token: async () => '' }, network)
  const registry = new SignedImageRegistry({ verifier, clock, network: fresh => ledger.anchor(fresh) }, network)
  const sign = async (content: ImageList, ...signers: Signer[]): Promise<void> => {
    shown.images = await signImageList(content, signers)
  }
  return { genesis, network, shown, world, list, sign, registry, ledger, fetch, clock }
}

const invalid = (issue: RegExp) => ({ code: 'IMAGE_LIST_INVALID', message: issue })

describe('the list of a network’s images', () => {
  it('lets a digest stand for a name where whom the genesis names has signed it, and none beside it', async () => {
    const { list, sign, registry } = openBridge()
    await sign(list(1, [base]), owner)
    assert.equal(await registry.standing(base), 'listed')
    assert.equal(await registry.standing(forged), 'unlisted')
    assert.equal(await registry.standing({ name: 'chemistry', digest: base.digest }), 'unlisted')
  })

  it('needs as many signatures as the genesis says', async () => {
    const { list, sign, registry } = openBridge({
      threshold: 2,
      keys: [owner.publicKey, second.publicKey, third.publicKey]
    })
    await sign(list(1, [base]), owner)
    await assert.rejects(registry.standing(base), invalid(/too few/))
    await sign(list(1, [base]), owner, owner)
    await assert.rejects(registry.standing(base), invalid(/twice/))
    await sign(list(1, [base]), third, owner)
    assert.equal(await registry.standing(base), 'listed')
  })

  for (const [what, lie, issue] of [
    ['one that a stranger signed', b => b.sign(b.list(1, [forged]), stranger), /another key/],
    ['one that a stranger signed too', b => b.sign(b.list(1, [forged]), owner, stranger), /another key/],
    ['that of another network', b => b.sign(b.list(1, [forged], bytes(8)), owner), /another network/],
    [
      'one with an image put in',
      async b => {
        await b.sign(b.list(1, [base]), owner)
        const at = Buffer.from(b.shown.images ?? []).indexOf(Buffer.from(base.digest))
        b.shown.images?.set(forged.digest, at)
      },
      /signature does not hold/
    ],
    ['bytes that are none', async b => void (b.shown.images = bytes(1)), /wrong shape/],
    ['none at all', async b => void (b.shown.images = undefined), /shows none/]
  ] satisfies [string, (bridge: ReturnType<typeof openBridge>) => Promise<void>, RegExp][]) {
    it(`refuses ${what}`, async () => {
      const bridge = openBridge()
      await lie(bridge)
      await assert.rejects(bridge.registry.standing(base), invalid(issue))
      // What is shown right afterwards is taken.
      await bridge.sign(bridge.list(1, [base]), owner)
      assert.equal(await bridge.registry.standing(base), 'listed')
    })
  }

  it('can’t be got round by a genesis that names others, or nobody', async () => {
    for (const images of [{ threshold: 1, keys: [stranger.publicKey] }, undefined]) {
      const { shown, list, sign, registry } = openBridge()
      shown.genesis = encodeCanonical(genesisOf(images))
      await sign(list(1, [forged]), stranger)
      await assert.rejects(registry.standing(forged), { code: 'PROOF_INVALID' })
    }
  })

  it('is asked for again where a digest is new, and never taken back to an older one', async () => {
    const { list, sign, registry, world } = openBridge()
    await sign(list(10, [base]), owner)
    assert.equal(await registry.standing(base), 'listed')
    assert.equal(await registry.standing(newer), 'unlisted')
    assert.equal(world.asked, 2)
    await sign(list(20, [base, newer]), owner)
    assert.equal(await registry.standing(newer), 'unlisted', 'just read')
    assert.equal(world.asked, 2)
    world.now += 60_000
    assert.equal(await registry.standing(newer), 'listed')
    assert.equal(world.asked, 3)
    await sign(list(10, [base, forged]), owner)
    world.now += 60_000
    await assert.rejects(registry.standing(forged), invalid(/older/))
  })

  it('is asked for anew at once where the client had it from before: nobody knows how old that is', async () => {
    const { list, sign, registry, world, ledger } = openBridge()
    await sign(list(10, [base]), owner)
    await ledger.anchor()
    await sign(list(20, [base, newer]), owner)
    assert.equal(await registry.standing(newer), 'listed')
    assert.equal(world.asked, 2)
  })

  it('is asked of nobody where the genesis names nobody: every image passes', async () => {
    const { registry, shown } = openBridge(null)
    assert.equal(imageSignersOf(shown.genesis), undefined)
    assert.equal(await registry.standing(forged), 'open')
  })
})

describe('a client in front of machines that lie about their image', () => {
  const primitives = createPrimitives()

  /** A machine's ask as a bridge shows it, signed by its agent. */
  const askOf = (network: Uint8Array, machine: number, image: ImageRef, pricePerSecond: bigint) =>
    askView({
      network,
      provider: bytes(machine + 100),
      name: `m${machine}`,
      agent: createSigner(bytes(machine)),
      expiry: 9_000_000,
      change: {
        ask: bytes(machine + 50),
        image,
        pricePerSecond,
        resources: { milliCpus: 4000, memoryBytes: 16 * 2 ** 30, diskBytes: 16 * 2 ** 30, gpu: null }
      }
    })

  async function clientOf(bridge: ReturnType<typeof openBridge>): Promise<PekkaClient> {
    const { network, fetch, clock } = bridge
    const live = () => {
      throw new Error('nothing is followed here')
    }
    const identity = { network, account: bytes(2), bridge: bytes(9), signer: owner, viewKey: undefined as never }
    return new PekkaClient({ fetch, live, primitives, clock }, { base: '', identity })
  }

  it('takes the dearer one that is what the list says, and seals nothing for the other', async () => {
    const bridge = openBridge()
    await bridge.sign(bridge.list(1, [base]), owner)
    bridge.shown.asks = [await askOf(bridge.network, 11, forged, 1n), await askOf(bridge.network, 12, base, 900n)]
    const quote = await (await clientOf(bridge)).quote({ image: 'base' })
    assert.deepEqual(
      quote.candidates.map(({ provider }) => provider.name),
      ['m12']
    )
    assert.equal(quote.matching, 1)
  })

  it('ends with a plain sentence where there is no other', async () => {
    const bridge = openBridge()
    await bridge.sign(bridge.list(1, [base]), owner)
    bridge.shown.asks = [await askOf(bridge.network, 11, forged, 1n)]
    await assert.rejects((await clientOf(bridge)).quote({ image: 'base' }), {
      code: 'IMAGE_UNLISTED',
      message: /offer as "base" is not what this network lists/
    })
    // One that nobody offers at all is another matter.
    await assert.rejects((await clientOf(bridge)).quote({ image: 'biology' }), { code: 'IMAGE_UNKNOWN' })
  })

  it('takes what is offered on a network that lists no images', async () => {
    const bridge = openBridge(null)
    bridge.shown.asks = [await askOf(bridge.network, 11, forged, 1n)]
    assert.equal((await (await clientOf(bridge)).quote({ image: 'base' })).matching, 1)
  })
})
