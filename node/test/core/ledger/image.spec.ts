import assert from 'node:assert/strict'
import fc from 'fast-check'
import { accountId, encodeCanonical, toHex, type Body, type ImageContent, type Policy } from '@pekka/node/protocol'
import { genesisState, registeredImages } from '@pekka/node/ledger'
import { auctionOf } from './auction-support.js'
import {
  askOf,
  bytes,
  Chain,
  delegateOf,
  dump,
  grantOf,
  IMAGE,
  offerOf,
  openMarket,
  owner,
  policyOf
} from './support.js'

const KEYS = [bytes(11), bytes(12), bytes(13)]
const IMAGES: Policy = { threshold: 2, keys: KEYS }
const [a, b, c] = [owner(policyOf(11)), owner(policyOf(12)), owner(policyOf(13))]
const stranger = owner(policyOf(1))

const CONTENT: ImageContent = { name: 'base', contentDigest: bytes(201), locks: [bytes(70), bytes(71)] }
const OTHER: ImageContent = { ...CONTENT, contentDigest: bytes(99) }
const { digest } = IMAGE

const propose = (content = CONTENT, of = digest): Body => ({ kind: 'image-propose', digest: of, content })
const approve = (content = CONTENT, of = digest): Body => ({ kind: 'image-approve', digest: of, content })
const retire = (reason = 'a wheel in it was withdrawn', of = digest): Body => ({
  kind: 'image-retire',
  digest: of,
  reason
})

const registry = (images: Policy = IMAGES): Chain =>
  new Chain({ policies: [policyOf(1), ...KEYS.map(key => ({ threshold: 1, keys: [key] }))], images })

const rowOf = (chain: Chain, of = digest) => {
  const row = chain.state.get('image', toHex(of))
  assert.ok(row)
  return row
}

describe('ledger: registry of images', () => {
  it('approves what as many registrars have named as the genesis says, and tells who', () => {
    const chain = registry()
    chain.done(a, propose())
    assert.deepEqual([rowOf(chain).state, rowOf(chain).record], ['proposed', null])
    chain.done(a, approve())
    assert.equal(rowOf(chain).state, 'proposed', 'nobody counts twice')
    chain.done(b, approve())
    const { state, record } = rowOf(chain)
    assert.equal(state, 'approved')
    assert.deepEqual(record, { content: CONTENT, by: [a.account, b.account], at: chain.timestamp })
    chain.fails(c, approve(), 'OBJECT_EXISTS')
    chain.fails(c, propose(OTHER), 'OBJECT_EXISTS')
  })

  it('approves at once where one registrar suffices', () => {
    const chain = registry({ threshold: 1, keys: [bytes(11)] })
    chain.done(a, propose())
    assert.equal(rowOf(chain).state, 'approved')
  })

  it('counts only those who named the very same content', () => {
    const chain = registry()
    chain.done(a, propose())
    chain.done(b, propose(OTHER))
    assert.equal(rowOf(chain).state, 'proposed')
    chain.fails(c, approve({ ...CONTENT, locks: [] }), 'NOT_ON_LEDGER')
    chain.done(c, approve(OTHER))
    assert.deepEqual(rowOf(chain).record?.content, OTHER)
  })

  it('lets a registrar change its mind until it is decided, and forgets what nobody stands by', () => {
    const chain = registry()
    chain.done(a, propose())
    chain.done(a, propose(OTHER))
    assert.deepEqual(
      rowOf(chain).proposals.map(({ content }) => content),
      [OTHER]
    )
    chain.fails(b, approve(), 'NOT_ON_LEDGER')
  })

  it('is closed to everybody else, delegates of registrars too, and where the genesis names nobody', () => {
    const chain = registry()
    chain.fails(stranger, propose(), 'BODY_NOT_ALLOWED')
    chain.done(a, propose())
    chain.fails(stranger, approve(), 'BODY_NOT_ALLOWED')
    chain.fails(stranger, retire(), 'BODY_NOT_ALLOWED')
    chain.fails(a, grantOf(bytes(5), ['image-propose']), 'BODY_NOT_ALLOWED')
    chain.done(a, grantOf(bytes(5), ['cancel']))
    chain.refuses(delegateOf(a.account, bytes(5)), propose(), 'BODY_NOT_ALLOWED')
    const none = new Chain({ policies: [policyOf(11)] })
    none.fails(a, propose(), 'BODY_NOT_YET')
    assert.throws(() => registry({ threshold: 2, keys: [bytes(11), bytes(11)] }), { code: 'TRANSACTION_INVALID' })
  })

  it('knows a registrar by its account, whose keys may rotate', () => {
    const chain = registry()
    chain.done(a, { kind: 'set-policy', policy: policyOf(41) })
    chain.refuses(a, propose(), 'SIGNATURE_INVALID')
    chain.done({ ...a, signers: [bytes(41)] }, propose())
    const lent = accountId({ threshold: 1, keys: [bytes(41)] })
    assert.ok(!rowOf(chain).proposals.some(({ by }) => by.some(id => toHex(id) === toHex(lent))))
  })

  it('retires for good when as many say so, with the reason of who decided it', () => {
    const chain = registry()
    chain.done(a, propose())
    chain.done(b, approve())
    chain.done(a, retire('first'))
    chain.done(a, retire('again'))
    assert.equal(rowOf(chain).state, 'approved')
    chain.done(c, retire('a wheel in it was withdrawn'))
    const { state, retired, record } = rowOf(chain)
    assert.equal(state, 'retired')
    assert.deepEqual(retired, { reason: 'a wheel in it was withdrawn', at: chain.timestamp })
    assert.deepEqual(record?.content, CONTENT, 'what it was stays known')
    for (const body of [propose(), approve(), retire()]) chain.fails(b, body, 'IMAGE_RETIRED')
    chain.fails(a, retire('nobody knows it', bytes(98)), 'NOT_ON_LEDGER')
  })

  it('bounds what one registrar may leave undecided', () => {
    const chain = registry()
    chain.checking = false
    const digestOf = (n: number) => new Uint8Array(32).fill(n)
    for (let n = 0; n < 64; n++) chain.done(a, propose(CONTENT, digestOf(n)))
    chain.fails(a, propose(CONTENT, digestOf(64)), 'LIMIT_EXCEEDED')
    chain.done(b, approve(CONTENT, digestOf(0)))
    chain.done(a, propose(CONTENT, digestOf(64)))
  })

  describe('an image that was retired', () => {
    const market = () => {
      const made = openMarket(1, undefined, true, { threshold: 1, keys: [bytes(1)] })
      made.chain.done(made.owner, propose())
      return made
    }

    it('is named by no new price, offer or auction; what runs goes on', () => {
      const { chain, client, owner: own, providers } = market()
      const [first] = providers
      assert.ok(first)
      const running = offerOf(client.account, providers)
      chain.done(client, { kind: 'offer', tasks: [running] })
      chain.done(own, retire())
      chain.fails(client, { kind: 'offer', tasks: [offerOf(client.account, providers)] }, 'IMAGE_RETIRED')
      chain.fails(first.agent, { kind: 'ask', ask: askOf(first.provider, 77) }, 'IMAGE_RETIRED')
      const { terms } = auctionOf(chain.network, client.account)
      chain.fails(client, { kind: 'auction-open', terms }, 'IMAGE_RETIRED')
      chain.done(first.agent, { kind: 'accept', task: running.task })
      assert.equal(chain.view(running.task).state, 'running')
    })

    it('takes nothing from another version of the same name', () => {
      const { chain, owner: own, providers } = market()
      const [first] = providers
      assert.ok(first)
      chain.done(own, retire())
      const image = { name: 'base', digest: bytes(97) }
      chain.done(first.agent, { kind: 'ask', ask: askOf(first.provider, 78, { image }) })
    })
  })

  it('walks of registrars and strangers: invariants hold, decisions are final, a replay gives the same rows', () => {
    const digests = [bytes(200), bytes(97)]
    const actors = [a, b, c, stranger]
    const pick = <T>(list: readonly T[], at: number): T => list[at % list.length] as T
    const move = fc.record({
      who: fc.nat(3),
      what: fc.nat(2),
      on: fc.nat(1),
      content: fc.nat(1),
      together: fc.boolean()
    })
    const seen = new Set<string>()
    fc.assert(
      fc.property(fc.array(move, { minLength: 5, maxLength: 30 }), moves => {
        const chain = registry()
        for (const { who, what, on, content, together } of moves) {
          const before = registeredImages(chain.state)
          const [of, says] = [pick(digests, on), pick([CONTENT, OTHER], content)]
          const body = pick([propose(says, of), approve(says, of), retire('because', of)], what)
          chain.queue(pick(actors, who), body)
          if (!together) chain.commit()
          for (const row of before.filter(({ state }) => state !== 'proposed')) {
            const now = rowOf(chain, row.digest)
            assert.deepEqual(now.record, row.record, 'what was approved stays')
            if (row.retired !== null) assert.deepEqual(now, row, 'what was retired stays')
          }
        }
        chain.commit()
        for (const { state } of registeredImages(chain.state)) seen.add(state)
        const again = genesisState(chain.genesis)
        for (const { writes } of chain.results) again.write(writes)
        assert.deepEqual(dump(again), dump(chain.state))
        for (const row of registeredImages(again)) assert.ok(encodeCanonical(row).length < 8_192, 'a row is provable')
      }),
      { numRuns: 60, seed: 9 }
    )
    assert.deepEqual([...seen].sort(), ['approved', 'proposed', 'retired'])
  })
})
