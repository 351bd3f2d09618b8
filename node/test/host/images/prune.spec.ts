import assert from 'node:assert/strict'
import { spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, open, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { holdTree, pruneTrees, standingsOf } from '../../../src/host/images/store/prune.js'
import { listTrees } from '../../../src/host/images/build/tree.js'
import { placeTree } from './fixtures.js'

const NOW = '5'.repeat(64)
const BEFORE = '4'.repeat(64)
const OLD = '3'.repeat(64)
const OLDER = '2'.repeat(64)
const OLDEST = '1'.repeat(64)
const day = (digest: string): string => `2026-01-0${digest[0] ?? ''}T00:00:00.000Z`

describe('trees of older definitions', () => {
  let home: string
  let images: string
  const children: ChildProcess[] = []
  const folders = new Map<string, string>()

  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka prüne-'))
    images = join(home, 'images')
    for (const digest of [OLDEST, NOW, OLD, BEFORE, OLDER])
      folders.set(digest, await placeTree(home, 'base', digest, day(digest)))
    await placeTree(home, 'base-small', OLDEST, day(OLDEST))
  })
  afterEach(async () => {
    await endSleepers()
    await rm(home, { recursive: true })
  })

  const sleeper = async (options: SpawnOptions): Promise<void> => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore', ...options })
    children.push(child)
    await once(child, 'spawn')
  }
  const endSleepers = async (): Promise<void> => {
    for (const child of children.splice(0)) {
      child.kill('SIGKILL')
      await once(child, 'close')
    }
  }
  const digests = async (name = 'base'): Promise<string[]> =>
    (await listTrees(images)).filter(tree => tree.name === name).map(tree => tree.digest)
  const folderOf = (digest: string): string => folders.get(digest) ?? ''

  it('are removed but for the newest of them; other images are left alone', async () => {
    const removed = await pruneTrees(images, 'base', NOW)
    assert.deepEqual(
      removed.map(tree => tree.digest),
      [OLD, OLDER, OLDEST]
    )
    assert.deepEqual(await digests(), [NOW, BEFORE])
    assert.deepEqual(await digests('base-small'), [OLDEST])
    assert.deepEqual((await readdir(images)).sort(), [
      'base-444444444444',
      'base-555555555555',
      'base-small-111111111111'
    ])
  })

  it('stay while a process stands in them or has a file of them open, and go afterwards', async () => {
    await sleeper({ cwd: join(folderOf(OLD), 'root') })
    const file = await open(join(folderOf(OLDEST), 'image.json'))
    await sleeper({ stdio: [file.fd, 'ignore', 'ignore'] })
    await file.close()
    assert.deepEqual(
      (
        await standingsOf(
          (await listTrees(images)).filter(tree => tree.name === 'base'),
          NOW
        )
      ).map(one => one.standing),
      ['current', 'previous', 'in-use', 'removable', 'in-use']
    )
    await pruneTrees(images, 'base', NOW)
    assert.deepEqual(await digests(), [NOW, BEFORE, OLD, OLDEST])
    await endSleepers()
    await pruneTrees(images, 'base', NOW)
    assert.deepEqual(await digests(), [NOW, BEFORE])
  })

  it('stay for whoever was handed one', async () => {
    const tree = (await listTrees(images)).find(one => one.digest === OLDER)
    assert.ok(tree)
    holdTree(tree)
    await pruneTrees(images, 'base', NOW)
    assert.deepEqual(await digests(), [NOW, BEFORE, OLDER])
  })

  it('are removed once where two builds end together', async () => {
    const both = await Promise.all([pruneTrees(images, 'base', NOW), pruneTrees(images, 'base', NOW)])
    assert.deepEqual(
      both
        .flat()
        .map(tree => tree.digest)
        .sort(),
      [OLDEST, OLDER, OLD]
    )
    assert.deepEqual(await digests(), [NOW, BEFORE])
  })
})
