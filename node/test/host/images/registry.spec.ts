import assert from 'node:assert/strict'
import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isPekkaError } from '@pekka/node/protocol'
import { ImageRegistry } from '../../../src/host/images/store/registry.js'

const tree = (digit: string, content = digit) => ({
  name: 'base',
  digest: digit.repeat(64),
  contentDigest: content.repeat(64)
})

describe('the signed list of images', () => {
  let images: string
  let registry: ImageRegistry
  beforeEach(async () => {
    images = await mkdtemp(join(tmpdir(), 'pekka-registry-'))
    registry = new ImageRegistry(images)
  })
  afterEach(() => rm(images, { recursive: true }))

  const refused = (words: RegExp) => (error: unknown) =>
    isPekkaError(error) && error.code === 'IMAGE_NOT_REGISTERED' && words.test(String(error.data.issue))
  const change = async (text: (before: string) => string): Promise<void> => {
    const file = join(images, 'registry.json')
    await writeFile(file, text(await readFile(file, 'utf8')))
  }

  it('passes what was put on it, whoever builds at the same time, and keeps its key to itself', async () => {
    await Promise.all(['a', 'b', 'c', 'd'].map(digit => new ImageRegistry(images).add(tree(digit))))
    for (const digit of ['a', 'b', 'c', 'd']) await registry.check(tree(digit))
    assert.equal((await stat(join(images, 'registry.key'))).mode & 0o777, 0o600)
  })

  it('refuses a tree that it does not have, and one with another content', async () => {
    await registry.add(tree('a'))
    await assert.rejects(registry.check(tree('b')), refused(/does not have it/))
    await assert.rejects(registry.check({ ...tree('a'), name: 'chemistry' }), refused(/does not have it/))
    await assert.rejects(registry.check(tree('a', 'e')), refused(/another content/))
    assert.equal(await registry.contradicts(tree('a', 'e')), true)
    assert.equal(await registry.contradicts(tree('b')), false)
  })

  it('refuses everything on a list that was changed, or signed by another key', async () => {
    await registry.add(tree('a'))
    await change(text => text.replaceAll('a'.repeat(64), 'e'.repeat(64)))
    await assert.rejects(registry.check(tree('e')), refused(/signature does not hold/))
    await registry.add(tree('a'))
    await writeFile(join(images, 'registry.pub'), 'f'.repeat(64))
    await assert.rejects(registry.check(tree('a')), refused(/another key/))
  })

  it('is checked with the public key alone', async () => {
    await registry.add(tree('a'))
    await rm(join(images, 'registry.key'))
    await chmod(images, 0o555)
    await registry.check(tree('a'))
    await chmod(images, 0o755)
  })

  it('begins anew where it was damaged, and passes a home that has none yet', async () => {
    await registry.check(tree('a'))
    await registry.add(tree('a'))
    await change(() => 'not json')
    await assert.rejects(registry.check(tree('a')), refused(/JSON/i))
    await registry.add(tree('b'))
    await registry.check(tree('b'))
    await assert.rejects(registry.check(tree('a')), refused(/does not have it/))
  })
})
