import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import {
  SOCKET_PATH,
  accountPageSchema,
  blockPageSchema,
  checkpointPageSchema,
  commitDetailSchema,
  commitPageSchema,
  dagWindowSchema,
  decodeCbor,
  encodeCbor,
  evidenceAnswerSchema,
  ledgerQueryAnswerSchema,
  taskPageSchema,
  toHex,
  transactionDetailSchema,
  transactionPageSchema,
  witnessPageSchema,
  type LedgerBatch,
  type TransactionSummary
} from '@pekka/node/protocol'
import type { PekkaClient, TailRequest } from '@pekka/node/client'
import { io } from 'socket.io-client'
import { expectApplied } from '../support/provider.js'
import { World, cell, until, type Person } from '../support/world.js'

const place = ({ place: { index, position } }: TransactionSummary): string => `${index}-${position}`

describe('the ledger through the bridge', function () {
  this.timeout(60_000)
  let world: World
  let alice: Person
  let bob: Person
  let client: PekkaClient
  let task: Uint8Array

  before(async () => {
    world = await World.start()
    alice = await world.person()
    bob = await world.person(world.net.providers[1])
    client = world.client(alice)
    task = await client.submit(cell('print(1)'))
    await until('it is settled', async () => (await client.task(task)).view?.state === 'settled')
  })
  after(() => world.stop())

  const get = async <T>(path: string, schema: { parse(value: unknown): T }, asker = client): Promise<T> =>
    await asker.http.request('GET', path, schema, { token: await asker.tokens.get() })

  /** Pays so many times, one commit or several. */
  const pay = async (times: number): Promise<void> => {
    const to = world.net.providers[1].account
    for (let i = 0; i < times; i++)
      expectApplied(await world.net.demo.send(world.ledger, { kind: 'transfer', to, amount: 1n }))
  }

  /** All of a list, page after page. */
  async function all(path: string, limit: number, between = async () => {}): Promise<TransactionSummary[]> {
    const found: TransactionSummary[] = []
    let next: string | null = null
    do {
      const cursor: string = next === null ? '' : `&before=${next}`
      const page = await get(`${path}limit=${limit}${cursor}`, transactionPageSchema)
      found.push(...page.transactions)
      next = page.next
      await between()
    } while (next !== null)
    return found
  }

  /** What `list` has from the first of another listing on: a provider may have sent something between the two. */
  const from = (list: TransactionSummary[], [first]: TransactionSummary[]): TransactionSummary[] =>
    list.slice(list.findIndex(one => first !== undefined && place(one) === place(first)))

  it('lists transactions without a gap and without doubles, whatever comes meanwhile', async () => {
    await pay(5)
    const paged = await all('/v1/ledger/transactions?', 3, () => pay(1))
    const whole = from(await all('/v1/ledger/transactions?', 200), paged)
    assert.deepEqual(paged.map(place), whole.map(place))
    assert.equal(new Set(paged.map(place)).size, paged.length)
    // Against the ledger itself.
    const ids: string[] = []
    const stop = new AbortController()
    const last = whole[0]?.place.index ?? 0
    for await (const commit of world.ledger.follow(-1, stop.signal)) {
      ids.unshift(...commit.transactions.map(({ outcome }) => toHex(outcome.id)).toReversed())
      if (commit.header.index >= last) stop.abort()
    }
    assert.deepEqual(
      whole.map(({ id }) => toHex(id)),
      ids
    )
  })

  it('filters by account, kind and task, and an account’s history has what came to it', async () => {
    await pay(2)
    const other = world.net.providers[1].account
    const of = await all(`/v1/ledger/transactions?account=${toHex(other)}&`, 2)
    const grants = await all('/v1/ledger/transactions?kind=grant&', 2)
    const everything = await all('/v1/ledger/transactions?', 200)
    const expected = everything.filter(
      ({ account, to }) => toHex(account) === toHex(other) || (to !== null && toHex(to) === toHex(other))
    )
    assert.deepEqual(of.map(place), from(expected, of).map(place))
    assert.ok(of.some(({ kind }) => kind === 'transfer') && of.some(({ kind }) => kind === 'grant'))
    assert.deepEqual(grants.map(place), everything.filter(({ kind }) => kind === 'grant').map(place))
    const moved = await all(`/v1/ledger/transactions?task=${toHex(task)}&`, 1)
    assert.deepEqual(
      moved.map(({ kind }) => kind),
      ['commit', 'accept', 'offer']
    )
    assert.deepEqual(
      moved.map(({ code, tasks }) => [code, tasks.map(toHex)]),
      moved.map(() => [null, [toHex(task)]])
    )
  })

  it('shows one transaction, commit, account and task whole, whosever they are', async () => {
    const visitor = world.client(bob)
    const [newest] = (await get('/v1/ledger/transactions?limit=1', transactionPageSchema, visitor)).transactions
    assert.ok(newest)
    const detail = await get(`/v1/ledger/transactions/${toHex(newest.id)}`, transactionDetailSchema, visitor)
    assert.equal(place(detail), place(newest))
    assert.equal(detail.body.kind, newest.kind)
    const { index } = newest.place
    const commit = await get(`/v1/ledger/commits/${index}`, commitDetailSchema, visitor)
    assert.ok(commit.transactions.some(({ id }) => toHex(id) === toHex(newest.id)))
    const { tasks } = await get(`/v1/ledger/tasks?account=${toHex(alice.identity.account)}`, taskPageSchema, visitor)
    assert.deepEqual(
      tasks.map(view => toHex(view.task)),
      [toHex(task)]
    )
    const ran = await get(
      `/v1/ledger/tasks?provider=${toHex(world.net.providers[0].account)}&state=settled`,
      taskPageSchema,
      visitor
    )
    assert.equal(ran.tasks.length, 1)
    assert.deepEqual((await get('/v1/ledger/tasks?state=running', taskPageSchema, visitor)).tasks, [])
  })

  it('answers over the socket what it answers over HTTP, and refuses there what it refuses here', async () => {
    const visitor = world.client(bob)
    const token = await visitor.tokens.get()
    const socket = io(world.at.url, { path: SOCKET_PATH, auth: { token }, transports: ['websocket'] })
    const ask = async (request: unknown) => {
      const packed: unknown = await socket.emitWithAck('query-ledger', encodeCbor(request))
      assert.ok(packed instanceof Uint8Array)
      return ledgerQueryAnswerSchema.parse(decodeCbor(packed))
    }
    try {
      const whole = { parse: (value: unknown): unknown => value }
      const account = toHex(alice.identity.account)
      const pages: [string, Record<string, string>][] = [
        ['/v1/ledger/commits', { before: '3', limit: '2' }],
        ['/v1/ledger/commits/1', {}],
        ['/v1/ledger/transactions', { kind: 'offer' }],
        ['/v1/ledger/tasks', { account }],
        [`/v1/ledger/tasks/${toHex(task)}`, {}],
        ['/v1/ledger/blocks', { before: '3', epoch: '0' }],
        ['/v1/ledger/checkpoints', { before: '3' }],
        ['/v1/ledger/witnesses', { state: 'seated' }]
      ]
      for (const [path, query] of pages) {
        const http = (): Promise<unknown> => get(`${path}?${new URLSearchParams(query)}`, whole, visitor)
        const before = await http()
        const answered = await ask({ path, query })
        // The ledger may have gone on in between.
        const [first, then] = [before, await http()].map(answer => ({ ok: true, answer }))
        assert.deepEqual(answered, isDeepStrictEqual(answered, first) ? first : then, path)
      }
      const refusals: [unknown, string][] = [
        [{ path: '/v1/tasks', query: {} }, 'ROUTE_UNKNOWN'],
        [{ path: `/v1/accounts/${account}`, query: {} }, 'ROUTE_UNKNOWN'],
        [{ path: '/v1/ledger/commits', query: { limit: '100000' } }, 'SCHEMA_MISMATCH'],
        [{ path: '/v1/ledger/commits', query: { more: '1' } }, 'SCHEMA_MISMATCH'],
        [{ path: '/v1/ledger/commits/x', query: {} }, 'SCHEMA_MISMATCH'],
        [{ path: '/v1/ledger/commits' }, 'SCHEMA_MISMATCH'],
        ['/v1/ledger/commits', 'SCHEMA_MISMATCH']
      ]
      for (const [request, code] of refusals) {
        const refused = await ask(request)
        assert.equal(!refused.ok && refused.code, code, JSON.stringify(request))
      }
    } finally {
      socket.close()
    }
  })

  it('keeps what is private of an account with its own tokens: other people’s delegates aren’t listed (R38)', async () => {
    const answer = await fetch(`${world.at.url}/v1/ledger/accounts/${toHex(alice.identity.account)}`, {
      headers: { accept: 'application/json', 'x-pekka-token': await world.client(bob).tokens.get() }
    })
    const text = await answer.text()
    assert.equal(answer.status, 200)
    assert.ok(!text.includes(toHex(alice.signer.publicKey)))
    assert.equal(typeof JSON.parse(text).lanes, 'number')
    // The bridge's own view of the task, with its note, stays its owner's.
    await assert.rejects(world.client(bob).task(task), { code: 'TASK_UNKNOWN' })
    const anonymous = await fetch(`${world.at.url}/v1/ledger/commits`)
    assert.equal(anonymous.status, 401)
  })

  it('lists commits, blocks, checkpoints, accounts and witnesses', async () => {
    const first = await get('/v1/ledger/commits?limit=3', commitPageSchema)
    assert.equal(first.commits.length, 3)
    const second = await get(`/v1/ledger/commits?limit=3&before=${first.next}`, commitPageSchema)
    const indices = [...first.commits, ...second.commits].map(({ header }) => header.index)
    assert.deepEqual(
      indices,
      indices.map((_, i) => (indices[0] ?? 0) - i)
    )
    assert.equal(
      toHex(first.commits[0]?.header.previous ?? new Uint8Array()),
      toHex(first.commits[1]?.id ?? new Uint8Array())
    )
    const { blocks } = await get(`/v1/ledger/blocks?limit=2&before=${(indices[0] ?? 0) + 1}`, blockPageSchema)
    assert.deepEqual(
      blocks.map(({ commit, leader }) => [commit, leader]),
      [
        [indices[0], true],
        [indices[1], true]
      ]
    )
    assert.equal(toHex(blocks[0]?.parents[0] ?? new Uint8Array()), toHex(blocks[1]?.id ?? new Uint8Array()))
    const { checkpoints } = await get('/v1/ledger/checkpoints?limit=2', checkpointPageSchema)
    assert.deepEqual(checkpoints[0]?.signers, [0])
    const accounts: string[] = []
    for (let next: string | null = ''; next !== null;) {
      const page: { accounts: { account: Uint8Array }[]; next: string | null } = await get(
        `/v1/ledger/accounts?limit=1${next === '' ? '' : `&after=${next}`}`,
        accountPageSchema
      )
      accounts.push(...page.accounts.map(({ account }) => toHex(account)))
      next = page.next
    }
    assert.deepEqual(accounts, [...world.ledger.state.keys('account')])
    const { witnesses, quorum } = await get('/v1/ledger/witnesses', witnessPageSchema)
    assert.deepEqual(
      witnesses.map(({ key, seat }) => [toHex(key), seat?.author, seat?.stake]),
      [[toHex(world.net.witness.publicKey), 0, quorum]]
    )
    // One that decides alone is accused of nothing, and there is no evidence.
    assert.deepEqual(
      witnesses.map(({ equivocated }) => equivocated),
      [[]]
    )
    const where = `/v1/ledger/evidence?witness=${toHex(world.net.witness.publicKey)}&epoch=0`
    await assert.rejects(get(`${where}&round=1`, evidenceAnswerSchema), { code: 'NOT_ON_LEDGER' })
    await assert.rejects(get(`${where}&round=0`, evidenceAnswerSchema), { code: 'SCHEMA_MISMATCH' })
  })

  it('exports a window of the DAG whose edges join up', async () => {
    const window = await get('/v1/ledger/dag?commits=6', dagWindowSchema)
    assert.equal(window.commits.length, 6)
    assert.equal(window.to - window.from, 5)
    const blocks = new Map(window.blocks.map(block => [toHex(block.id), block]))
    const transactions = new Map(window.transactions.map(one => [toHex(one.id), one]))
    for (const commit of window.commits) {
      assert.ok(commit.leader !== null && blocks.has(toHex(commit.leader)))
      for (const id of commit.transactions) assert.equal(transactions.get(toHex(id))?.place.index, commit.index)
    }
    for (const block of window.blocks.slice(1)) {
      assert.ok(block.parents.every(parent => blocks.has(toHex(parent))))
      assert.ok(block.transactions.every(id => transactions.has(toHex(id))))
    }
    const older = await get(`/v1/ledger/dag?commits=2&to=${window.from}`, dagWindowSchema)
    assert.equal(older.to, window.from)
  })

  it('refuses hostile cursors, ids and limits with a problem document', async () => {
    const paths = [
      'transactions?before=1',
      'transactions?before=1-2-3',
      'transactions?before=-1-0',
      'transactions?before=99999999999999999999-0',
      'transactions?before=0x10-0',
      `transactions?before=${'1'.repeat(5000)}-0`,
      'transactions?account=abc',
      'transactions?kind=contest',
      'transactions?limit=0',
      'transactions?limit=201',
      'transactions?before=1-0&before=2-0',
      'transactions?order=up',
      'commits?before=1e3',
      'commits?before=%00',
      'commits/-1',
      'commits/..%2f..',
      'accounts?after=zz',
      'dag?commits=33',
      'dag?to=%27%20or%201',
      `transactions/${'g'.repeat(64)}`
    ]
    const token = await client.tokens.get()
    for (const path of paths) {
      const answer = await fetch(`${world.at.url}/v1/ledger/${path}`, { headers: { 'x-pekka-token': token } })
      assert.equal(answer.headers.get('content-type'), 'application/problem+json; charset=utf-8', path)
      assert.equal(answer.status, 400, path)
      const { code, title } = (await answer.json()) as { code: string; title: string }
      assert.equal(code, 'SCHEMA_MISMATCH', path)
      assert.match(title, /wrong shape: [^:\s]/, path)
    }
    for (const path of [`transactions/${'0'.repeat(64)}`, 'commits/999999999', `tasks/${'0'.repeat(64)}`]) {
      const answer = await fetch(`${world.at.url}/v1/ledger/${path}`, { headers: { 'x-pekka-token': token } })
      assert.equal(((await answer.json()) as { code: string }).code, 'NOT_ON_LEDGER', path)
    }
    // A place beyond the end is one like any other.
    const far = await get('/v1/ledger/transactions?before=999999999-0&limit=1', transactionPageSchema)
    assert.equal(far.transactions.length, 1)
  })

  /** Follows, and keeps what it is told. */
  function tail(request: Partial<TailRequest>) {
    const told: string[] = []
    const batches: LedgerBatch[] = []
    const ended = client.followLedger(
      { after: null, account: null, task: null, ...request },
      {
        batch: batch => {
          batches.push(batch)
          told.push(...batch.transactions.map(place))
        },
        failed: error => void told.push(error.code)
      }
    )
    return { told, batches, stop: () => ended.stop(), follower: ended }
  }

  it('follows one task alone, and what comes from now on alone', async () => {
    await pay(1)
    const [newest] = (await get('/v1/ledger/transactions?limit=1', transactionPageSchema)).transactions
    const height = newest?.place.index ?? Infinity
    // The bridge's own view of the ledger may be a turn behind the witness'.
    const seen = tail({ after: height - 1 })
    await until('the bridge has seen it', () => seen.told.length > 0)
    seen.stop()
    const late = tail({})
    await until('it is asked', () => late.follower.after !== null)
    const second = await client.submit(cell('print(2)'))
    const follower = tail({ after: -1, task: second })
    try {
      await until('it is settled', async () => (await client.task(second)).view?.state === 'settled')
      const moved = (await all(`/v1/ledger/transactions?task=${toHex(second)}&`, 10)).toReversed()
      const wanted = new Set(moved.map(place))
      await until('its steps are told', () => follower.told.filter(one => wanted.has(one)).length === moved.length)
      // `alive` doesn't move a task, but is told all the same.
      assert.ok(
        follower.batches.every(({ transactions }) =>
          transactions.every(({ tasks }) => toHex(tasks[0] ?? task) === toHex(second))
        )
      )
      await until('so they are to who follows all', () => moved.every(one => late.told.includes(place(one))))
      assert.ok((late.batches[0]?.after ?? -1) >= height)
    } finally {
      follower.stop()
      late.stop()
    }
  })

  it('follows final transactions over a restart of the bridge: nothing is lost and nothing told twice', async () => {
    const follower = tail({ after: -1 })
    const of = tail({ after: -1, account: world.net.providers[1].account })
    try {
      await pay(3)
      await until('the first are told', () => follower.told.length > 3)
      const [http, link] = [new URL(world.at.url).port, /\/tcp\/(\d+)/.exec(world.address)?.[1]]
      await world.stopBridge()
      // More than the bridge keeps of what it has just seen.
      await pay(70)
      await world.startBridge(Number(http), Number(link))
      await pay(3)
      const everything = (await all('/v1/ledger/transactions?', 200)).toReversed()
      await until('all are told', () => follower.told.length >= everything.length)
      assert.deepEqual(follower.told.slice(0, everything.length), everything.map(place))
      const mine = (
        await all(`/v1/ledger/transactions?account=${toHex(world.net.providers[1].account)}&`, 200)
      ).toReversed()
      await until('those of the account are told', () => of.told.length >= mine.length)
      assert.deepEqual(of.told.slice(0, mine.length), mine.map(place))
    } finally {
      follower.stop()
      of.stop()
    }
  })
})
