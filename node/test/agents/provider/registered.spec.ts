import assert from 'node:assert/strict'
import {
  PekkaError,
  accountId,
  concat,
  encodeCanonical,
  sha256,
  toHex,
  u64,
  type Body,
  type HistoryRequest,
  type ImageRow,
  type LedgerAccess,
  type PageOf,
  type ProofRequest
} from '@pekka/node/protocol'
import { createLoneLedger, type LocalLedger } from '@pekka/node/agents/witness'
import { createSigner, createVerifier, random, systemClock } from '@pekka/node/host/crypto'
import { MemoryLedgerStore } from '@pekka/node/host/storage'
import { unsoldOf } from '../../../src/agents/provider/ledger/registered.js'
import { RegistryRows } from '../../../src/agents/provider/ledger/registry-rows.js'
import { AskBook, type AskBookComponents, type Ware } from '../../../src/agents/provider/ledger/asks.js'
import { Sender, createTestNetwork, seed } from '../witness/support.js'

const bytes = (fill: number): Uint8Array => new Uint8Array(32).fill(fill)
const never = new AbortController().signal

const wareOf = (fill: number, name = 'base'): Ware => ({
  image: { name, digest: bytes(fill) },
  contentDigest: bytes(9),
  resources: { milliCpus: 1000, memoryBytes: 2 ** 30, diskBytes: 2 ** 30, gpu: null },
  isolation: 2,
  runtime: 'bubblewrap',
  cpuClass: 'x86-64-v3',
  pricePerSecond: 1n,
  pricePerGiB: 0n
})

const rowOf = (fill: number, change: Partial<ImageRow> = {}, name = 'base'): ImageRow => ({
  digest: bytes(fill),
  state: 'approved',
  proposals: [],
  record: { content: { name, contentDigest: bytes(9), locks: [] }, by: [bytes(1)], at: 5 },
  against: [],
  retired: null,
  ...change
})

/** A registry with these rows. */
const registryOf = (rows: readonly ImageRow[]): Pick<RegistryRows, 'of'> => ({
  of: async () => new Map(rows.map(row => [toHex(row.digest), row]))
})

describe('what a provider sells, as the network’s registrars have it', () => {
  it('leaves out what was retired and what stands for another name, and nothing else', async () => {
    const [retired, renamed, good, unknown] = [wareOf(1), wareOf(2), wareOf(3), wareOf(4)]
    const rows = [
      rowOf(1, { state: 'retired', retired: { reason: 'a wheel was withdrawn', at: 6 } }),
      rowOf(2, {}, 'chemistry'),
      rowOf(3)
    ]
    const unsold = await unsoldOf(registryOf(rows), [retired, renamed, good, unknown], never)
    assert.deepEqual([...unsold.keys()], [retired, renamed])
    assert.match(unsold.get(retired) ?? '', /a wheel was withdrawn/)
    assert.match(unsold.get(renamed) ?? '', /as chemistry/)
  })

  it('isn’t asked for where nothing is sold', async () => {
    const silent: Pick<RegistryRows, 'of'> = { of: async () => assert.fail('asked') }
    assert.equal((await unsoldOf(silent, [], never)).size, 0)
  })
})

describe('the registry of images, as a machine reads it through who may lie', () => {
  const registrar = createSigner(seed())
  const policy = { threshold: 1, keys: [registrar.publicKey] }
  const net = createTestNetwork(undefined, policy)
  const verifier = createVerifier()
  const forged = rowOf(1, { state: 'retired', retired: { reason: 'so that others sell', at: 6 } })
  let ledger: LocalLedger

  before(async () => {
    const log = { info: () => {}, warn: () => {}, error: () => {} }
    const components = { store: new MemoryLedgerStore(), signer: net.witness, verifier, clock: systemClock, log }
    ledger = createLoneLedger(components, { genesis: net.bytes })
    await ledger.start()
    const sender = new Sender(accountId(policy), null, registrar)
    const content = { name: 'base', contentDigest: bytes(9), locks: [] }
    for (const body of [
      { kind: 'open-account', policy, deposit: 0n },
      { kind: 'image-propose', digest: bytes(1), content },
      { kind: 'image-propose', digest: bytes(2), content },
      { kind: 'image-retire', digest: bytes(2), reason: 'a wheel was withdrawn' }
    ] satisfies Body[])
      assert.equal((await sender.send(ledger, body)).status, 'applied', body.kind)
  })
  after(() => ledger.stop())

  /** What a machine has to do with: the ledger, but for what a liar between says. */
  const rowsThrough = (lie: Partial<LedgerAccess>, genesis = net.bytes): RegistryRows => {
    const through = {
      genesis: async () => genesis,
      prove: (what: ProofRequest) => ledger.prove(what),
      history: async () => assert.fail('nothing is believed that could be proved'),
      ...lie
    }
    return new RegistryRows({ ledger: through, verifier }, sha256(genesis))
  }

  it('is read by proof, of more images than one proof shows too', async () => {
    const unknown = Array.from({ length: 20 }, (_, at) => bytes(100 + at))
    const rows = await rowsThrough({}).of([bytes(1), ...unknown, bytes(2)], never)
    assert.deepEqual(
      [...rows].map(([name, { state }]) => [name, state]),
      [
        [toHex(bytes(1)), 'approved'],
        [toHex(bytes(2)), 'retired']
      ]
    )
  })

  it('retires nothing by what a bridge makes up', async () => {
    const other = createTestNetwork()
    const history = async <R extends HistoryRequest>() => ({ images: [forged], next: null }) as unknown as PageOf<R>
    const unsold = (lie: Partial<LedgerAccess>) => unsoldOf(rowsThrough(lie), [wareOf(1)], never)
    assert.equal((await unsold({ history })).size, 0)
    await assert.rejects(unsold({ history, prove: async () => null }), { code: 'PROOF_MISSING' })
    await assert.rejects(unsold({ history, genesis: async () => other.bytes }), { code: 'PROOF_INVALID' })
    const prove = () => ledger.prove({ kind: 'rows', rows: [{ table: 'image', id: bytes(2) }] })
    await assert.rejects(unsold({ history, prove }), { code: 'PROOF_INVALID' })
  })

  it('ends, though who answers without proofs goes on for ever, and keeps nothing but what was asked for', async () => {
    // Two witnesses without an agreement: one decides, and nobody can sign for both.
    const [witness] = net.genesis.witnesses
    assert.ok(witness)
    const witnesses = [witness, { key: bytes(3), stake: 1n }]
    const genesis = encodeCanonical({ ...net.genesis, witnesses })
    let pages = 0
    const endless = (next: () => Uint8Array | null) => {
      const history = async <R extends HistoryRequest>() => {
        pages++
        // What the question's own kind has.
        return { images: [forged, rowOf(4)], next: next() } as unknown as PageOf<R>
      }
      return rowsThrough({ history }, genesis).of([bytes(1)], never)
    }
    assert.deepEqual([...(await endless(() => null)).keys()], [toHex(bytes(1))])
    const nowhere = { code: 'LINK_PROTOCOL', message: /has no end/ }
    await assert.rejects(
      endless(() => bytes(1)),
      nowhere
    )
    assert.equal(pages, 3)
    await assert.rejects(
      endless(() => concat(u64(pages), new Uint8Array(24))),
      nowhere
    )
    assert.equal(pages, 203)
  })
})

describe('the asks of a machine with an image that was retired', () => {
  /** An ask book whose lane notes what it sends; the ledger refuses what `refused` names. */
  function book(rows: readonly ImageRow[], wares: readonly Ware[], refused?: Uint8Array) {
    const sent: Body[] = []
    const lane = {
      send: async (body: Body) => void sent.push(body),
      apply: async (body: Body) => {
        if (body.kind === 'ask' && refused !== undefined && toHex(body.ask.image.digest) === toHex(refused))
          throw new PekkaError('IMAGE_RETIRED', { image: 'base', reason: 'just now' })
        sent.push(body)
      }
    }
    const kem = {
      open: async () => undefined,
      get: () => undefined,
      make: async () => ({ publicKey: bytes(7) }),
      remove: async () => undefined
    }
    const log = { info: () => undefined, warn: () => undefined }
    const ledger = { asks: async () => [] }
    const registry = registryOf(rows)
    // The parts that an ask book uses of each.
    const components = { ledger, registry, lane, kem, clock: systemClock, random, log } as unknown as AskBookComponents
    return { asks: new AskBook(components, { provider: bytes(1), wares, concurrency: 1 }), sent }
  }
  const retired = rowOf(1, { state: 'retired', retired: { reason: 'a wheel was withdrawn', at: 6 } })

  it('are published for the other images alone', async () => {
    const { asks, sent } = book([retired, rowOf(3)], [wareOf(1), wareOf(3), wareOf(4)])
    await asks.start(never)
    await asks.withdraw()
    const digests = sent.flatMap(body => (body.kind === 'ask' ? [body.ask.image.digest[0]] : []))
    assert.deepEqual(digests, [3, 4])
  })

  it('are published for the other images where the ledger knows it first', async () => {
    const { asks, sent } = book([], [wareOf(1), wareOf(3)], bytes(1))
    await asks.start(never)
    await asks.withdraw()
    assert.deepEqual(
      sent.map(({ kind }) => kind),
      ['ask', 'withdraw-ask']
    )
  })
})
