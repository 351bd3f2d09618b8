import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { engineTag, type ImageStore, type ImageTree } from '@pekka/node/host/images'
import type { SandboxImage } from '@pekka/node/host/sandbox'
import {
  BASE_EXAMPLES,
  HonestSandboxes,
  NOTEBOOKS,
  RUNTIMES,
  example
} from '../../../node/test/host/determinism/sandboxes.js'
import { needNetwork, preparedHome } from '../../../node/test/support/network.js'
import { EXAMPLES, fieldImages } from './notebooks.js'

/** Builds, the import of a tree of 5 GB, and four runs of an example, on a busy machine. */
const LIMIT_MS = 1_800_000

/** The rest of the honest set (node/test/host/determinism): each field's example in its own image, twice on each runtime. */
describe('results of the fields’ examples', function () {
  this.timeout(LIMIT_MS)
  let store: ImageStore
  const rows: string[] = []

  before(async function () {
    needNetwork(this)
    store = (await fieldImages(preparedHome() ?? '')).store
  })
  after(() => {
    if (rows.length > 0)
      console.log(['| image | runtime | s | result |', '| --- | --- | --- | --- |', ...rows].join('\n'))
  })

  it('leave no example out', () => {
    const known = [...BASE_EXAMPLES, ...Object.values(EXAMPLES).map(({ notebook }) => notebook)]
    const files = readdirSync(NOTEBOOKS).filter(name => name.endsWith('.py') || name.endsWith('.ipynb'))
    assert.deepEqual(files.sort(), [...new Set<string>(known)].sort())
  })

  const digests = new Map<string, string>()
  for (const name of RUNTIMES) {
    describe(`in fresh sandboxes of ${name}`, () => {
      let opened: HonestSandboxes | undefined
      before(async function () {
        opened = await HonestSandboxes.open(this, name)
      })
      after(() => opened?.close())

      // base's are with the small programs, in honest.long.ts.
      for (const [field, { notebook }] of Object.entries(EXAMPLES).filter(([image]) => image !== 'base')) {
        it(`${field}: both have one digest, the same on each runtime`, async () => {
          const sandboxes = opened
          assert.ok(sandboxes)
          const tree = await store.build(field)
          const begun = performance.now()
          const digest = await withTree(store, tree, sandboxes, image =>
            sandboxes.twice(image, example(notebook), digests.get(field))
          )
          assert.ok(digest !== undefined)
          digests.set(field, digest)
          const seconds = ((performance.now() - begun) / 1000).toFixed(0)
          rows.push(`| \`${field}\` | ${name} | ${seconds} | ${digest.slice(0, 12)} |`)
        })
      }
    })
  }
})

/** With the image as sandboxes take it; what is imported into an engine for it is removed after: six would fill a disk. */
async function withTree<Result>(
  store: ImageStore,
  tree: ImageTree,
  { docker }: HonestSandboxes,
  use: (image: SandboxImage) => Promise<Result>
): Promise<Result> {
  const image: SandboxImage = { root: tree.root, digest: tree.digest, environment: tree.environment }
  if (docker === undefined) return await use(image)
  const engineId = await store.importInto(docker, tree.name)
  try {
    return await use({ ...image, engineId })
  } finally {
    await docker.getImage(engineTag(tree)).remove({ force: true })
  }
}
