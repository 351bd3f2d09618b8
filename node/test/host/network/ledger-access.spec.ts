import assert from 'node:assert/strict'
import { LedgerClient, serveLedger } from '@pekka/node/host/network'
import {
  DEVNET_PARAMETERS,
  encodeProof,
  PekkaError,
  sha256,
  utf8,
  type CommitView,
  type HistoryRequest,
  type LedgerAccess,
  type LedgerTime,
  type PageOf,
  type ProofRequest,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { MAX_UNSIGNED_IN_A_ROW } from '../../../src/host/network/constants.js'
import { TestNetwork, firstAddress } from './support.js'

const code = (expected: string) => (error: unknown) =>
  error instanceof Error && 'code' in error && error.code === expected

const hash = (text: string) => sha256(utf8(text))

const commit = (index: number): CommitView => ({
  header: {
    index,
    timestamp: 1_000 + index,
    contractTime: index,
    previous: hash(`${index - 1}`),
    transactionsHash: hash('none'),
    witness: hash('witness'),
    signature: new Uint8Array(64)
  },
  transactions: [],
  tasks: [],
  asks: [],
  accounts: []
})

/** A ledger that only counts: the tests are about the way to it. */
class CountingLedger implements LedgerAccess {
  submitted = 0
  followers = 0
  /** How often it was asked for the time. */
  asked = 0
  /** Commits there are; followers wait for more. */
  height = 0
  #wake: (() => void)[] = []

  grow(by: number): void {
    this.height += by
    for (const wake of this.#wake.splice(0)) wake()
  }

  async submit(transaction: Uint8Array): Promise<TransactionOutcome> {
    this.submitted += 1
    if (transaction.length === 0) throw new PekkaError('FUNDS_MISSING', { have: 1n, need: 2n })
    return { status: 'applied', id: sha256(transaction), index: 7, timestamp: 5 }
  }

  async time(): Promise<LedgerTime> {
    this.asked += 1
    return {
      network: hash('network'),
      index: this.height,
      timestamp: 1,
      contractTime: 1,
      parents: [hash('parent')],
      parameters: DEVNET_PARAMETERS
    }
  }

  async genesis(): Promise<Uint8Array> {
    return new Uint8Array([1, 2, 3])
  }

  async account(): Promise<null> {
    return null
  }

  async provider(): Promise<null> {
    return null
  }

  async task(): Promise<null> {
    return null
  }

  async asks(): Promise<never[]> {
    return []
  }

  async auctions(): Promise<never[]> {
    return []
  }

  async prove(what: ProofRequest): Promise<Uint8Array | null> {
    return what.kind === 'transaction' ? what.id : null
  }

  /** Pages of the past under way, the most at once, and what one waits for. */
  pages = { open: 0, most: 0 }
  gate: Promise<void> = Promise.resolve()

  async history<R extends HistoryRequest>(what: R): Promise<PageOf<R>> {
    this.pages.open += 1
    this.pages.most = Math.max(this.pages.most, this.pages.open)
    await this.gate
    this.pages.open -= 1
    if (what.kind !== 'commits') throw new PekkaError('LEDGER_UNREACHABLE')
    // A test asks for commits alone.
    return { first: 0, commits: [commit(what.query.from)] } as unknown as PageOf<R>
  }

  async transaction(): Promise<null> {
    return null
  }

  async *follow(after: number, signal: AbortSignal): AsyncGenerator<CommitView, void, undefined> {
    this.followers += 1
    try {
      for (let next = after + 1; !signal.aborted; next++) {
        while (next >= this.height && !signal.aborted) {
          await new Promise<void>(resolve => {
            this.#wake.push(resolve)
            signal.addEventListener('abort', () => resolve(), { once: true })
          })
        }
        if (!signal.aborted) yield commit(next)
      }
    } finally {
      this.followers -= 1
    }
  }
}

describe('ledger access', () => {
  const network = new TestNetwork()
  const clients: LedgerClient[] = []
  afterEach(async () => {
    for (const client of clients.splice(0)) await client.stop()
    await network.stop()
  })

  async function client(addresses: string[], patience = 5_000, silence?: number): Promise<LedgerClient> {
    const made = new LedgerClient({ host: await network.host() }, { addresses, patience, silence })
    clients.push(made)
    return made
  }

  async function witness(ledger: LedgerAccess) {
    const server = await network.listener()
    await serveLedger(server, ledger)
    return server
  }

  it('carries calls and their answers, many at once, over one stream', async () => {
    const ledger = new CountingLedger()
    const access = await client([firstAddress(await witness(ledger))])
    const outcomes = await Promise.all(Array.from({ length: 200 }, (_, n) => access.submit(new Uint8Array([n, 1]))))
    assert.equal(ledger.submitted, 200)
    outcomes.forEach((outcome, n) => assert.deepEqual(outcome.id, sha256(new Uint8Array([n, 1]))))
    assert.deepEqual(await access.time(), await ledger.time())
    assert.deepEqual(await access.genesis(), new Uint8Array([1, 2, 3]))
    assert.equal(await access.account(hash('nobody')), null)
    assert.equal(await access.transaction(hash('nothing')), null)
    assert.deepEqual(await access.asks('base'), [])
  })

  it('makes one page of the past at a time for a stream, and answers what else is asked meanwhile', async () => {
    const ledger = new CountingLedger()
    const access = await client([firstAddress(await witness(ledger))])
    const gate = Promise.withResolvers<void>()
    ledger.gate = gate.promise
    const query = { from: 0, count: 1, ascending: true }
    const pages = Array.from({ length: 8 }, () => access.history({ kind: 'commits', query }))
    await access.time()
    assert.equal(ledger.pages.open, 1)
    gate.resolve()
    assert.equal((await Promise.all(pages)).length, 8)
    assert.equal(ledger.pages.most, 1)
  })

  it('hands the ledger’s own errors on with code and data, and asks only once', async () => {
    const ledger = new CountingLedger()
    const access = await client([firstAddress(await witness(ledger))])
    await assert.rejects(access.submit(new Uint8Array(0)), (error: unknown) => {
      assert.ok(error instanceof PekkaError)
      assert.equal(error.code, 'FUNDS_MISSING')
      assert.equal(error.data['need'], '2')
      return true
    })
    assert.equal(ledger.submitted, 1)
  })

  it('ends a stream that brings too many in a row whose signatures don’t hold, with all its answers', async () => {
    const ledger = new CountingLedger()
    const submit = ledger.submit.bind(ledger)
    ledger.submit = async transaction => {
      const { id } = await submit(transaction)
      if (transaction[0] === 1) return { status: 'applied', id, index: 7, timestamp: 5 }
      return { status: 'refused', id, code: 'SIGNATURE_INVALID', data: {} }
    }
    const host = await network.host()
    let streams = 0
    const open: typeof host.open = (...how) => {
      streams += 1
      return host.open(...how)
    }
    const addresses = [firstAddress(await witness(ledger))]
    const access = new LedgerClient({ host: { ...host, open } }, { addresses })
    clients.push(access)
    const send = async (holds: boolean, times = 1) => {
      for (let sent = 0; sent < times; sent++) await access.submit(new Uint8Array([holds ? 1 : 0, sent]))
    }
    await send(false, MAX_UNSIGNED_IN_A_ROW - 1)
    await send(true)
    await send(false, MAX_UNSIGNED_IN_A_ROW - 1)
    await send(true)
    await send(false, MAX_UNSIGNED_IN_A_ROW)
    assert.equal(streams, 1)
    await send(true)
    assert.equal(streams, 2)
    assert.equal(ledger.submitted, 3 * MAX_UNSIGNED_IN_A_ROW + 1)
  })

  it('follows commits in order and without gaps over a cut, and stops when told', async () => {
    const ledger = new CountingLedger()
    const server = await witness(ledger)
    const [proxy, address] = await network.proxy(server)
    const access = await client([address])
    ledger.grow(500)
    const stop = new AbortController()
    let expected = 3
    for await (const { header } of access.follow(2, stop.signal)) {
      assert.equal(header.index, expected++)
      if (expected === 200) proxy.cut()
      if (expected === 500) ledger.grow(10)
      if (expected === 510) stop.abort()
    }
    assert.equal(expected, 510)
    while (ledger.followers > 0) await new Promise(resolve => setTimeout(resolve, 10))
  })

  it('follows at the witness that keeps enough, and says at once where none does', async () => {
    const refusing = (first: number): LedgerAccess =>
      Object.assign(new CountingLedger(), {
        async *follow(after: number) {
          throw new PekkaError('HISTORY_PRUNED', { what: `commit ${after + 1}`, first })
        }
      })
    const whole = new CountingLedger()
    whole.grow(20)
    const [young, younger, old] = [await witness(refusing(90)), await witness(refusing(95)), await witness(whole)]
    const stop = new AbortController()
    const access = await client([young, old].map(firstAddress))
    for await (const { header } of access.follow(2, stop.signal)) if (header.index === 10) stop.abort()
    const lost = await client([young, younger].map(firstAddress), 60_000)
    await assert.rejects(
      async () => {
        for await (const _ of lost.follow(2, new AbortController().signal)) assert.fail()
      },
      { code: 'HISTORY_PRUNED', data: { what: 'commit 3', first: 95 } }
    )
  })

  /** What a follower is told at whose witnesses `lacking` keep nothing before commit 90, and the others are gone. */
  async function toldWhere(lacking: readonly boolean[], code: string): Promise<void> {
    const young = await witness(
      Object.assign(new CountingLedger(), {
        async *follow(after: number) {
          throw new PekkaError('HISTORY_PRUNED', { what: `commit ${after + 1}`, first: 90 })
        }
      })
    )
    const gone = await witness(new CountingLedger())
    const addresses = lacking.map(lacks => firstAddress(lacks ? young : gone))
    await gone.stop()
    const lost = await client(addresses, 1_000)
    await assert.rejects(
      async () => {
        for await (const _ of lost.follow(2, new AbortController().signal)) assert.fail()
      },
      { code }
    )
  }

  it('says so, too, where another one can’t be reached for all that time', () =>
    toldWhere([true, true, false], 'HISTORY_PRUNED'))

  it('doesn’t believe that of one in four alone', () => toldWhere([true, false, false, false], 'LEDGER_UNREACHABLE'))

  it('says at once that the next commit is larger than a message, through a relay too, and follows on after it', async () => {
    const large = new CountingLedger()
    large.grow(20)
    const ledger: LedgerAccess = Object.assign(new CountingLedger(), {
      async *follow(after: number, signal: AbortSignal) {
        for await (const one of large.follow(after, signal)) {
          const part = { bytes: new Uint8Array(256 << 10), outcome: await large.submit(new Uint8Array(1)) }
          yield one.header.index === 8 ? { ...one, transactions: new Array(65).fill(part) } : one
        }
      }
    })
    const relay = await witness(await client([firstAddress(await witness(ledger))], 60_000))
    const access = await client([firstAddress(relay)], 60_000)
    const seen: number[] = []
    const stop = new AbortController()
    await assert.rejects(
      async () => {
        for await (const { header } of access.follow(5, stop.signal)) seen.push(header.index)
      },
      { code: 'LINK_MESSAGE_TOO_LARGE' }
    )
    for await (const { header } of access.follow(8, stop.signal)) {
      seen.push(header.index)
      if (header.index === 10) stop.abort()
    }
    assert.deepEqual(seen, [6, 7, 9, 10])
  })

  it('goes on with the next address when one is gone, and repeats the call that was under way', async () => {
    const ledger = new CountingLedger()
    let asked = 0
    const stuck: LedgerAccess = Object.assign(new CountingLedger(), {
      submit: () => {
        asked += 1
        return new Promise<never>(() => {})
      }
    })
    const first = await witness(stuck)
    const access = await client([firstAddress(first), firstAddress(await witness(ledger))])
    const outcome = access.submit(new Uint8Array([1]))
    while (asked === 0) await new Promise(resolve => setTimeout(resolve, 5))
    await first.stop()
    assert.equal((await outcome).status, 'applied')
    assert.equal(ledger.submitted, 1)
  })

  it('leaves a witness that is there and says nothing, for calls and for commits', async () => {
    const mute: LedgerAccess = Object.assign(new CountingLedger(), {
      time: () => new Promise<never>(() => {}),
      submit: () => new Promise<never>(() => {})
    })
    const ledger = new CountingLedger()
    ledger.grow(3)
    const addresses = [firstAddress(await witness(mute)), firstAddress(await witness(ledger))]
    const access = await client(addresses, 20_000, 100)
    assert.equal((await access.submit(new Uint8Array([1]))).status, 'applied')
    const other = await client(addresses, 20_000, 100)
    const stop = new AbortController()
    for await (const { header } of other.follow(-1, stop.signal)) if (header.index === 2) stop.abort()
  })

  it('never reads from a witness that is behind what another has shown', async () => {
    const [ahead, behind] = [new CountingLedger(), new CountingLedger()]
    ahead.height = 9
    const reads: number[] = []
    Object.assign(behind, {
      account: async () => {
        reads.push(behind.height)
        return null
      }
    })
    const first = await witness(ahead)
    const access = await client([firstAddress(first), firstAddress(await witness(behind))], 20_000, 10_000)
    assert.equal((await access.time()).index, 9)
    await first.stop()
    const reading = access.account(hash('somebody'))
    // It has asked how far that one is, and waits.
    while (behind.asked === 0) await new Promise(resolve => setTimeout(resolve, 5))
    behind.height = 9
    await reading
    assert.deepEqual(reads, [9])
  })

  it('proves no rows from before a checkpoint that a transaction was shown under', async () => {
    const [ahead, behind] = [new CountingLedger(), new CountingLedger()]
    ahead.prove = async () => proofAt(9)
    let certified = 5
    let asked = 0
    behind.prove = async () => {
      asked += 1
      return proofAt(certified)
    }
    const first = await witness(ahead)
    const access = await client([firstAddress(first), firstAddress(await witness(behind))], 20_000, 10_000)
    assert.deepEqual(await access.prove({ kind: 'transaction', id: hash('transaction') }), proofAt(9))
    await first.stop()
    const proving = access.prove({ kind: 'rows', rows: [] })
    while (asked === 0) await new Promise(resolve => setTimeout(resolve, 5))
    certified = 9
    assert.deepEqual(await proving, proofAt(9))
  })

  it('reads on, after a moment, where one witness tells a height that no other has', async () => {
    const [liar, ...others] = [new CountingLedger(), new CountingLedger(), new CountingLedger(), new CountingLedger()]
    liar.height = 1_000_000_000
    const first = await witness(liar)
    const addresses = [firstAddress(first)]
    for (const other of others) addresses.push(firstAddress(await witness(other)))
    const access = await client(addresses, 20_000, 100)
    assert.equal((await access.time()).index, 1_000_000_000)
    await first.stop()
    assert.equal(await access.account(hash('somebody')), null)
    assert.equal((await access.time()).index, 0)
  })

  it('works through a relay, and leaves a relay that has lost the ledger', async () => {
    const ledger = new CountingLedger()
    const inner = await client([firstAddress(await witness(ledger))])
    const lost = await client(['/ip4/127.0.0.1/tcp/1/p2p/12D3KooWKnDdG3iXw9eTFijk3EWSunZcFi54Zka4wmtqtt6rPxc8'], 50)
    const access = await client([firstAddress(await witness(lost)), firstAddress(await witness(inner))])
    assert.equal((await access.submit(new Uint8Array([1]))).status, 'applied')
  })

  it('says LEDGER_UNREACHABLE when its patience ends', async () => {
    const gone = await witness(new CountingLedger())
    const address = firstAddress(gone)
    await gone.stop()
    const access = await client([address], 100)
    await assert.rejects(access.time(), code('LEDGER_UNREACHABLE'))
    await assert.rejects(
      (async () => {
        for await (const each of access.follow(-1, new AbortController().signal))
          assert.fail(`got ${each.header.index}`)
      })(),
      code('LEDGER_UNREACHABLE')
    )
  })
})

/** A proof of nothing, as of a commit; nobody here checks its signatures. */
function proofAt(index: number): Uint8Array {
  const [network, head] = [hash('network'), hash(`commit ${index}`)]
  const checkpoint = {
    ...{ v: 1 as const, network, epoch: 0, index, head, timestamp: 1, contractTime: 1, previous: network },
    ...{ stateRoot: head, transactionsRoot: head, transactions: 0, committee: head, nextCommittee: null }
  }
  const certificate = { checkpoint, signers: new Uint8Array([128]), signatures: new Uint8Array(64) }
  return encodeProof({ v: 1, steps: [], certificate, claims: [] })
}
