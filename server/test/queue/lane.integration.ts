import assert from 'node:assert/strict'
import { CBOR, decodeCbor, encodeCbor, submittedSchema, type Body, type TransactionOutcome } from '@pekka/node/protocol'
import { prepareTask } from '@pekka/node/client'
import { createPrimitives } from '@pekka/node/host/crypto'
import { Sender } from '../../../node/test/agents/witness/support.js'
import { World, cell, until, type Person } from '../support/world.js'

describe('offers of one lane over several connections', () => {
  let world: World
  beforeEach(async () => (world = await World.start()))
  afterEach(() => world.stop())

  /** Bodies of POST /v1/tasks for `count` tasks, in the lane's order, and a token to send them with. */
  async function prepare(person: Person, count: number): Promise<{ bodies: Uint8Array<ArrayBuffer>[]; token: string }> {
    const { identity } = person
    const client = world.client(person)
    const { candidates } = await client.quote({ image: 'base' })
    const lane = new Sender(identity.account, identity.signer.publicKey, identity.signer)
    const bodies: Uint8Array<ArrayBuffer>[] = []
    for (let i = 0; i < count; i++) {
      const parts = { primitives: createPrimitives(), identity }
      const { offer, boxes, sealedBundle, note } = await prepareTask(parts, cell('pass'), candidates)
      const { timestamp } = await world.ledger.time()
      const body: Body = { kind: 'offer', tasks: [offer] }
      const { bytes } = await lane.sign(world.ledger, body, { expiry: timestamp + 60_000 })
      bodies.push(new Uint8Array(encodeCbor({ transaction: bytes, tasks: [{ boxes, bundle: sealedBundle, note }] })))
    }
    return { bodies, token: await client.tokens.get() }
  }

  /** @returns the task's id */
  async function post(token: string, body: Uint8Array<ArrayBuffer> | undefined): Promise<Uint8Array> {
    const headers = { 'content-type': CBOR, accept: CBOR, 'x-pekka-token': token }
    const answer = await fetch(`${world.at.url}/v1/tasks`, { method: 'POST', headers, body })
    assert.equal(answer.status, 202)
    const [task] = submittedSchema.parse(decodeCbor(new Uint8Array(await answer.arrayBuffer()))).tasks
    assert.ok(task)
    return task
  }

  it('are all done where a later one came so much earlier that the ledger gave up waiting', async () => {
    const { bodies, token } = await prepare(await world.person(), 2)
    const refusals: string[] = []
    const submit = world.ledger.submit.bind(world.ledger)
    world.ledger.submit = async (bytes, signal): Promise<TransactionOutcome> => {
      const outcome = await submit(bytes, signal)
      if (outcome.status === 'refused') refusals.push(outcome.code)
      return outcome
    }
    const later = await post(token, bodies[1])
    await until('the ledger gives up waiting', () => refusals.length > 0)
    const first = await post(token, bodies[0])
    for (const task of [first, later])
      await until('a settled task', async () => (await world.ledger.task(task))?.state === 'settled', 20_000)
    assert.deepEqual([...new Set(refusals)], ['LANE_SEQUENCE'])
  })
})
