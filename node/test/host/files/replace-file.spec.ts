import assert from 'node:assert/strict'
import { mkdir, mkdtemp, readFile, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { replaceFile } from '@pekka/node/host/files'

describe('host/files: replaceFile', () => {
  let folder: string
  beforeEach(async () => (folder = await mkdtemp(join(tmpdir(), 'pekka-files-'))))
  afterEach(() => rm(folder, { recursive: true }))

  it('shows a reader the old text or the new, never a part', async () => {
    const path = join(folder, 'state.json')
    const texts = ['a', 'b'].map(letter => JSON.stringify(letter.repeat(200_000)))
    await replaceFile(path, texts[0] ?? '')
    let writing = true
    const writer = (async () => {
      for (let round = 0; round < 40; round++) await replaceFile(path, texts[round % 2] ?? '', { flush: false })
      writing = false
    })()
    let reads = 0
    while (writing) {
      assert.ok(texts.includes(await readFile(path, 'utf8')), 'a part of a text was read')
      reads++
    }
    await writer
    assert.ok(reads > 0)
  })

  it('lets two writers write at once: one text stays, whole, and no draft', async () => {
    const path = join(folder, 'state.json')
    await Promise.all(['one', 'two', 'three'].map(text => replaceFile(path, text.repeat(10_000))))
    const text = await readFile(path, 'utf8')
    assert.ok(['one', 'two', 'three'].some(word => text === word.repeat(10_000)))
    assert.deepEqual(await readdir(folder), ['state.json'])
  })

  it('keeps files for their owner alone unless told otherwise', async () => {
    await replaceFile(join(folder, 'key'), 'x')
    await replaceFile(join(folder, 'open'), 'x', { mode: 0o644 })
    assert.equal((await stat(join(folder, 'key'))).mode & 0o777, 0o600)
    assert.equal((await stat(join(folder, 'open'))).mode & 0o777, 0o644)
  })

  it('leaves no draft behind where it fails', async () => {
    await mkdir(join(folder, 'taken'))
    await assert.rejects(replaceFile(join(folder, 'taken'), 'x'))
    assert.deepEqual(await readdir(folder), ['taken'])
  })
})
