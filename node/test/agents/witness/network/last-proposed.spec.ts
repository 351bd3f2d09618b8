import assert from 'node:assert/strict'
import { mkdtemp, open, rm, truncate } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LastProposed } from '../../../../src/agents/witness/network/index.js'

const block = (value: number, length = 500): Uint8Array => new Uint8Array(length).fill(value)

describe('witness: the last proposal', () => {
  let folder = ''
  let path = ''
  const read = async () => {
    const file = new LastProposed(path)
    await file.open()
    await file.close()
    return file.proposed
  }

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-proposed-'))
    path = join(folder, 'last-proposed')
  })
  afterEach(async () => rm(folder, { recursive: true, force: true }))

  it('counts as lost where its file is missing, and as never made where that is empty', async () => {
    assert.deepEqual(await read(), { status: 'lost' })
    await LastProposed.create(path)
    assert.deepEqual(await read(), { status: 'never' })
    await assert.rejects(LastProposed.create(path), 'a file that is there is never emptied')
  })

  it('is the last block that was written', async () => {
    await LastProposed.create(path)
    const file = new LastProposed(path)
    await file.open()
    for (const value of [1, 2, 3]) {
      await file.write(block(value, 100 * value))
      assert.deepEqual(await read(), { status: 'proposed', bytes: block(value, 100 * value) })
    }
    await file.close()
  })

  it('is the one before where the last write was torn', async () => {
    await LastProposed.create(path)
    const file = new LastProposed(path)
    await file.open()
    await file.write(block(1))
    await file.write(block(2))
    await file.write(block(3))
    await file.close()
    // The third write went over the first one; a byte of it didn't arrive.
    const handle = await open(path, 'r+')
    await handle.write(new Uint8Array([9]), 0, 1, 100)
    await handle.close()
    assert.deepEqual(await read(), { status: 'proposed', bytes: block(2) })
  })

  it('is none where the first write was torn, since that block was never sent', async () => {
    await LastProposed.create(path)
    const file = new LastProposed(path)
    await file.open()
    await file.write(block(1))
    await file.close()
    await truncate(path, 300)
    assert.deepEqual(await read(), { status: 'never' })
  })

  it('counts as lost where both places are damaged', async () => {
    await LastProposed.create(path)
    const file = new LastProposed(path)
    await file.open()
    await file.write(block(1))
    await file.write(block(2))
    await file.close()
    const handle = await open(path, 'r+')
    const { size } = await handle.stat()
    await handle.write(new Uint8Array(100), 0, 100, 0)
    await handle.write(new Uint8Array([9]), 0, 1, size - 1)
    await handle.close()
    assert.deepEqual(await read(), { status: 'lost' })
  })

  it('is there again once something is proposed after a loss', async () => {
    const file = new LastProposed(path)
    await file.open()
    await file.write(block(7))
    await file.close()
    assert.deepEqual(await read(), { status: 'proposed', bytes: block(7) })
  })
})
