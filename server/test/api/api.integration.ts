import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { io } from 'socket.io-client'
import {
  CBOR,
  CREDIT,
  SOCKET_PATH,
  challengeSchema,
  decodeCbor,
  encodeCbor,
  subscribedSchema,
  toCid,
  toHex,
  tokenMessage
} from '@pekka/node/protocol'
import { expectApplied } from '../support/provider.js'
import { World, cell, until, type Person } from '../support/world.js'

type Answer = { status: number; code: string | null; headers: Headers; body: Uint8Array }

describe('the HTTP API', function () {
  this.timeout(30_000)
  let world: World
  let alice: Person
  let bob: Person
  let task: Uint8Array

  before(async () => {
    world = await World.start({ settings: { allowedOrigins: ['http://lab.test:8888'], allowedHosts: ['lab.test'] } })
    alice = await world.person()
    const other = world.net.providers[1]
    bob = await world.person(other)
    const client = world.client(alice)
    task = await client.submit(cell('print(1)'))
    await until('it is settled', async () => (await client.task(task)).view?.state === 'settled')
  })
  after(() => world.stop())

  const call = async (
    method: string,
    path: string,
    headers: Record<string, string> = {},
    body?: BodyInit
  ): Promise<Answer> => {
    const response = await fetch(world.at.url + path, { method, headers, body })
    const bytes = new Uint8Array(await response.arrayBuffer())
    let code: string | null = null
    if (response.headers.get('content-type')?.startsWith('application/problem+json') === true)
      code = JSON.parse(Buffer.from(bytes).toString()).code
    return { status: response.status, code, headers: response.headers, body: bytes }
  }
  const tokenOf = (person: Person): Promise<string> => world.client(person).tokens.get()

  /** A request as a browser or another program would send it, Host and all. */
  const raw = (headers: Record<string, string>, path = '/v1/health', method = 'GET'): Promise<number> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(world.at.url)
      const request = httpRequest({ hostname, port, path, method, headers }, answer => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
      request.on('error', reject).end()
    })

  it('answers in CBOR or JSON, as asked', async () => {
    const cbor = await call('GET', '/v1/health', { accept: CBOR })
    assert.equal(cbor.headers.get('content-type'), CBOR)
    const json = await call('GET', '/v1/network', { accept: 'application/json' })
    assert.equal(JSON.parse(Buffer.from(json.body).toString()).network, toHex(world.network))
    assert.ok(decodeCbor(cbor.body))
  })

  it('takes JSON bodies, with bytes as hexadecimal or base64', async () => {
    const { account, signer } = alice.identity
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    const ask = JSON.stringify({ account: toHex(account), key: toHex(signer.publicKey) })
    const challenge = JSON.parse(Buffer.from((await call('POST', '/v1/challenges', headers, ask)).body).toString())
    const bytes = Uint8Array.from(Buffer.from(challenge.challenge, 'hex'))
    const signature = await signer.sign(tokenMessage(world.at.key, bytes, account, signer.publicKey))
    const body = JSON.stringify({
      challenge: challenge.challenge,
      account: toHex(account),
      key: toHex(signer.publicKey),
      signature: Buffer.from(signature).toString('base64')
    })
    const answer = await call('POST', '/v1/tokens', headers, body)
    assert.equal(answer.status, 200)
    assert.equal(JSON.parse(Buffer.from(answer.body).toString()).scope, 'lane')
  })

  it('describes all its routes at /openapi.json', async () => {
    const description = JSON.parse(Buffer.from((await call('GET', '/openapi.json')).body).toString())
    for (const { method, path } of world.bridge.routes) {
      const operation = description.paths[path.replace(/:(\w+)/g, '{$1}')]?.[method]
      assert.ok(operation?.summary, `${method} ${path}`)
    }
    const submit = description.paths['/v1/tasks'].post.requestBody.content['application/json'].schema
    assert.equal(submit.properties.transaction.contentEncoding, 'base64')
  })

  it('shows metrics without ids', async () => {
    const text = Buffer.from((await call('GET', '/metrics')).body).toString()
    assert.match(text, /pekka_bridge_tasks_submitted_total 1/)
    assert.ok(!text.includes(toHex(task)))
  })

  it('B13, B11: forbids framing by others and sends no referrer', async () => {
    const { headers } = await call('GET', '/v1/health')
    assert.match(headers.get('content-security-policy') ?? '', /frame-ancestors 'self'/)
    assert.equal(headers.get('referrer-policy'), 'no-referrer')
    assert.equal(headers.get('set-cookie'), null)
  })

  it('B7: refuses pages of other sites, and lets those of allowed origins in', async () => {
    const { host } = new URL(world.at.url)
    assert.equal(await raw({ host, origin: 'https://evil.test' }), 403)
    assert.equal(await raw({ host, origin: 'null' }), 403)
    assert.equal(await raw({ host, origin: 'http://127.0.0.1:1' }), 403)
    assert.equal(await raw({ host, 'sec-fetch-site': 'cross-site' }), 403)
    assert.equal(await raw({ host, origin: 'http://lab.test:8888' }), 200)
    assert.equal(await raw({ host, origin: `http://${host}` }), 200)
    const preflight = await call('OPTIONS', '/v1/tasks', { origin: 'http://lab.test:8888' })
    assert.equal(preflight.status, 204)
    assert.equal(preflight.headers.get('access-control-allow-origin'), 'http://lab.test:8888')
    assert.equal(preflight.headers.get('access-control-allow-credentials'), null)
  })

  it('B12: answers to its own names only', async () => {
    assert.equal(await raw({ host: 'evil.test' }), 421)
    assert.equal(await raw({ host: '127.0.0.1.evil.test:80' }), 421)
    assert.equal(await raw({ host: 'lab.test:8888' }), 200)
    // What a proxy claims about others isn't read.
    assert.equal(await raw({ host: 'evil.test', 'x-forwarded-host': '127.0.0.1' }), 421)
  })

  it('B8: refuses a live connection from a page of another site, and one without a token', async () => {
    const { host } = new URL(world.at.url)
    const path = `${SOCKET_PATH}/?EIO=4&transport=polling`
    assert.equal(await raw({ host, origin: 'https://evil.test' }, path), 403)
    assert.equal(await raw({ host: 'evil.test' }, path), 403)
    assert.equal(await raw({ host }, path), 200)
    for (const token of [undefined, 'x'.repeat(43)]) {
      const socket = io(world.at.url, {
        path: SOCKET_PATH,
        transports: ['websocket'],
        auth: { token },
        reconnection: false
      })
      const reason = await new Promise<string>(resolve => {
        socket.on('connect_error', error => resolve(error.message))
        socket.on('connect', () => resolve('connected'))
      })
      socket.close()
      assert.equal(reason, 'TOKEN_INVALID')
    }
  })

  it('I7: what belongs to another is as if it were not there, on every route', async () => {
    const mine = await tokenOf(alice)
    const foreign = await tokenOf(bob)
    const sibling = await tokenOf(await world.person())
    const cid = toCid(world.bridge.key, 'raw')
    const paths = (path: string): string =>
      path
        .replace(':task', toHex(task))
        .replace(':account', toHex(alice.identity.account))
        .replace(':cid', path.startsWith('/v1/blobs') ? `${cid}?task=${toHex(task)}` : cid)
    let checked = 0
    for (const { method, path, auth } of world.bridge.routes) {
      if (auth === 'none') continue
      const url = paths(path)
      const none = await call(method.toUpperCase(), url)
      assert.equal(none.status, 401, `${path} without a token`)
      assert.equal((await call(method.toUpperCase(), url, { 'x-pekka-token': `${mine.slice(0, -1)}!` })).status, 401)
      // `missing` is answered from what the account of the token has sent itself; it names nothing of another's.
      if (!/:task|:account|blobs|invites/.test(path) || method === 'put' || path.endsWith('/missing')) continue
      const other = await call(method.toUpperCase(), url, { 'x-pekka-token': foreign })
      assert.ok([403, 404].includes(other.status), `${path} gave another account ${other.status}`)
      if (!path.includes(':account')) {
        const lane = await call(method.toUpperCase(), url, { authorization: `Bearer ${sibling}` })
        assert.ok([403, 404].includes(lane.status), `${path} gave another lane ${lane.status}`)
      }
      checked++
    }
    assert.ok(checked >= 5)
    assert.equal((await call('GET', `/v1/tasks/${toHex(task)}`, { authorization: `Bearer ${mine}` })).status, 200)
    assert.deepEqual((await world.client(bob).tasks()).tasks, [])
  })

  it('R38: a lane sees itself, the owner sees all', async () => {
    const lane = await world.client(alice).account()
    assert.deepEqual(
      lane.lanes.map(({ key }) => key),
      [alice.signer.publicKey]
    )
    const { account } = alice.identity
    const owner = alice.owner.signer
    const body = { account, key: owner.publicKey }
    const headers = { 'content-type': CBOR, accept: CBOR }
    const first = await call('POST', '/v1/challenges', headers, new Uint8Array(encodeCbor(body)))
    const { challenge } = challengeSchema.parse(decodeCbor(first.body))
    const signature = await owner.sign(tokenMessage(world.at.key, challenge, account, owner.publicKey))
    const answer = await call(
      'POST',
      '/v1/tokens',
      headers,
      new Uint8Array(encodeCbor({ challenge, ...body, signature }))
    )
    // The schema of the answer is the client's matter here.
    const { token, scope } = decodeCbor(answer.body) as { token: string; scope: string }
    assert.equal(scope, 'owner')
    const list = decodeCbor((await call('GET', '/v1/tasks', { 'x-pekka-token': token })).body) as { tasks: unknown[] }
    assert.equal(list.tasks.length, 1)
    const again = await call(
      'POST',
      '/v1/tokens',
      headers,
      new Uint8Array(encodeCbor({ challenge, ...body, signature }))
    )
    assert.equal(again.code, 'TOKEN_INVALID', 'a challenge serves once')
  })

  it('ends the token of a key that was revoked', async () => {
    const person = await world.person()
    const token = await tokenOf(person)
    assert.equal((await call('GET', '/v1/tasks', { 'x-pekka-token': token })).status, 200)
    expectApplied(await person.owner.send(world.ledger, { kind: 'revoke', key: person.signer.publicKey }))
    await until(
      'the token ends',
      async () => (await call('GET', '/v1/tasks', { 'x-pekka-token': token })).status === 401
    )
  })

  it('refuses an offer of another lane, with foreign ids, or a bundle of another hash', async () => {
    const client = world.client(alice)
    const foreign = world.client({ ...alice, identity: { ...alice.identity, account: bob.identity.account } })
    await assert.rejects(foreign.submit(cell('x')), /key|account/i)
    const token = await client.tokens.get()
    const broken = {
      transaction: new Uint8Array(10),
      tasks: [{ boxes: [new Uint8Array(80)], bundle: null, note: new Uint8Array() }]
    }
    const answer = await call(
      'POST',
      '/v1/tasks',
      { 'content-type': CBOR, 'x-pekka-token': token },
      new Uint8Array(encodeCbor(broken))
    )
    assert.equal(answer.status, 400)
  })

  it('keeps a blob only under its own hash', async () => {
    const token = await tokenOf(alice)
    const headers = { 'x-pekka-token': token, 'content-type': 'application/octet-stream' }
    const wrong = await call('PUT', `/v1/blobs/${toCid(new Uint8Array(32).fill(1), 'raw')}`, headers, 'abc')
    assert.equal(wrong.code, 'BLOB_MISMATCH')
  })

  it('sends a large bundle ahead and runs it', async () => {
    const client = world.client(alice)
    const big = await client.submit(cell(`# ${'x'.repeat(300_000)}`))
    await until('it is settled', async () => (await client.task(big)).view?.state === 'settled')
    const hash = (await client.task(big)).view?.offer.bundle.hash
    assert.ok(hash)
    const path = `/v1/blobs/${toCid(hash, 'raw')}?task=${toHex(big)}`
    const own = await call('GET', path, { 'x-pekka-token': await client.tokens.get() })
    assert.ok(own.body.length > 300_000)
    assert.equal((await call('GET', path, { 'x-pekka-token': await tokenOf(bob) })).status, 404)
  })

  it('survives whatever is sent to it', async () => {
    const token = await tokenOf(alice)
    const bodies: [string, BodyInit][] = [
      ['application/json', '{"a":'],
      ['application/json', `${'['.repeat(50_000)}`],
      [CBOR, new Uint8Array([0xff, 0x00])],
      [CBOR, new Uint8Array(60_000).fill(0x81)],
      [CBOR, new Uint8Array([0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])],
      ['text/plain', 'hello'],
      ['application/json', '{"__proto__":{"x":1},"account":1,"key":[]}']
    ]
    for (const { method, path } of world.bridge.routes) {
      if (method === 'get') continue
      for (const [type, body] of bodies) {
        const url = path.replace(':cid', 'bafkqaaa')
        const answer = await call(method.toUpperCase(), url, { 'content-type': type, 'x-pekka-token': token }, body)
        assert.ok(
          answer.status < 500 || path.includes('invites'),
          `${path} ${type} gave ${answer.status} ${answer.code}`
        )
      }
    }
    for (const path of [
      '/v1/tasks/..%2f..',
      '/v1/tasks/%00',
      '/v1/tasks?limit=1e9',
      '/v1/tasks?before=%25',
      '/%',
      '/v1/blobs/x?task=y'
    ])
      assert.ok((await call('GET', path, { 'x-pekka-token': token })).status < 500, path)
    assert.equal((await call('GET', '/nothing')).code, 'ROUTE_UNKNOWN')
    assert.equal((await call('GET', '/v1/health')).status, 200)
  })

  it('answers a lost answer: the same offer again is the same task', async () => {
    const client = world.client(alice)
    const quote = await client.quote({ image: 'base' })
    let body: BodyInit | undefined
    const spy = world.client(alice)
    const request = spy.http.request.bind(spy.http)
    spy.http.request = (method, path, schema, options = {}) => {
      if (path === '/v1/tasks' && options.body !== undefined) body = new Uint8Array(encodeCbor(options.body))
      return request(method, path, schema, options)
    }
    const id = await spy.submit(cell('twice'), quote)
    const token = await client.tokens.get()
    const before = (await client.tasks()).tasks.length
    const again = await call('POST', '/v1/tasks', { 'content-type': CBOR, 'x-pekka-token': token }, body)
    assert.equal(again.status, 202)
    assert.equal((await client.tasks()).tasks.length, before)
    await until('it is settled once', async () => (await client.task(id)).view?.state === 'settled')
    assert.equal((await client.task(id)).view?.attempts.length, 1)
  })

  it('says what the ledger refused', async () => {
    const poor = await world.person(world.net.demo, CREDIT / 1000n)
    const client = world.client(poor)
    const refused = await client.submit(cell('too dear')).catch((error: unknown) => error)
    if (!(refused instanceof Uint8Array)) return assert.match(String(refused), /spend|have/)
    await until('it is refused', async () => (await client.task(refused)).bridge === 'refused')
    assert.equal((await client.task(refused)).code, 'DELEGATE_CAP')
  })

  it('tells a subscriber of another lane nothing (I1)', async () => {
    const stranger = await tokenOf(await world.person())
    const socket = io(world.at.url, { path: SOCKET_PATH, transports: ['websocket'], auth: { token: stranger } })
    const heard: string[] = []
    socket.onAny((name: string) => heard.push(name))
    await new Promise<void>(resolve => socket.on('connect', () => resolve()))
    const packed: unknown = await socket.emitWithAck('subscribe', encodeCbor({ task, after: -1 }))
    assert.ok(packed instanceof Uint8Array)
    const answer = subscribedSchema.parse(decodeCbor(packed))
    assert.equal(answer.ok ? 'ok' : answer.code, 'TASK_UNKNOWN')
    for (const junk of [null, 'x', 5, new Uint8Array([255]), encodeCbor({ task: 1 })]) {
      socket.emit('subscribe', junk)
      socket.emit('ack', junk)
      socket.emit('unsubscribe', junk)
      socket.emit(`lane:${toHex(alice.identity.account)}`, junk)
    }
    const client = world.client(alice)
    const id = await client.submit(cell('private'))
    await until('it is settled', async () => (await client.task(id)).view?.state === 'settled')
    assert.deepEqual(
      heard.filter(name => name !== 'account'),
      []
    )
    socket.close()
  })

  // The last one: the machines aren't connected again.
  it('ends the token of a key that was revoked while the bridge was away', async () => {
    const [robbed, other] = [await world.person(), await world.person()]
    const [stolen, good] = [await tokenOf(robbed), await tokenOf(other)]
    const answer = (token: string) => call('GET', '/v1/tasks', { 'x-pekka-token': token })
    for (const token of [stolen, good]) assert.equal((await answer(token)).status, 200)
    await world.stopBridge()
    expectApplied(await robbed.owner.send(world.ledger, { kind: 'revoke', key: robbed.signer.publicKey }))
    await world.startBridge()
    await until('the token ends', async () => (await answer(stolen)).code === 'TOKEN_INVALID')
    assert.equal((await answer(good)).status, 200, 'tokens of other keys live on')
  })
})
