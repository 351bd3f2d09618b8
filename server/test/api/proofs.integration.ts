import assert from 'node:assert/strict'
import { encodeReceipt, verifyReceipt, RECEIPT_PARTS } from '@pekka/node/client'
import {
  asksSchema,
  decodeSigned,
  encodeCanonical,
  encodeSigned,
  ledgerProofAnswerSchema,
  sha256,
  signTransaction
} from '@pekka/node/protocol'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'
import { World, cell, until, type Person } from '../support/world.js'

const { random, verifier } = createPrimitives()

describe('the ledger’s proofs through the bridge', function () {
  this.timeout(60_000)
  let world: World
  let person: Person

  before(async () => {
    world = await World.start()
    person = await world.person()
  })
  after(() => world.stop())

  it('say settled of a task that has ended, and stand in its receipt', async () => {
    const client = world.client(person)
    const task = await client.submit(cell('print("hello")'))
    const follower = await client.follow(task, {})
    const { finished } = await follower.ended
    await until('it is proved', () => {
      const { phase } = follower.current
      return phase.phase === 'settled' && phase.proof === 'proven'
    })
    follower.stop()
    const receipt = await client.receipt(task, finished)
    assert.equal(receipt.v, 2)
    // The stand-in provider's output has no manifest of a real run; whatever else is in it, the ledger's part must hold.
    const { checks } = await verifyReceipt(encodeReceipt(receipt), verifier)
    assert.deepEqual(
      checks.map(({ part }) => part),
      [...RECEIPT_PARTS]
    )
    const last = checks.at(-1)
    assert.ok(last?.ok, last?.note)
    assert.match(last.note, /^Settled: signed by the network’s witnesses/)
    assert.equal(receipt.draw, 'single witness')
    const { digest: _, ...fields } = { ...receipt, draw: 'committee' as const }
    const forged = { ...fields, digest: sha256(encodeCanonical(fields)) }
    const told = await verifyReceipt(encodeCanonical(forged), verifier)
    assert.equal(told.checks.at(-1)?.ok, false)
    const changed = { ...receipt, view: { ...receipt.view, paid: receipt.view.paid + 1n } }
    const again = await verifyReceipt(encodeReceipt(changed), verifier)
    assert.ok(again.checks.some(({ ok }) => !ok))
  })

  it('show the own account, and how far the ledger is', async () => {
    const client = world.client(person)
    const row = await client.ledger.account(person.identity.account)
    assert.equal(row?.balance, (await client.account()).balance)
    assert.ok((await client.ledger.checkpoint()).index > 0)
  })

  it('are all there is to believe: a price with the bridge’s own key is never sealed to (R3b)', async () => {
    const client = world.client(person)
    const liar = createSigner(random.bytes(32))
    const request = client.http.request.bind(client.http)
    const sent: string[] = []
    client.http.request = async (method, path, schema, options = {}) => {
      sent.push(`${method} ${path.split('?')[0]}`)
      if (path !== '/v1/asks') return await request(method, path, schema, options)
      const { asks } = await request(method, path, asksSchema)
      // Signed and in order, of the provider's account and at its price; only that the key isn't the provider's.
      const forged = asks.map(async view => {
        const { transaction } = decodeSigned(view.transaction)
        assert.equal(transaction.body.kind, 'ask')
        const ask = { ...view.ask, kemKey: random.bytes(32) }
        const own = { ...transaction, key: liar.publicKey, body: { kind: 'ask' as const, ask } }
        return { ...view, ask, transaction: encodeSigned(await signTransaction(own, [liar])) }
      })
      return schema.parse({ asks: await Promise.all(forged) })
    }
    await assert.rejects(client.submit(cell('print("secret")')), { code: 'PROOF_INVALID' })
    assert.ok(sent.includes('GET /v1/ledger/asks/proof'))
    assert.ok(!sent.includes('POST /v1/tasks'), 'nothing was sealed and sent')
  })

  it('can’t be left out: without a proof no price is believed', async () => {
    const client = world.client(person)
    const request = client.http.request.bind(client.http)
    client.http.request = async (method, path, schema, options = {}) =>
      path.startsWith('/v1/ledger/')
        ? schema.parse(ledgerProofAnswerSchema.parse({ proof: null }))
        : await request(method, path, schema, options)
    await assert.rejects(client.submit(cell('print("secret")')), { code: 'PROOF_MISSING' })
  })
})
