import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { isPekkaError } from '@pekka/node/protocol'
import { Uploads } from '../../src/tasks/index.js'

const alice = new Uint8Array(32).fill(1)
const bob = new Uint8Array(32).fill(2)
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const code = (expected: string) => (error: unknown) => isPekkaError(error) && error.code === expected

describe('bytes sent ahead of tasks', () => {
  let stored: Map<string, { owner: string; hash: string; size: number }>
  let named: Set<string>
  let uploads: Uploads

  const open = (): Uploads =>
    new Uploads(
      {
        blobs: {
          size: async (_, hash) => stored.get(hex(hash))?.size ?? null,
          all: async function* () {
            yield* stored.values()
          }
        },
        refs: { used: async (_, hash) => named.has(hash) }
      },
      { perAccount: 100, total: 150 }
    )
  const put = async (owner: Uint8Array, size: number, declared: number | null = size): Promise<string> => {
    const hash = randomBytes(32)
    await uploads.put(owner, hash, declared ?? undefined, 1_000, async max => {
      if (size > max) throw new Error('too large')
      stored.set(hex(hash), { owner: hex(owner), hash: hex(hash), size })
      return size
    })
    return hex(hash)
  }

  beforeEach(() => {
    stored = new Map()
    named = new Set()
    uploads = open()
  })

  it('are bounded per account', async () => {
    await put(alice, 60)
    await assert.rejects(put(alice, 60), code('BLOB_QUOTA'))
    await put(alice, 40)
    await put(bob, 50)
  })

  it('are bounded together', async () => {
    await put(alice, 100)
    await assert.rejects(put(bob, 60), code('BRIDGE_BUSY'))
    await put(bob, 50)
  })

  it('count no longer once a task names them or they are gone', async () => {
    const first = await put(alice, 50)
    const second = await put(alice, 50)
    await assert.rejects(put(alice, 10), code('BLOB_QUOTA'))
    named.add(first)
    stored.delete(second)
    await put(alice, 100)
  })

  it('count while they are sent, with the size that is declared or all that is left', async () => {
    let end = (): void => undefined
    const hash = randomBytes(32)
    stored.set(hex(hash), { owner: hex(alice), hash: hex(hash), size: 70 })
    named.add(hex(hash))
    const slow = uploads.put(alice, hash, 70, 1_000, () => new Promise(resolve => (end = () => resolve(70))))
    await new Promise(resolve => setImmediate(resolve))
    await assert.rejects(put(alice, 40), code('BLOB_QUOTA'))
    await assert.rejects(put(alice, 40, null), /too large/)
    await put(alice, 30, null)
    named.clear()
    end()
    await slow
    await assert.rejects(put(alice, 1), code('BLOB_QUOTA'))
  })

  it('do not count where they were broken off', async () => {
    const broken = uploads.put(alice, randomBytes(32), 100, 1_000, () => Promise.reject(new Error('gone')))
    await assert.rejects(broken, /gone/)
    await put(alice, 100)
  })

  it('count after a restart', async () => {
    await put(alice, 90)
    uploads = open()
    await assert.rejects(put(alice, 20), code('BLOB_QUOTA'))
  })
})
