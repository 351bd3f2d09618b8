import assert from 'node:assert/strict'
import { cp, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  Http,
  OwnerAccount,
  ProvenLedger,
  joinSigned,
  readTransactionFile,
  writeTransactionFile,
  type Acted,
  type FetchLike,
  type PartlySigned
} from '@pekka/node/client'
import { AccountKeys, Wallet, openVault, type AccountKeysComponents, type Vault } from '@pekka/node/agents/wallet'
import { createPrimitives, createSigner, random, systemClock } from '@pekka/node/host/crypto'
import {
  CREDIT,
  PekkaError,
  accountId,
  accountViewSchema,
  decodeCbor,
  encodeCbor,
  equalBytes,
  toHex,
  type Body,
  type Policy,
  type Signer
} from '@pekka/node/protocol'
import { World, cell } from '../support/world.js'

const primitives = createPrimitives()
const { verifier } = primitives
const live = () => {
  throw new Error('nothing is followed here')
}

interface Person {
  home: string
  vault: Vault
  wallet: Wallet
}

/** A bridge that says of every account that its policy is another one. */
const telling =
  (other: (policy: Policy) => Policy): FetchLike =>
  async (url, init) => {
    const response = await fetch(url, init)
    if (!/\/v1\/accounts\/[0-9a-f]{64}$/.test(url) || response.status !== 200) return response
    const view = accountViewSchema.parse(decodeCbor(new Uint8Array(await response.arrayBuffer())))
    return new Response(new Uint8Array(encodeCbor({ ...view, policy: other(view.policy) })))
  }

/** A bridge that says of every transaction that another one came first. `passes`: it does so only after it carried it out. */
function denying(passes: boolean, times = Infinity): FetchLike {
  let denied = 0
  return async (url, init) => {
    if (!url.endsWith('/v1/transactions') || ++denied > times) return await fetch(url, init)
    if (passes) await fetch(url, init)
    const denial = new PekkaError('LANE_SEQUENCE', { expected: 0 })
    return new Response(JSON.stringify(denial.toProblem()), { status: denial.status })
  }
}

/** What others must sign, as they get it: through a file. */
function partial(acted: Acted): PartlySigned {
  assert.equal(acted.status, 'partial')
  return readTransactionFile(writeTransactionFile(acted))
}

describe('the owner’s side of an account, through the bridge', function () {
  this.timeout(60_000)
  const registrars = [1, 2, 3].map(() => createSigner(random.bytes(32)))
  const homes: string[] = []
  const wallets: Wallet[] = []
  let world: World

  before(async () => {
    world = await World.start({ images: { threshold: 2, keys: registrars.map(({ publicKey }) => publicKey) } })
  })
  after(async () => {
    for (const wallet of wallets) wallet.close()
    await world.stop()
    await Promise.all(homes.map(home => rm(home, { recursive: true, force: true })))
  })

  /** A wallet on a disk; `of`: a copy of another one's. */
  async function person(of?: Person): Promise<Person> {
    const home = await mkdtemp(join(tmpdir(), 'pekka-owner-'))
    homes.push(home)
    if (of !== undefined) await cp(of.home, home, { recursive: true })
    return await opened(home)
  }

  async function opened(home: string, through: FetchLike = fetch): Promise<Person> {
    const vault = await openVault(home, random)
    const components = { vault, fetch: through, live, primitives, clock: systemClock }
    const wallet = new Wallet(components, { bridges: [world.at.url] })
    wallets.push(wallet)
    return { home, vault, wallet }
  }

  const idOf = async ({ wallet }: Person): Promise<Uint8Array> => (await wallet.owner()).view.account
  const balance = async ({ wallet }: Person): Promise<bigint> => (await wallet.owner()).view.balance
  const pay = (to: Uint8Array, amount = CREDIT): Body => ({ kind: 'transfer', to, amount })

  it('opens itself, pays, and shows what it has by proof', async () => {
    const [a, b] = [await person(), await person()]
    await a.wallet.draw(10n * CREDIT)
    const acted = await a.wallet.act(pay(await idOf(b), 3n * CREDIT))
    assert.equal(acted.status, 'applied')
    assert.deepEqual([await balance(a), await balance(b)], [7n * CREDIT, 3n * CREDIT])
    const { row, view, key } = await a.wallet.owner()
    assert.equal(row?.balance, 7n * CREDIT)
    assert.ok(equalBytes(view.policy.keys[0] ?? key, key))
    await assert.rejects(a.wallet.act(pay(await idOf(b), 100n * CREDIT)), {
      code: 'FUNDS_MISSING',
      message: /You have 7\S* credits, this needs 100\S* credits/
    })
  })

  it('rotates its key: the account stays, delegates too, and who copied the old wallet can do nothing', async () => {
    const [a, b] = [await person(), await person()]
    await a.wallet.draw(10n * CREDIT)
    const page = createSigner(random.bytes(32))
    const { account } = await a.wallet.grant(page.publicKey)
    const thief = await person(a)
    await idOf(thief)
    const acted = await a.wallet.rotate()
    assert.equal(acted.status, 'applied')
    assert.ok(equalBytes(await idOf(a), account))
    await assert.rejects(thief.wallet.act(pay(await idOf(b))), { code: 'KEY_NOT_OWNER' })
    await a.wallet.act(pay(await idOf(b)))
    const again = await opened(a.home)
    await again.wallet.act(pay(await idOf(b)))
    assert.equal(await balance(b), 2n * CREDIT)
    const { view } = await again.wallet.owner()
    assert.ok(view.lanes.some(({ key, delegate }) => delegate !== null && equalBytes(key ?? account, page.publicKey)))
    assert.ok(equalBytes((await again.wallet.grant(page.publicKey)).account, account))
  })

  it('rotates only its own key, whatever keys a bridge says that the account has', async () => {
    const { home, wallet } = await person()
    await wallet.draw(CREDIT)
    const greedy = random.bytes(32)
    const a = await opened(
      home,
      telling(policy => ({ threshold: 1, keys: [...policy.keys, greedy] }))
    )
    const old = a.vault.owner.publicKey
    assert.equal((await a.wallet.rotate()).status, 'applied')
    const { row } = await a.wallet.owner()
    assert.ok(!equalBytes(a.vault.owner.publicKey, old))
    assert.deepEqual(row?.policy, { threshold: 1, keys: [a.vault.owner.publicKey] })
  })

  it('rotates nothing by a proof from before one that it has seen, from another connection too', async () => {
    const a = await person()
    await a.wallet.draw(CREDIT)
    let first: Uint8Array<ArrayBuffer> | null = null
    let replays = false
    const replaying: FetchLike = async (url, init) => {
      if (!url.includes('/ledger-proof')) return await fetch(url, init)
      const answer = new Uint8Array(await (await fetch(url, init)).arrayBuffer())
      first ??= answer
      return new Response(replays ? first : answer)
    }
    const cheated = await opened(a.home, replaying)
    await cheated.wallet.owner()
    await cheated.wallet.draw(CREDIT)
    await cheated.wallet.owner()
    cheated.wallet.close()
    replays = true
    await assert.rejects(cheated.wallet.rotate(), { code: 'PROOF_INVALID' })
    assert.equal(cheated.vault.nextOn(world.network), null)
    await a.wallet.draw(CREDIT)
  })

  it('rotates nothing by a proof from before a key was removed, after a new start too', async () => {
    const a = await person()
    await a.wallet.draw(CREDIT)
    const policy = policyOf(a.vault.owner, createSigner(random.bytes(32)))
    await a.wallet.act({ kind: 'set-policy', policy })
    let first: Uint8Array<ArrayBuffer> | null = null
    const replaying: FetchLike = async (url, init) => {
      if (!url.includes('/ledger-proof')) return await fetch(url, init)
      return new Response((first ??= new Uint8Array(await (await fetch(url, init)).arrayBuffer())))
    }
    const cheated = await opened(a.home, replaying)
    assert.deepEqual((await cheated.wallet.owner()).row?.policy, policy)
    await a.wallet.act({ kind: 'set-policy', policy: policyOf(a.vault.owner) })
    const again = await opened(a.home, replaying)
    await assert.rejects(again.wallet.rotate(), { code: 'PROOF_INVALID', message: /older than what was shown before/ })
    assert.equal(again.vault.nextOn(world.network), null)
    assert.equal((await (await opened(a.home)).wallet.rotate()).status, 'applied')
  })

  it('takes new keys for set by the proof of its own transaction alone, not by a bridge’s word or another’s proof', async () => {
    /** A bridge that hands on no change of keys, calls it done, by the name of `other`, and proves that other, or nothing at all. */
    const withholding =
      (other: Uint8Array, proves: boolean): FetchLike =>
      async (url, init) => {
        if (url.endsWith('/v1/transactions'))
          return new Response(new Uint8Array(encodeCbor({ status: 'applied', id: other, index: 1, timestamp: 0 })))
        if (!proves && url.includes('/ledger-proof')) return new Response(new Uint8Array(encodeCbor({ proof: null })))
        return await fetch(url, init)
      }
    const cheat = async (proves: boolean): Promise<void> => {
      const [a, b] = [await person(), await person()]
      await a.wallet.draw(CREDIT)
      const paid = await a.wallet.act(pay(await idOf(b), 1n))
      assert.equal(paid.status, 'applied')
      const { row } = await a.wallet.owner()
      const cheated = await opened(a.home, withholding(paid.id, proves))
      const policy = policyOf(a.vault.owner, createSigner(random.bytes(32)))
      await assert.rejects(cheated.wallet.act({ kind: 'set-policy', policy }), { code: 'KEYS_UNPROVEN' })
      assert.deepEqual((await a.wallet.owner()).row?.policy, row?.policy)
    }
    await Promise.all([cheat(true), cheat(false)])
  })

  it('takes new keys for set though its own is none of them, or another owner has changed them again', async () => {
    const [a, b] = [await person(), await person()]
    const account = await idOf(a)
    const [mine, theirs] = [a.vault.owner, b.vault.owner]
    await a.wallet.act({ kind: 'set-policy', policy: policyOf(mine, theirs) })
    const last = policyOf(theirs, mine)
    const overtaken = await opened(a.home, async (url, init) => {
      const response = await fetch(url, init)
      if (url.endsWith('/v1/transactions')) {
        const acted = await ownerOf(account, theirs).act({ kind: 'set-policy', policy: last })
        assert.equal(acted.status, 'applied')
      }
      return response
    })
    const policy = policyOf(mine, theirs, createSigner(random.bytes(32)))
    assert.equal((await overtaken.wallet.act({ kind: 'set-policy', policy })).status, 'applied')
    assert.deepEqual((await a.wallet.owner()).row?.policy, last)
    assert.equal((await a.wallet.act({ kind: 'set-policy', policy: policyOf(theirs) })).status, 'applied')
    await assert.rejects(a.wallet.owner(), { code: 'KEY_NOT_OWNER' })
  })

  it('remembers how far a change of keys was proved, though its own key may see the account no more', async () => {
    const [a, b] = [await person(), await person()]
    await a.wallet.draw(CREDIT)
    const acted = await a.wallet.act({ kind: 'set-policy', policy: policyOf(b.vault.owner) })
    assert.ok(acted.status === 'applied')
    const { index } = await provenLedger().transaction(acted.id)
    assert.ok((await opened(a.home)).vault.seen.of(world.network) >= index)
  })

  it('rotates by the proof of its own transaction: a bridge that keeps it is not believed, one that has none of its key is no liar', async () => {
    const [a, b] = [await person(), await person()]
    await a.wallet.draw(CREDIT)
    const [mine, theirs] = [a.vault.owner, b.vault.owner]
    await a.wallet.act({ kind: 'set-policy', policy: policyOf(mine, theirs) })
    const account = await idOf(a)
    const keeping = await opened(a.home, async (url, init) =>
      url.endsWith('/v1/transactions')
        ? new Response(new Uint8Array(encodeCbor({ status: 'applied', id: random.bytes(32), index: 1, timestamp: 0 })))
        : await fetch(url, init)
    )
    await assert.rejects(keeping.wallet.rotate(), { code: 'KEYS_UNPROVEN' })
    assert.ok(equalBytes(keeping.vault.owner.publicKey, mine.publicKey))
    const overtaken = await opened(a.home, async (url, init) => {
      const response = await fetch(url, init)
      if (url.endsWith('/v1/transactions'))
        await ownerOf(account, theirs).act({ kind: 'set-policy', policy: policyOf(theirs) })
      return response
    })
    await assert.rejects(overtaken.wallet.rotate(), { code: 'KEY_NOT_OWNER' })
  })

  it('says what to do where the ledger was set back, and believes it again once what was seen is forgotten', async () => {
    const a = await person()
    await a.wallet.draw(CREDIT)
    await a.vault.seen.note(world.network, 1_000_000)
    const after = await opened(a.home)
    const older = { code: 'PROOF_INVALID', message: /commit \d+ after 1000000.*pekka account forget-seen/ }
    await assert.rejects(after.wallet.owner(), older)
    await assert.rejects(after.wallet.rotate(), older)
    assert.deepEqual(await after.wallet.seen(), { network: world.network, index: 1_000_000 })
    await after.wallet.forgetSeen(world.network)
    assert.equal((await after.wallet.owner()).row?.balance, CREDIT)
    assert.equal((await (await opened(a.home)).wallet.owner()).row?.balance, CREDIT)
  })

  it('says of new keys that the ledger refused that it does not have them, whatever the bridge says', async () => {
    const a = await person()
    await a.wallet.draw(CREDIT)
    const anchor = await provenLedger().anchor()
    const asked: Uint8Array[] = []
    const ledger: AccountKeysComponents['ledger'] = {
      newest: -1,
      anchor: async () => anchor,
      account: async () => null,
      transaction: async id => {
        asked.push(id)
        return { kind: 'transaction', index: 1, position: 0, id, code: 'TRANSACTION_INVALID' }
      }
    }
    const http = new Http({ fetch }, { base: world.at.url })
    const keys = new AccountKeys(
      { http, clock: systemClock, verifier, vault: a.vault, random, ledger },
      { network: world.network, bridge: world.at.key }
    )
    const policy = policyOf(a.vault.owner, createSigner(random.bytes(32)))
    await assert.rejects(keys.act({ kind: 'set-policy', policy }), { code: 'PROOF_INVALID' })
    assert.equal(asked.length, 1)
  })

  it('rotates, and acts for an account, by what holds now: two minutes at most may lie between', async () => {
    const a = await person()
    await a.wallet.draw(CREDIT)
    const now = systemClock.now()
    const bounds: unknown[] = []
    const ledger: AccountKeysComponents['ledger'] = {
      newest: -1,
      anchor: async () => assert.fail('no transaction is proved here'),
      transaction: async () => assert.fail('no transaction is proved here'),
      account: async (_, options) => {
        bounds.push(options?.notBefore)
        throw new PekkaError('PROOF_INVALID', { issue: 'it is too old' })
      }
    }
    const http = new Http({ fetch }, { base: world.at.url })
    const keys = new AccountKeys(
      { http, clock: { now: () => now }, verifier, vault: a.vault, random, ledger },
      { network: world.network, bridge: world.at.key }
    )
    await assert.rejects(keys.rotate(), { code: 'PROOF_INVALID' })
    await assert.rejects(keys.use(keys.account), { code: 'PROOF_INVALID' })
    assert.deepEqual(bounds, [now - 120_000, now - 120_000])
  })

  it('pays once, though the bridge denies what it carried out; a grant is simply made again', async () => {
    const [a, b] = [await person(), await person()]
    await a.wallet.draw(10n * CREDIT)
    const to = await idOf(b)
    const cheated = await opened(a.home, denying(true))
    await assert.rejects(cheated.wallet.act(pay(to)), { code: 'LANE_SEQUENCE' })
    assert.equal(await balance(b), CREDIT)
    const key = random.bytes(32)
    await (await opened(a.home, denying(false, 1))).wallet.grant(key)
    const { view } = await a.wallet.owner()
    assert.ok(view.lanes.some(lane => lane.delegate !== null && equalBytes(lane.key ?? to, key)))
    // The lane was moved on by others: it's read again before something is signed.
    await a.wallet.act(pay(to))
    assert.equal(await balance(b), 2n * CREDIT)
  })

  it('ends a rotation that was cut off, whether the ledger had heard of it or not', async () => {
    for (const sent of [true, false]) {
      const a = await person()
      const account = await idOf(a)
      const before = a.vault.owner
      const next = await a.vault.makeNext(random, world.network)
      if (sent) await ownerOf(account, before).act({ kind: 'set-policy', policy: policyOf(next) })
      a.wallet.close()
      const again = await opened(a.home)
      await again.wallet.draw(CREDIT)
      assert.ok(equalBytes(await idOf(again), account))
      assert.equal(toHex(again.vault.owner.publicKey), toHex((sent ? next : before).publicKey))
      assert.equal((await again.wallet.rotate()).status, 'applied')
      assert.ok(equalBytes(await idOf(again), account))
      assert.equal(await balance(again), CREDIT)
    }
  })

  const provenLedger = (): ProvenLedger => {
    const http = new Http({ fetch }, { base: world.at.url })
    return new ProvenLedger({ http, verifier, token: async () => '' }, world.network)
  }

  const policyOf = (...signers: Signer[]) => ({ threshold: 1, keys: signers.map(({ publicKey }) => publicKey) })

  const ownerOf = (account: Uint8Array, signer: Signer): OwnerAccount =>
    new OwnerAccount(
      { http: new Http({ fetch }, { base: world.at.url }), clock: systemClock, verifier },
      { network: world.network, bridge: world.at.key, account, signer }
    )

  it('is shared by k of n: a file goes round, together or apart, and nobody sends it too early or changed', async () => {
    const [a, b, c] = [await person(), await person(), await person()]
    const [account, to] = [await idOf(a), await idOf(b)]
    await a.wallet.draw(10n * CREDIT)
    const keys = [a, b, c].map(({ vault }) => vault.owner.publicKey)
    await a.wallet.act({ kind: 'set-policy', policy: { threshold: 2, keys } })
    await assert.rejects(a.wallet.grant(random.bytes(32)), { code: 'SIGNATURES_MISSING' })
    const first = partial(await a.wallet.act(pay(to, 4n * CREDIT)))
    await assert.rejects(a.wallet.submit([first]), { code: 'SIGNATURES_MISSING', message: /2 signatures for that/ })
    await assert.rejects(a.wallet.submit([await a.wallet.sign(first)]), { code: 'SIGNATURES_MISSING' })
    const { transaction } = first
    const more = { ...transaction, body: pay(to, 9n * CREDIT) }
    await assert.rejects(c.wallet.sign({ ...first, transaction: more }), { code: 'SIGNATURE_INVALID' })
    assert.throws(() => joinSigned([first, { ...first, transaction: more }]), { code: 'TRANSACTION_FILE' })
    const stranger = await person()
    await assert.rejects(stranger.wallet.sign(first), { code: 'KEY_NOT_OWNER' })
    // Signed apart, and sent by somebody who signed nothing.
    const apart = await c.wallet.sign({ transaction, signatures: [] })
    await b.wallet.submit([first, apart])
    assert.equal(await balance(b), 4n * CREDIT)
    await b.wallet.submit([first, apart])
    assert.equal(await balance(b), 4n * CREDIT, 'nothing is paid twice')
    // What comes too late for its place says so before anybody signs.
    await assert.rejects(b.wallet.sign(first), { code: 'LANE_SEQUENCE' })
    // One of the three renews its key by the same way, and its new key signs from then on.
    const old = c.vault.owner.publicKey
    await c.wallet.use(account)
    const rotation = partial(await c.wallet.rotate())
    // It goes on meanwhile, and needs no new start once the others have signed.
    await c.wallet.owner()
    await b.wallet.submit([await b.wallet.sign(rotation)])
    // A token first: the wallet learns of its new key on the way to it.
    const token = await c.wallet.signToken(random.bytes(32))
    assert.ok(equalBytes(token.key, c.vault.owner.publicKey) && !equalBytes(token.key, old))
    const { view } = await c.wallet.owner()
    assert.ok(!view.policy.keys.some(key => equalBytes(key, old)))
    assert.ok(view.policy.keys.some(key => equalBytes(key, c.vault.owner.publicKey)))
    assert.equal(c.vault.nextOn(world.network), null)
    await assert.rejects(c.wallet.use(await idOf(b)), { code: 'KEY_NOT_OWNER' })
  })

  it('is recovered by guardians who are several, and its owner says no in time', async () => {
    const [lost, g, h] = [await person(), await person(), await person()]
    const guardians = { threshold: 2, keys: [g, h].map(({ vault }) => vault.owner.publicKey) }
    const [account, by] = [await idOf(lost), accountId(guardians)]
    await g.wallet.act({ kind: 'open-account', policy: guardians, deposit: 0n })
    await lost.wallet.act({ kind: 'set-recovery', recovery: { guardians: by, delayMs: 60_000 } })
    const fresh = createSigner(random.bytes(32))
    const made = partial(await g.wallet.act({ kind: 'recover', account, policy: policyOf(fresh) }, by))
    await g.wallet.submit([await h.wallet.sign(made)])
    const { view } = await lost.wallet.owner()
    assert.ok(view.recovering && equalBytes(view.recovering.policy.keys[0] ?? account, fresh.publicKey))
    await lost.wallet.act({ kind: 'cancel-recovery', account })
    assert.equal((await lost.wallet.owner()).view.recovering, undefined)
  })

  it('registers images as k of n, and nothing is sealed for a machine whose image was retired', async () => {
    const buyer = world.client(await world.person())
    const quote = () => buyer.quote({ image: 'base' })
    await assert.rejects(quote(), { code: 'IMAGE_LIST_INVALID' }, 'neither ledger nor list says anything')
    const [first] = await buyer.market.asks(0)
    assert.ok(first)
    const { image, contentDigest } = first.ask
    const [a, b, c] = registrars.map(signer => ownerOf(accountId(policyOf(signer)), signer))
    assert.ok(a && b && c)
    const content = { name: image.name, contentDigest, locks: [] }
    const { digest } = image
    await Promise.all([a, b, c].map(one => one.ensure()))
    await a.act({ kind: 'image-propose', digest, content })
    await b.act({ kind: 'image-approve', digest, content })
    const client = world.client(await world.person())
    assert.equal((await client.quote({ image: 'base' })).candidates.length, 1)
    for (const one of [a, c]) await one.act({ kind: 'image-retire', digest, reason: 'a package in it was withdrawn' })
    const late = world.client(await world.person())
    await assert.rejects(late.submit(cell('print(1)')), {
      code: 'IMAGE_RETIRED',
      message: /a package in it was withdrawn/
    })
    const { images } = await world.ledger.history({
      kind: 'images',
      query: { name: 'base', after: null, count: 5 }
    })
    assert.deepEqual(
      images.map(({ state }) => state),
      ['retired']
    )
  })
})
