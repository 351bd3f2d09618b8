import assert from 'node:assert/strict'
import { access, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { NetworkHost } from '@pekka/node/host/network'
import { fetchSnapshot, type SnapshotOffer } from '../../../../src/agents/witness/network/index.js'
import { isOfUse } from '../../../../src/agents/witness/network/snapshot/begin.js'
import { FETCH_BASE_MS, FETCH_MAX_MS } from '../../../../src/agents/witness/network/snapshot/constants.js'
import { inOrder, timeFor } from '../../../../src/agents/witness/network/snapshot/exchange.js'
import { startHost } from './committee.js'
import { startLiar, type Lie } from './snapshot-liar.js'

describe('witness: a snapshot that others offer', () => {
  let folder = ''
  let host: NetworkHost
  const hosts: NetworkHost[] = []

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-snapshot-'))
    host = await startHost()
    hosts.push(host)
  })
  after(async () => {
    for (const one of hosts) await one.stop()
    await rm(folder, { recursive: true, force: true })
  })

  async function liar(lie: Lie): Promise<string> {
    const { host: its, address } = await startLiar(lie)
    hosts.push(its)
    return address
  }

  it('is given up by who fetches it after a time that follows from its size', async () => {
    const silence: Lie = { part: () => new Promise(() => {}), size: 100, parts: 0 }
    const address = await liar(silence)
    const path = join(folder, 'never')
    const drain = async (pieces: AsyncIterable<Uint8Array>): Promise<void> => {
      for await (const _ of pieces);
    }
    const offer = { address, index: 1, size: 100 }
    await assert.rejects(fetchSnapshot(host, offer, path, drain, new AbortController().signal, 1_000), {
      code: 'LINK_TIMEOUT',
      data: { seconds: 1 }
    })
    await assert.rejects(access(path))
    assert.equal(timeFor(1_000_000), FETCH_BASE_MS + 10_000)
    assert.equal(timeFor(1 << 30), FETCH_MAX_MS)
  })

  it('is fetched whole where it has several parts', async () => {
    const bytes = new Uint8Array((2 << 20) + 77).map((_, i) => i % 251)
    const parts: Lie = { part: async offset => bytes.slice(offset, offset + (1 << 20)), size: bytes.length, parts: 0 }
    const address = await liar(parts)
    const path = join(folder, 'parts')
    let read = 0
    const count = async (pieces: AsyncIterable<Uint8Array>): Promise<void> => {
      for await (const piece of pieces) read += piece.length
    }
    await fetchSnapshot(host, { address, index: 1, size: bytes.length }, path, count, new AbortController().signal)
    assert.equal(read, bytes.length)
    assert.ok(Buffer.from(bytes).equals(await readFile(path)))
  })

  it('is asked for first where most say that they have it', () => {
    const offer = (address: string, index: number, epoch: number): SnapshotOffer => ({ address, index, epoch, size: 1 })
    const sorted = inOrder([offer('a', 2 ** 50, 9), offer('b', 100, 2), offer('c', 200, 3), offer('d', 100, 2)])
    assert.deepEqual(
      sorted.map(({ address }) => address),
      ['b', 'd', 'a', 'c']
    )
  })

  it('is of use to who has nothing, or is behind by as many epochs as anybody keeps blocks of', () => {
    assert.ok(isOfUse({ index: 10, epoch: 1 }, { last: null, epoch: null }))
    assert.ok(!isOfUse({ index: 10, epoch: 1 }, { last: 5, epoch: 0 }))
    assert.ok(!isOfUse({ index: 100, epoch: 3 }, { last: 50, epoch: 2 }))
    assert.ok(isOfUse({ index: 100, epoch: 4 }, { last: 50, epoch: 2 }))
    assert.ok(!isOfUse({ index: 40, epoch: 9 }, { last: 50, epoch: 2 }))
  })
})
