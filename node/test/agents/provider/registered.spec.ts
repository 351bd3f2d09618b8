import assert from 'node:assert/strict'
import {
  PekkaError,
  toHex,
  type Body,
  type HistoryPage,
  type HistoryRequest,
  type ImageRow,
  type LedgerAccess
} from '@pekka/node/protocol'
import { random, systemClock } from '@pekka/node/host/crypto'
import { unsoldOf } from '../../../src/agents/provider/ledger/registered.js'
import { AskBook, type AskBookComponents, type Ware } from '../../../src/agents/provider/ledger/asks.js'

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

/** A ledger that gives its rows one at a time. */
const ledgerOf = (rows: readonly ImageRow[]): Pick<LedgerAccess, 'history'> => ({
  history: async <R extends HistoryRequest>(what: R) => {
    assert.ok(what.kind === 'images')
    const { after } = what.query
    const at = after === null ? 0 : rows.findIndex(({ digest }) => digest[0] === after[0]) + 1
    const page: HistoryPage<'images'> = {
      images: rows.slice(at, at + 1),
      next: at + 1 < rows.length ? (rows[at]?.digest ?? null) : null
    }
    return page as HistoryPage<R['kind']>
  }
})

describe('what a provider sells, as the network’s registrars have it', () => {
  it('leaves out what was retired and what stands for another name, and nothing else', async () => {
    const [retired, renamed, good, unknown] = [wareOf(1), wareOf(2), wareOf(3), wareOf(4)]
    const rows = [
      rowOf(1, { state: 'retired', retired: { reason: 'a wheel was withdrawn', at: 6 } }),
      rowOf(2, {}, 'chemistry'),
      rowOf(3)
    ]
    const unsold = await unsoldOf(ledgerOf(rows), [retired, renamed, good, unknown], never)
    assert.deepEqual([...unsold.keys()], [retired, renamed])
    assert.match(unsold.get(retired) ?? '', /a wheel was withdrawn/)
    assert.match(unsold.get(renamed) ?? '', /as chemistry/)
  })

  it('isn’t asked for where nothing is sold', async () => {
    const silent: Pick<LedgerAccess, 'history'> = { history: async () => assert.fail('asked') }
    assert.equal((await unsoldOf(silent, [], never)).size, 0)
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
    const ledger = { ...ledgerOf(rows), asks: async () => [] }
    // The parts that an ask book uses of each.
    const components = { ledger, lane, kem, clock: systemClock, random, log } as unknown as AskBookComponents
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
