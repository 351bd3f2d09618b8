import assert from 'node:assert/strict'
import { mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createPrimitives, createSigner } from '@pekka/node/host/crypto'
import {
  DEVNET_PARAMETERS,
  PekkaError,
  createBundle,
  decodeSigned,
  encodeBundle,
  encodeSigned,
  keyCommit,
  objectId,
  sealBox,
  sealBundle,
  sha256,
  signTransaction,
  toHex,
  transactionId,
  utf8,
  type Ask,
  type Body,
  type LedgerAccess,
  type LedgerTime,
  type OfferTask,
  type TransactionOutcome
} from '@pekka/node/protocol'
import { openTask, readOffer } from '../../../src/agents/provider/intake/intake.js'
import { KemKeys } from '../../../src/agents/provider/ledger/kem-keys.js'
import { LedgerLane } from '../../../src/agents/provider/ledger/ledger-lane.js'
import { Places } from '../../../src/agents/provider/machine/places.js'
import { readSettings } from '../../../src/agents/provider/settings.js'

const primitives = createPrimitives()
const hash = (text: string) => sha256(utf8(text))
const network = hash('network')
const provider = hash('provider')
const code = (expected: string) => (error: unknown) => error instanceof PekkaError && error.code === expected

describe('Places', () => {
  it('gives so many at a time, the others in their order, and none to who has left', async () => {
    const places = new Places(2)
    const never = new AbortController().signal
    const [first, second] = await Promise.all([places.take(never), places.take(never)])
    assert.ok(first && second)
    const order: string[] = []
    const leaving = new AbortController()
    const left = places.take(leaving.signal).then(got => order.push(`left ${String(got)}`))
    const third = places.take(never)
    const fourth = places.take(never)
    void third.then(() => order.push('third'))
    void fourth.then(() => order.push('fourth'))
    leaving.abort()
    await left
    second()
    const releaseThird = await third
    second()
    assert.equal(order.includes('fourth'), false, 'a place given back twice is one place')
    first()
    const releaseFourth = await fourth
    assert.deepEqual(order, ['left null', 'third', 'fourth'])
    releaseThird?.()
    releaseFourth?.()
    assert.equal(places.free, 2)
  })

  it('tells who waits in vain at once, and who waits too long early', async () => {
    let now = 0
    const places = new Places(2, { now: () => now })
    const never = new AbortController().signal
    const [first, second] = await Promise.all([places.take(never), places.take(never)])
    assert.ok(first && second)
    now = 60_000
    assert.equal(await places.take(never, 50_000), null, 'two tasks have run for a minute')
    second()
    const third = await places.take(never, 50_000)
    assert.ok(third)
    now = 61_000
    const fourth = places.take(never, 50_000)
    assert.equal(await places.take(never, 50_000), null, 'the next place is for another, and the one after it far')
    now = 90_000
    // It has run for 30 s, and 21 s are left.
    assert.equal(await fourth, null)
    const fifth = places.take(never, 50_000)
    third()
    assert.ok(await fifth)
  })
})

describe('KemKeys', () => {
  let directory = ''
  beforeEach(async () => (directory = await mkdtemp(join(tmpdir(), 'pekka-kem-'))))
  afterEach(() => rm(directory, { recursive: true }))

  it('keeps a key over a restart, readable by its owner only, and deletes it when its time is over', async () => {
    let now = 1000
    const components = { agreement: primitives.agreement, clock: { now: () => now } }
    const keys = new KemKeys(components, directory)
    await keys.open()
    const [short, long] = [hash('short'), hash('long')]
    await keys.make(short, 2000)
    const made = await keys.make(long, 5000)
    for (const name of await readdir(directory)) assert.equal((await stat(join(directory, name))).mode & 0o777, 0o600)
    await writeFile(join(directory, 'damaged.json'), '{')

    const again = new KemKeys(components, directory)
    await again.open()
    assert.deepEqual(again.get(long)?.privateKey, made.privateKey)
    assert.deepEqual(again.get(long)?.publicKey, made.publicKey)
    now = 2000
    await again.sweep()
    assert.equal(again.get(short), undefined)
    assert.deepEqual(await readdir(directory), [`${toHex(long)}.json`])
    now = 5000
    const late = new KemKeys(components, directory)
    await late.open()
    assert.equal(late.get(long), undefined)
    assert.deepEqual(await readdir(directory), [])
  })
})

describe('LedgerLane', () => {
  const signer = createSigner(new Uint8Array(32).fill(1))
  const body: Body = { kind: 'accept', task: hash('task') }

  /** A ledger that keeps one lane as the real one does: in order, without gaps. */
  class LaneLedger {
    sequence = 0
    previous: Uint8Array | null = null
    readonly seen: Body[] = []
    readonly sent: string[] = []
    refuse: string[] = []
    reads = 0

    readonly access: LedgerAccess = Object.assign(Object.create(null), {
      submit: async (bytes: Uint8Array): Promise<TransactionOutcome> => {
        await new Promise(resolve => setTimeout(resolve, Math.random() * 4))
        const { transaction } = decodeSigned(bytes)
        const id = transactionId(transaction)
        this.sent.push(toHex(bytes))
        const planned = this.refuse.shift()
        if (planned !== undefined) return { status: 'refused', id, code: planned, data: {} }
        if (transaction.sequence !== this.sequence) {
          return { status: 'refused', id, code: 'LANE_SEQUENCE', data: { expected: String(this.sequence) } }
        }
        assert.deepEqual(transaction.previous, this.previous)
        this.sequence += 1
        this.previous = id
        this.seen.push(transaction.body)
        return { status: 'applied', id, index: 1, timestamp: 1 }
      },
      time: async (): Promise<LedgerTime> => ({
        network,
        index: 1,
        timestamp: 1,
        contractTime: 1,
        parents: [hash('parent')],
        parameters: DEVNET_PARAMETERS
      }),
      account: async () => {
        this.reads += 1
        const lane = {
          key: signer.publicKey,
          sequence: this.sequence,
          previous: this.previous,
          delegate: null,
          used: 0n
        }
        return { lanes: [lane] }
      }
    })
  }

  const laneOf = (ledger: LaneLedger) =>
    new LedgerLane(
      { ledger: ledger.access, clock: { now: () => 1_000 } },
      { network, account: provider, signer, lane: 'delegate', busyPauses: [1, 1, 1] }
    )

  it('signs many at once as one chain, and none is lost or doubled when they overtake one another', async () => {
    const ledger = new LaneLedger()
    const lane = laneOf(ledger)
    const tasks = Array.from({ length: 6 }, (_, i) => hash(`task ${i}`))
    await Promise.all(tasks.map(task => lane.send({ kind: 'accept', task })))
    assert.equal(ledger.seen.length, 6)
    const accepted = ledger.seen.map(one => (one.kind === 'accept' ? toHex(one.task) : '')).sort()
    assert.deepEqual(accepted, tasks.map(toHex).sort())
  })

  it('reads the lane once and signs again when another signer was faster', async () => {
    const ledger = new LaneLedger()
    const lane = laneOf(ledger)
    await lane.send(body)
    await lane.send(body)
    assert.equal(ledger.reads, 1)
    ledger.sequence = 9
    ledger.previous = hash('another')
    assert.equal((await lane.send(body)).status, 'applied')
    assert.equal(ledger.reads, 2)
  })

  it('sends the same bytes again where the ledger has no room, and says so where it gets none', async () => {
    const ledger = new LaneLedger()
    const lane = laneOf(ledger)
    ledger.refuse = ['RATE_LIMITED', 'RATE_LIMITED']
    assert.equal((await lane.send(body)).status, 'applied')
    assert.deepEqual([ledger.sent.length, new Set(ledger.sent).size, ledger.seen.length, ledger.reads], [3, 1, 1, 1])
    ledger.refuse = Array.from({ length: 4 }, () => 'RATE_LIMITED')
    await assert.rejects(lane.send(body), code('RATE_LIMITED'))
    assert.deepEqual([ledger.sent.length, ledger.seen.length], [7, 1])
    // Whoever stops doesn't wait for it.
    const stop = new AbortController()
    ledger.refuse = ['RATE_LIMITED']
    const patient = new LedgerLane(
      { ledger: ledger.access, clock: { now: () => 1_000 } },
      { network, account: provider, signer, lane: 'delegate', busyPauses: [600_000] }
    )
    const sent = patient.send(body, stop.signal)
    while (ledger.sent.length < 8) await new Promise(resolve => setImmediate(resolve))
    stop.abort()
    await assert.rejects(sent)
  })

  it('gives other refusals to its caller, and does not try for ever', async () => {
    const ledger = new LaneLedger()
    const lane = laneOf(ledger)
    ledger.refuse = ['DELEGATE_EXPIRED']
    await assert.rejects(lane.send(body), code('DELEGATE_EXPIRED'))
    ledger.refuse = Array.from({ length: 100 }, () => 'PARENT_UNKNOWN')
    await assert.rejects(lane.send(body), code('PARENT_UNKNOWN'))
    assert.ok(ledger.refuse.length > 80)
  })
})

describe('opening a task', () => {
  let directory = ''
  let kem: KemKeys
  let ask: Ask
  const client = createSigner(new Uint8Array(32).fill(2))
  const account = hash('client')
  const init = { network, provider }

  before(async () => {
    directory = await mkdtemp(join(tmpdir(), 'pekka-intake-'))
    kem = new KemKeys({ agreement: primitives.agreement, clock: { now: () => 0 } }, directory)
    await kem.open()
    const nonce = new Uint8Array(16)
    const id = objectId(provider, nonce)
    const { publicKey } = await kem.make(id, 1000)
    ask = {
      ask: id,
      nonce,
      image: { name: 'base', digest: hash('image') },
      contentDigest: hash('content'),
      resources: { milliCpus: 1000, memoryBytes: 1 << 30, diskBytes: 1 << 30, gpu: null },
      concurrency: 1,
      pricePerSecond: 10n,
      holdPricePerSecond: null,
      pricePerGiB: 0n,
      isolation: 2,
      runtime: 'bubblewrap',
      cpuClass: 'test',
      kemKey: publicKey,
      kemExpiry: 1000,
      expiry: 1000
    }
  })
  after(() => rm(directory, { recursive: true }))

  const components = () => ({
    primitives,
    kem,
    ask: (id: Uint8Array) => (toHex(id) === toHex(ask.ask) ? ask : undefined)
  })

  /** An offer of one task to us, with what the caller wants wrong. */
  async function sealed(change: Partial<OfferTask> = {}, key = new Uint8Array(32).fill(7)) {
    const nonce = primitives.random.bytes(16)
    const task = objectId(account, nonce)
    const program = { kind: 'cells' as const, cells: [{ id: 'a', source: 'print(1)', tags: [] }], stopOnError: true }
    const bundle = await sealBundle(primitives.aead, key, { network, task }, encodeBundle(createBundle(program, 1)))
    const box = await sealBox(primitives, key, ask.kemKey, { network, task, provider, ask: ask.ask })
    const offer: OfferTask = {
      task,
      nonce,
      candidates: [{ provider, ask: ask.ask, pricePerSecond: 10n, holdPricePerSecond: null }],
      image: ask.image,
      resources: ask.resources,
      limits: { wallMs: 1000, cpuMs: 1000, outputBytes: 1000 },
      bundle: { hash: sha256(bundle), size: bundle.length },
      keyCommit: keyCommit(task, key),
      readKey: hash('read'),
      cap: 100n,
      audit: 'allowed',
      finishBy: null,
      replicas: 1,
      fixedPrice: null,
      datasets: [],
      checkpoint: null,
      session: null,
      gang: null,
      ...change
    }
    const signed = await signTransaction(
      {
        v: 1,
        network,
        account,
        key: client.publicKey,
        sequence: 0,
        previous: null,
        parents: [network],
        expiry: 1000,
        body: { kind: 'offer', tasks: [offer] }
      },
      [client]
    )
    return { task, offer, transaction: encodeSigned(signed), bundle, box }
  }

  const open = async (one: Awaited<ReturnType<typeof sealed>>) =>
    await openTask(
      components(),
      init,
      await readOffer(components(), init, one.transaction, one.task),
      one.box,
      one.bundle
    )

  it('gives the program where everything fits', async () => {
    const one = await sealed()
    const opened = await open(one)
    assert.equal(opened.bundle.program.kind, 'cells')
    assert.equal(opened.candidate, 0)
  })

  it('refuses an offer that does not fit what was asked, before it looks at the bundle', async () => {
    const wrong: [string, Partial<OfferTask>][] = [
      [
        'names other machines',
        { candidates: [{ provider: hash('other'), ask: ask.ask, pricePerSecond: 10n, holdPricePerSecond: null }] }
      ],
      [
        'ask has ended',
        { candidates: [{ provider, ask: hash('other'), pricePerSecond: 10n, holdPricePerSecond: null }] }
      ],
      ['price', { candidates: [{ provider, ask: ask.ask, pricePerSecond: 9n, holdPricePerSecond: null }] }],
      ['image', { image: { name: 'base', digest: hash('other') } }],
      ['CPUs', { resources: { ...ask.resources, milliCpus: 2000 } }],
      ['memory', { resources: { ...ask.resources, memoryBytes: (1 << 31) >>> 0 } }],
      ['disk', { resources: { ...ask.resources, diskBytes: 2 ** 32 } }],
      ['too large', { bundle: { hash: hash('x'), size: 2 ** 40 } }]
    ]
    for (const [why, change] of wrong) {
      await assert.rejects(sealed(change).then(open), (error: unknown) => {
        assert.ok(error instanceof PekkaError, String(error))
        assert.equal(error.code, 'BUNDLE_REFUSED')
        assert.match(error.message, new RegExp(why))
        return true
      })
    }
  })

  it('refuses a transaction with a changed byte', async () => {
    const one = await sealed()
    const changed = one.transaction.slice()
    changed[changed.length - 30] = (changed.at(-30) ?? 0) ^ 1
    await assert.rejects(readOffer(components(), init, changed, one.task))
    await assert.rejects(readOffer(components(), init, new Uint8Array(100), one.task), code('ENCODING_NOT_CANONICAL'))
    await assert.rejects(readOffer(components(), { network: hash('other'), provider }, one.transaction, one.task))
  })

  it('refuses a key that is not the committed one, another task’s box, and a changed or longer bundle', async () => {
    const one = await sealed()
    const committedToAnother = await sealed({ keyCommit: keyCommit(one.task, hash('another key')) })
    await assert.rejects(open(committedToAnother), code('BUNDLE_REFUSED'))
    await assert.rejects(open({ ...one, box: (await sealed()).box }), code('SEAL_BROKEN'))
    const changed = one.bundle.slice()
    changed[5] = (changed[5] ?? 0) ^ 1
    await assert.rejects(open({ ...one, bundle: changed }), code('BUNDLE_REFUSED'))
    await assert.rejects(open({ ...one, bundle: new Uint8Array(one.bundle.length + 1) }), code('BUNDLE_REFUSED'))
    await assert.rejects(open({ ...one, box: one.box.subarray(1) }), code('BUNDLE_REFUSED'))
  })

  it('can no longer be opened once the key it was boxed to is gone', async () => {
    const one = await sealed()
    const gone = new KemKeys({ agreement: primitives.agreement, clock: { now: () => 0 } }, join(directory, 'empty'))
    await gone.open()
    const named = await readOffer(components(), init, one.transaction, one.task)
    await assert.rejects(
      openTask({ ...components(), kem: gone }, init, named, one.box, one.bundle),
      code('BUNDLE_REFUSED')
    )
  })
})

describe('settings', () => {
  it('have defaults, and say in one line what is wrong', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'pekka-settings-'))
    const file = join(directory, 'settings.json')
    const least = {
      home: '/x',
      network: toHex(network),
      account: 'account.key',
      bridges: ['/ip4/127.0.0.1/tcp/1/p2p/x'],
      images: { home: '/x', names: ['base'] },
      name: 'provider-1'
    }
    await writeFile(file, JSON.stringify({ ...least, pricePerSecond: '2500' }))
    const settings = await readSettings(file)
    assert.equal(settings.pricePerSecond, 2500n)
    assert.equal(settings.runtime, 'auto')
    assert.ok(settings.concurrency >= 1)
    await writeFile(file, JSON.stringify({ ...least, concurrency: 0 }))
    await assert.rejects(readSettings(file), /concurrency/)
    await writeFile(file, JSON.stringify({ ...least, surprise: 1 }))
    await assert.rejects(readSettings(file), code('USAGE'))
    await rm(file)
    await assert.rejects(readSettings(file), code('USAGE'))
    assert.equal(await readFile(directory).catch(() => 'a folder'), 'a folder')
    await rm(directory, { recursive: true })
  })
})
