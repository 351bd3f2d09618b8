import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import {
  DEVNET_PARAMETERS,
  JOIN_PROTOCOL,
  LINK_PROTOCOL,
  MAX_LINK_MESSAGE,
  equalBytes,
  inviteSchema,
  joinAnswerSchema,
  signHead,
  toHex,
  type BridgeMessage
} from '@pekka/node/protocol'
import { createSigner } from '@pekka/node/host/crypto'
import { LedgerClient, fetchBlob, putBlob, request } from '@pekka/node/host/network'
import { printed } from '../../../node/test/support/sealed-run.js'
import { seed } from '../../../node/test/agents/witness/support.js'
import type { Opened, StandInProvider } from '../support/provider.js'
import { expectApplied } from '../support/provider.js'
import { World, cell, until, type Person } from '../support/world.js'

const WINDOW_MS = 3_000

describe('providers’ links', function () {
  this.timeout(30_000)
  let world: World
  let person: Person
  let first: StandInProvider
  let second: StandInProvider

  before(async () => {
    // The second candidate's turn comes within the test, and not while a slow machine is at the first's.
    world = await World.start({ providers: 2, parameters: { ...DEVNET_PARAMETERS, windowMs: WINDOW_MS } })
    person = await world.person()
    const [one, two] = world.providers
    assert.ok(one && two)
    first = one
    second = two
  })
  after(() => world.stop())

  const about = (task: Uint8Array, kind: BridgeMessage['kind']) => (message: BridgeMessage) =>
    message.kind === kind && 'task' in message && message.task instanceof Uint8Array && equalBytes(message.task, task)
  const health = () => world.client(person).health()

  /** A task whose first candidate is `provider`, and what it opened. */
  async function opened(): Promise<{
    provider: StandInProvider
    other: StandInProvider
    opened: Opened
    task: Uint8Array
  }> {
    const all: { provider: StandInProvider; opened: Opened }[] = []
    for (const one of [first, second]) one.work = async (provider, got) => void all.push({ provider, opened: got })
    const task = await world.client(person).submit(cell('x'))
    // Windows of earlier tasks may open meanwhile.
    const find = () => all.find(({ opened: { task: id } }) => equalBytes(id, task))
    await until('a provider opens it', () => find() !== undefined)
    const found = find()
    assert.ok(found)
    const { provider, opened: got } = found
    return { provider, other: provider === first ? second : first, opened: got, task }
  }

  it('turn away who does not prove its account, and stay up', async () => {
    const { connect, address } = { connect: second.connect.bind(second), address: world.address }
    for (const change of [
      { provider: first.account },
      { key: createSigner(seed()).publicKey },
      { signature: new Uint8Array(randomBytes(64)) },
      { network: new Uint8Array(32) }
    ]) {
      const answer = await connect(address, [], change)
      assert.equal(answer.kind, 'refused', Object.keys(change)[0])
    }
    assert.equal((await connect(address)).kind, 'welcome')
    assert.equal((await health()).providers, 2)
  })

  it('survive whatever bytes come', async () => {
    for (const bytes of [new Uint8Array([0xff]), new Uint8Array(0), new Uint8Array(100_000).fill(0x81)]) {
      const channel = await second.host.open(world.address, LINK_PROTOCOL, { maxMessageBytes: MAX_LINK_MESSAGE })
      await channel.receive()
      await channel.send(bytes)
      await channel.closed
    }
    assert.equal((await health()).providers, 2)
  })

  it('R3: the second candidate hears of a task, and gets its box, when its window opens and not before', async () => {
    const { provider, other, task } = await opened()
    await provider.next(message => about(task, 'notice')(message) && message.kind === 'notice' && message.box !== null)
    assert.equal(other.heard.find(about(task, 'notice')), undefined)
    const notice = await other.next(about(task, 'notice'))
    assert.ok(notice.kind === 'notice' && notice.candidate === 1 && notice.box !== null)
    const view = await world.ledger.task(task)
    const time = await world.ledger.time()
    assert.ok(view && time.contractTime >= view.since + WINDOW_MS)
  })

  it('R3: a decline opens the next window at once', async () => {
    const { provider, other, task } = await opened()
    expectApplied(await provider.send({ kind: 'decline', task }))
    const notice = await other.next(about(task, 'notice'))
    assert.ok(notice.kind === 'notice' && notice.box !== null)
    const view = await world.ledger.task(task)
    assert.ok(view && (await world.ledger.time()).contractTime < view.since + WINDOW_MS)
  })

  it('announce to the first candidate before the ledger has answered, without the box', async () => {
    const { provider, task } = await opened()
    const notices = provider.heard.filter(about(task, 'notice'))
    const boxes = notices.map(
      notice => notice.kind === 'notice' && [notice.final, notice.box !== null, notice.bundle !== null]
    )
    assert.deepEqual(boxes, [
      [false, false, true],
      [true, true, false]
    ])
  })

  it('give a provider that comes back what it missed', async () => {
    first.disconnect()
    second.disconnect()
    await until('both are gone', async () => (await health()).providers === 0)
    const opening = opened()
    await until('the offer is final', async () => {
      const { tasks } = await world.client(person).tasks({ limit: 1 })
      return tasks[0]?.view?.state === 'offered'
    })
    await first.connect(world.address)
    await second.connect(world.address)
    assert.ok((await opening).task)
  })

  it('R7: nothing of a run is taken any more once a signed head is not its chain', async () => {
    const { provider, opened: got, task } = await opened()
    const run = await provider.seal(got, [printed('a'), printed('b')])
    await provider.tell({ kind: 'run', header: run.header })
    await provider.tell({ kind: 'frames', task, attempt: 1, run: 1, index: 0, frames: run.sealed.slice(0, 1) })
    const forged = await signHead(
      provider.network,
      { task, attempt: 1, run: 1, count: 1, head: run.head },
      provider.agent
    )
    await provider.tell({ kind: 'head', head: forged })
    await provider.tell({ kind: 'frames', task, attempt: 1, run: 1, index: 1, frames: run.sealed.slice(1) })
    await provider.tell({ kind: 'ping', n: 77 })
    await provider.next(message => message.kind === 'pong' && message.n === 77)
    await until('the first frame is written', async () => (await world.client(person).task(task)).entries === 2)
  })

  it('take no run of a provider whose turn it is not, and none with a signature of another key', async () => {
    const { other, opened: got, task } = await opened()
    const foreign = await other.seal(got, [printed('not mine')])
    await other.tell({ kind: 'run', header: { ...foreign.header, signature: new Uint8Array(randomBytes(64)) } })
    const refused = await other.next(message => message.kind === 'refused' && message.code === 'SIGNATURE_INVALID')
    assert.ok(refused)
    assert.equal((await world.client(person).task(task)).entries, 0)
  })

  it('carry blobs of a run to its owner, and to nobody else', async () => {
    const { provider, other, task } = await opened()
    const bytes = new Uint8Array(randomBytes(400_000))
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
    const signal = AbortSignal.timeout(5_000)
    await putBlob(provider.host, world.address, { task, hash }, bytes, signal)
    await provider.tell({ kind: 'want', task, hash })
    await provider.next(about(task, 'have'))
    const client = world.client(person)
    const token = await client.tokens.get()
    const path = `/v1/blobs/${toHex(hash)}?task=${toHex(task)}`
    assert.deepEqual(await client.http.bytes('GET', path, { token }), bytes)
    assert.equal(await fetchBlob(other.host, world.address, { task, hash }, 1e6, signal), null)
    await assert.rejects(putBlob(provider.host, world.address, { task, hash: new Uint8Array(32) }, bytes, signal))
  })

  it('let a provider join with a code of the owner, once', async () => {
    const { account } = person.identity
    const owner = world.client({ ...person, identity: { ...person.identity, account, signer: person.owner.signer } })
    const { code, addresses } = await owner.http.request('POST', '/v1/invites', inviteSchema, {
      token: await owner.tokens.get()
    })
    assert.deepEqual(addresses, world.at.addresses)
    const lane = world.client(person)
    await assert.rejects(
      lane.http.request('POST', '/v1/invites', inviteSchema, { token: await lane.tokens.get() }),
      /may not/
    )
    const join = (text: string) =>
      request(
        second.host,
        world.address,
        JOIN_PROTOCOL,
        { v: 1, code: text, provider: second.account, name: 'new' },
        joinAnswerSchema
      )
    assert.equal((await join('x'.repeat(32))).kind, 'refused')
    const welcome = await join(code)
    assert.ok(welcome.kind === 'welcome' && equalBytes(welcome.genesis, world.net.bytes))
    assert.equal((await join(code)).kind, 'refused')
  })

  it('relay the ledger', async () => {
    const ledger = new LedgerClient({ host: second.host }, { addresses: [world.address] })
    assert.deepEqual((await ledger.account(person.identity.account))?.account, person.identity.account)
    await ledger.stop()
  })
})
