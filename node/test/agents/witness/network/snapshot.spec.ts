import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  accountId,
  AGENT_BODIES,
  CREDIT,
  decodeCanonical,
  decodeSigned,
  encodeCanonical,
  encodeSigned,
  networkId,
  peerVouchMessage,
  signTransaction,
  toHex,
  type CommitView,
  type LedgerAccess,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { STANDARD_PACE, STANDARD_PARAMETERS, type Pace } from '@pekka/node/consensus'
import { brokenInvariants, MemoryState } from '@pekka/node/ledger'
import { createHashing, createSigner, createVerifier, systemClock } from '@pekka/node/host/crypto'
import type { NetworkHost } from '@pekka/node/host/network'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import type { LocalLedger } from '../../../../src/agents/witness/index.js'
import {
  askForSnapshots,
  beginWithSnapshot,
  checkSnapshot,
  committeeGenesis,
  createCommitteeLedger,
  LastProposed,
  piecesOf,
  serveSnapshots,
  SnapshotMaker,
  verifySnapshot,
  type KeptSnapshot
} from '../../../../src/agents/witness/network/index.js'
import { FINAL_WINDOW } from '../../../../src/agents/witness/network/constants.js'
import { finalBefore } from '../../../../src/agents/witness/network/executing.js'
import { decodeEpochStart, encodeEpochStart } from '../../../../src/agents/witness/network/blocks/records.js'
import {
  decodeSnapshot,
  encodeSnapshot,
  type SnapshotPart,
  type SnapshotRecord
} from '../../../../src/agents/witness/network/snapshot/format.js'
import { askOf, grantOf } from '../../../core/ledger/support.js'
import { createTestNetwork, faucet, seed, Sender } from '../support.js'
import { startHost } from './committee.js'
import { startLiar, type Lie } from './snapshot-liar.js'

const silent = { info: () => {}, warn: () => {}, error: () => {} }
const PARAMETERS = { ...STANDARD_PARAMETERS, epochCommits: 80, epochRounds: 800, gcDepth: 8 }
/** Epochs of some 400 ms … */
const QUICK: Pace = { ...STANDARD_PACE, minRoundDelay: 0, idleDelay: 5 }
/** … and of a minute, so that the blocks of one are still there when somebody begins with its snapshot. */
const SLOW: Pace = { ...STANDARD_PACE, idleDelay: 800 }

const components = { verifier: createVerifier(), hashing: createHashing() }

describe('witness: a snapshot', function () {
  this.timeout(60_000)
  let folder = ''
  const hosts: NetworkHost[] = []
  const owner = createSigner(seed())
  const policy = { threshold: 1, keys: [owner.publicKey] }
  const witnessSeed = seed()
  const genesis = committeeGenesis({
    base: { ...createTestNetwork().genesis, accounts: [{ policy, balance: 10n * CREDIT }] },
    members: [{ seed: witnessSeed, stake: 5n, account: accountId(policy) }],
    parameters: PARAMETERS,
    epochs: 8
  })
  const network = networkId(genesis)
  const store = new MemoryLedgerStore()
  const open: LocalLedger[] = []
  let snapshot: KeptSnapshot
  const records: SnapshotRecord[] = []
  /** What became of a transaction from before the snapshot, and its bytes. */
  let early: { bytes: Uint8Array; outcome: TransactionOutcome }

  const ledgerOf = (
    name: string,
    init: {
      host: NetworkHost
      store: MemoryLedgerStore
      seed: Uint8Array
      pace: Pace
      peers?: string[]
      snapshots?: SnapshotMaker
    }
  ) =>
    createCommitteeLedger(
      {
        ...init,
        signer: { ...createSigner(init.seed), seed: init.seed },
        verifier: createVerifier(),
        lastProposed: new LastProposed(join(folder, name)),
        clock: systemClock,
        log: silent
      },
      { genesis: encodeCanonical(genesis), peers: init.peers ?? [], pace: init.pace }
    )
  const makerOf = (): SnapshotMaker =>
    new SnapshotMaker(
      { store, log: silent },
      { network, genesis: encodeCanonical(genesis), folder: join(folder, 'snapshots') }
    )

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-snapshot-'))
    hosts.push(await startHost(), await startHost(['/ip4/127.0.0.1/tcp/0']))
    const [quiet = assert.fail()] = hosts
    await LastProposed.create(join(folder, 'first'))
    const snapshots = makerOf()
    const { ledger } = ledgerOf('first', { host: quiet, store, seed: witnessSeed, pace: QUICK, snapshots })
    await ledger.start()
    const sender = new Sender(accountId(policy), null, owner)
    const { bytes } = await sender.sign(ledger, faucet())
    early = { bytes, outcome: await ledger.submit(bytes) }
    const published = await publishAsk(ledger, sender)
    // That of epoch 1 at least, so that a step leads to its committee; and with the ask in it.
    let newest = await snapshots.newest()
    while (newest === null || newest.epoch < 2 || newest.index < published) {
      await new Promise(resolve => setTimeout(resolve, 50))
      newest = await snapshots.newest()
    }
    await snapshots.stop()
    await ledger.stop()
    snapshot = (await snapshots.newest()) ?? assert.fail()
    for await (const record of decodeSnapshot(piecesOf(snapshot.path))) records.push(record)
  })
  after(async () => {
    for (const ledger of open) await ledger.stop()
    for (const host of hosts) await host.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** The account becomes a provider; gives the commit of its ask. */
  async function publishAsk(ledger: LocalLedger, sender: Sender): Promise<number> {
    const peer = createSigner(seed())
    const agent = createSigner(seed())
    const peerSignature = await peer.sign(peerVouchMessage(network, accountId(policy)))
    const about = { name: 'machine', operator: null, peerKey: peer.publicKey, peerSignature }
    const expiry = Date.now() + 3_600_000
    for (const body of [
      { kind: 'register-provider' as const, ...about },
      { kind: 'bond' as const, amount: CREDIT },
      grantOf(agent.publicKey, [...AGENT_BODIES], { cap: CREDIT, perTask: CREDIT, expiry })
    ])
      assert.equal((await sender.send(ledger, body)).status, 'applied', body.kind)
    const ask = askOf(accountId(policy), 1, { kemExpiry: expiry, expiry })
    const lane = new Sender(accountId(policy), agent.publicKey, agent)
    const outcome = await lane.send(ledger, { kind: 'ask', ask })
    assert.equal(outcome.status, 'applied', JSON.stringify(outcome))
    return 'index' in outcome ? outcome.index : assert.fail()
  }

  /** The snapshot as a liar would give it. */
  async function* lie(change: (record: SnapshotRecord) => SnapshotRecord | null): AsyncGenerator<Uint8Array> {
    const changed = records.map(change).filter(record => record !== null)
    const [head, ...parts] = changed
    if (head?.kind !== 'head') throw new TypeError('no head')
    yield* encodeSnapshot(
      head,
      (async function* () {
        for (const part of parts) if (part.kind !== 'head' && part.kind !== 'end') yield part satisfies SnapshotPart
      })()
    )
  }
  const refused = (pieces: AsyncIterable<Uint8Array>, message: RegExp): Promise<void> =>
    assert.rejects(verifySnapshot(components, network, pieces), { code: 'SNAPSHOT_INVALID', message })

  it('holds the state that a quorum has signed, and is read back whole', async () => {
    const { certificate, ledger } = await verifySnapshot(components, network, piecesOf(snapshot.path))
    assert.equal(certificate.checkpoint.index, snapshot.index)
    assert.equal(certificate.checkpoint.epoch + 1, snapshot.epoch)
    assert.equal(ledger.index, snapshot.index)
    const commits = records.flatMap(record => (record.kind === 'commits' ? record.commits : []))
    assert.equal(commits.length, snapshot.index + 1)
  })

  it('is refused with another row, without one, or with one more', async () => {
    const inRows = (change: (rows: [string, string, Uint8Array][]) => [string, string, Uint8Array][]) =>
      lie(record => (record.kind === 'rows' ? { ...record, rows: change(record.rows) } : record))
    const richer = ([table, key, bytes]: [string, string, Uint8Array]): [string, string, Uint8Array] => {
      if (table !== 'account') return [table, key, bytes]
      const row = decodeCanonical(bytes)
      return [table, key, encodeCanonical({ ...(row as object), balance: 9_999_999n })]
    }
    await refused(
      inRows(rows => rows.map(richer)),
      /not those that a quorum has signed/
    )
    await refused(
      inRows(rows => rows.filter(([table]) => table !== 'witness')),
      /not those that a quorum has signed/
    )
    const more = (rows: [string, string, Uint8Array][]) =>
      rows.flatMap(row => (row[0] === 'account' ? [row, row] : [row]))
    await refused(inRows(more), /out of order/)
    await refused(
      inRows(rows => [...rows].reverse()),
      /out of order/
    )
  })

  it('is refused with other commits, with fewer, or with another outcome', async () => {
    type Commits = Extract<SnapshotRecord, { kind: 'commits' }>['commits']
    const inCommits = (change: (commits: Commits) => Commits) =>
      lie(record => (record.kind === 'commits' ? { ...record, commits: change(record.commits) } : record))
    await refused(
      inCommits(commits => commits.slice(1)),
      /commits are missing/
    )
    await refused(
      inCommits(commits => commits.slice(0, -1)),
      /do not lead/
    )
    await refused(
      inCommits(commits => commits.filter((_, i) => i !== 3)),
      /do not follow/
    )
    const forged = (commits: Commits): Commits =>
      commits.map(commit => ({ ...commit, ordered: commit.ordered.map(([id]) => [id, 'FUNDS_MISSING']) }))
    await refused(inCommits(forged), /ordered other transactions/)
    const lastLater = (commits: Commits): Commits =>
      commits.map((commit, i) => (i < commits.length - 1 ? commit : { ...commit, timestamp: commit.timestamp + 1 }))
    await refused(inCommits(lastLater), /do not lead/)
    const earlier = (commits: Commits): Commits =>
      commits.map(commit => ({ ...commit, timestamp: commit.timestamp - 1 }))
    await refused(inCommits(earlier), /do not follow/)
  })

  it('is refused without the transaction of an ask, and with one that its publisher has not signed so', async () => {
    const inAsks = (change: (transaction: Uint8Array) => Uint8Array[]) =>
      lie(record =>
        record.kind === 'asks' ? { ...record, transactions: record.transactions.flatMap(change) } : record
      )
    const [published] = records.flatMap(record => (record.kind === 'asks' ? record.transactions : []))
    const { transaction, signatures } = decodeSigned(published ?? assert.fail('no ask'))
    await refused(
      inAsks(() => []),
      /transaction of an ask is missing/
    )
    await refused(
      lie(record => (record.kind === 'asks' ? null : record)),
      /transaction of an ask is missing/
    )
    const broken = signatures.map(one => ({
      ...one,
      signature: one.signature.map((byte, i) => (i === 5 ? byte ^ 1 : byte))
    }))
    await refused(
      inAsks(() => [encodeSigned({ transaction, signatures: broken })]),
      /signature does not hold/
    )
    const stranger = await signTransaction(transaction, [createSigner(seed())])
    await refused(
      inAsks(() => [encodeSigned(stranger)]),
      /signed by somebody else/
    )
    await refused(
      inAsks(bytes => [bytes, bytes]),
      /published none of its asks/
    )
    await refused(
      inAsks(bytes => [bytes, early.bytes]),
      /somebody else|none of its asks/
    )
  })

  it('is read no further than its head where that is of another one than was offered', async () => {
    const pieces: Uint8Array[] = []
    for await (const piece of piecesOf(snapshot.path)) pieces.push(piece)
    const whole = Buffer.concat(pieces)
    let pulled = 0
    const given = async function* (): AsyncGenerator<Uint8Array> {
      for (pulled = 0; pulled < whole.length; pulled += 500) yield whole.subarray(pulled, pulled + 500)
    }
    await checkSnapshot(components, network, given(), snapshot)
    assert.ok(pulled >= whole.length)
    const rows = records.findIndex(({ kind }) => kind === 'rows')
    const head = records.slice(0, rows + 1).reduce((size, record) => size + encodeCanonical(record).length + 4, 17)
    for (const offered of [
      { ...snapshot, index: 2 ** 50 },
      { ...snapshot, epoch: 1e9 }
    ]) {
      await assert.rejects(checkSnapshot(components, network, given(), offered), /another one than was offered/)
      assert.ok(pulled <= head, `read on to ${pulled} of ${whole.length}`)
    }
  })

  it('is refused where the next epoch would begin otherwise: other members, history, or state', async () => {
    const inHead = (change: (head: Extract<SnapshotRecord, { kind: 'head' }>) => object) =>
      lie(record => (record.kind === 'head' ? { ...record, ...change(record) } : record))
    const start = (change: object) =>
      inHead(head => ({ start: encodeEpochStart({ ...decodeEpochStart(head.start), ...change }) }))
    const other = { key: createSigner(seed()).publicKey, stake: 5n, tip: new Uint8Array(32) }
    for (const change of [
      { members: [other] },
      { nextMembers: [other] },
      { history: new Uint8Array(32) },
      { firstIndex: 7 }
    ])
      await refused(start(change), /begins otherwise/)
    await refused(
      inHead(() => ({ state: new Uint8Array(32) })),
      /begins otherwise/
    )
  })

  it('is refused where its checkpoint is not signed by the committee that the genesis leads to', async () => {
    const broken = lie(record => {
      if (record.kind !== 'head') return record
      const signatures = record.certificate.signatures.slice()
      signatures[5] = (signatures[5] ?? 0) ^ 1
      return { ...record, certificate: { ...record.certificate, signatures } }
    })
    await refused(broken, /signature does not hold/)
    await refused(
      lie(record => (record.kind === 'steps' ? { ...record, steps: [] } : record)),
      /another epoch/
    )
    const stranger = { threshold: 1, keys: [createSigner(seed()).publicKey] }
    const another = committeeGenesis({
      base: { ...createTestNetwork().genesis, accounts: [{ policy: stranger, balance: CREDIT }] },
      members: [{ seed: seed(), stake: 5n, account: accountId(stranger) }],
      parameters: PARAMETERS
    })
    await assert.rejects(verifySnapshot(components, networkId(another), piecesOf(snapshot.path)), {
      code: 'NETWORK_MISMATCH'
    })
  })

  it('is refused where it was damaged, ends early, has more behind its end, or is something else', async () => {
    const pieces: Uint8Array[] = []
    for await (const piece of piecesOf(snapshot.path)) pieces.push(piece)
    const whole = Buffer.concat(pieces)
    const given = async function* (bytes: Uint8Array): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += 1_000) yield bytes.subarray(at, at + 1_000)
    }
    const flipped = new Uint8Array(whole)
    flipped[whole.length - 20] = (flipped[whole.length - 20] ?? 0) ^ 1
    await refused(given(flipped), /damaged/)
    await refused(given(whole.subarray(0, -50)), /ends early/)
    await refused(given(Buffer.concat([whole, Buffer.from([0])])), /more behind/)
    await refused(given(Buffer.from('pekka-snapshot/2\n')), /another version/)
    await refused(given(Buffer.from('something else altogether')), /it is none/)
    const huge = new Uint8Array(whole)
    huge.fill(255, 17, 21)
    await refused(given(huge), /too large/)
  })

  it('lets a witness begin without the history, and it comes to the same commits and states as the others', async () => {
    const [, listening = assert.fail()] = hosts
    const first = ledgerOf('first', { host: listening, store, seed: witnessSeed, pace: SLOW })
    open.push(first.ledger)
    await serveSnapshots(listening, makerOf())
    await first.ledger.start()
    const [address = ''] = listening.addresses()

    const host = await startHost()
    hosts.push(host)
    const [offer = assert.fail()] = (await askForSnapshots(host, [address])).offers
    assert.equal(offer.index, snapshot.index)
    const other: Lie = { part: async () => await readFile(snapshot.path), size: snapshot.size, parts: 0 }
    const own = new MemoryLedgerStore()
    await begin(host, own, [await liar(small), address, await liar(other)])
    assert.equal(own.last(), snapshot.index, 'two that lie, and one that does not')
    assert.deepEqual([small.parts, other.parts], [1, 1])
    await LastProposed.create(join(folder, 'second'))
    const second = ledgerOf('second', { host, store: own, seed: seed(), pace: SLOW, peers: [address] })
    open.push(second.ledger)
    await second.ledger.start()
    assert.ok(second.ledger.state.keys('account').next().done === false)

    const sender = new Sender(accountId(policy), null, owner)
    const outcome = await sender.send(second.ledger, faucet())
    assert.equal(outcome.status, 'applied')
    const last = 'index' in outcome ? outcome.index : 0
    const [theirs, ours] = await Promise.all([
      commits(first.ledger, snapshot.index, last),
      commits(second.ledger, snapshot.index, last)
    ])
    assert.deepEqual(ours, theirs)
    assert.deepEqual(brokenInvariants(second.ledger.state), [])
    // What was final before is known, and what it was asks nobody again.
    assert.deepEqual(await second.ledger.submit(early.bytes), early.outcome)
    assert.equal(await own.first(), snapshot.index + 1)
    await assert.rejects(commits(second.ledger, -1, last), { code: 'HISTORY_PRUNED' })
  })

  const small: Lie = { part: async () => new Uint8Array(1), size: 1 << 30, parts: 0 }
  async function liar(lie: Lie): Promise<string> {
    const { host, address } = await startLiar(lie)
    hosts.push(host)
    return address
  }
  const begin = (host: NetworkHost, to: MemoryLedgerStore, peers: string[]): Promise<void> =>
    beginWithSnapshot(
      { store: to, host, log: silent, ...components },
      { network, data: join(folder, 'data'), peers, file: null },
      new AbortController().signal
    )

  it('is not taken on the word of one of three by who has a ledger', async () => {
    const host = await startHost()
    hosts.push(host)
    const { ledger } = await verifySnapshot(components, network, piecesOf(snapshot.path))
    const own = new MemoryLedgerStore()
    await own.restore(ledger)
    const one: Lie = { ...small, parts: 0 }
    const honest: string[] = []
    for (const newest of [null, snapshot]) {
      const another = await startHost(['/ip4/127.0.0.1/tcp/0'])
      hosts.push(another)
      await serveSnapshots(another, { newest: async () => newest, kept: async () => [] })
      honest.push(another.addresses()[0] ?? '')
    }
    await begin(host, own, [await liar(one), ...honest])
    assert.equal(one.parts, 0)
    assert.equal(own.last(), snapshot.index)
    // Alone it is asked; its small part is the last.
    await begin(host, own, [await liar(one)])
    assert.equal(one.parts, 1)
    assert.equal(own.last(), snapshot.index)
  })
})

describe('witness: what may be a parent', () => {
  it('is what the last commits ordered, and what the state names as the last: no more than a snapshot has', async () => {
    const vertex = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
    const [network, tip, recent, old, unknown] = [vertex(1), vertex(2), vertex(3), vertex(4), vertex(5)] as const
    const state = new MemoryState()
    const { demo, genesis } = createTestNetwork()
    state.put('parameters', '1', genesis.parameters)
    state.put('system', 'system', {
      ...{ network, index: 20_000, timestamp: 0, contractTime: 0, head: network },
      ...{ tips: [tip], parameters: 1, supply: 0n, faucet: 0n, fund: 0n }
    })
    const places = new Map([
      [toHex(tip), 100],
      [toHex(recent), 20_001 - FINAL_WINDOW],
      [toHex(old), 20_000 - FINAL_WINDOW]
    ])
    const store = {
      locate: async (id: Uint8Array) => {
        const index = places.get(toHex(id))
        return index === undefined ? null : { index, position: 0 }
      }
    }
    const parents = [tip, recent, old, unknown]
    const { transaction } = await demo.sign(ledgerAt(network), faucet(), { parents })
    const isFinal = await finalBefore([{ transaction }], store, state)
    assert.deepEqual(parents.map(isFinal), [true, true, false, false])
  })
})

/** As much of a ledger as signing needs. */
const ledgerAt = (network: Uint8Array): LedgerAccess =>
  ({
    time: async () => ({ network, parents: [], timestamp: 0 }),
    account: async () => null
  }) as unknown as LedgerAccess // nothing else is asked

/** What a ledger says of the commits after one, without what each witness signs for itself. */
async function commits(ledger: LocalLedger, after: number, last: number): Promise<object[]> {
  const stop = new AbortController()
  const found: object[] = []
  for await (const { header, ...rest } of ledger.follow(after, stop.signal) as AsyncIterable<CommitView>) {
    const { signature: _, ...plain } = header
    found.push({ ...plain, ...rest })
    if (header.index === last) stop.abort()
  }
  return found
}
