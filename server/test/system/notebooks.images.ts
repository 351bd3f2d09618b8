import assert from 'node:assert/strict'
import type { ImageStore } from '@pekka/node/host/images'
import { TestNetwork, needNetwork, preparedHome } from '../../../node/test/support/network.js'
import { EXAMPLES, fieldImages, runExample, type Field } from './notebooks.js'

/** Downloads and imports of the largest image, on a slow line and a busy machine. */
const BUILD_MS = 1_800_000

/** Every image: built, each of its packages imported in a sandbox, its example run on the network. `npm run test:images`. */
describe('images', function () {
  this.timeout(BUILD_MS)
  let network: TestNetwork
  let images: ImageStore
  const rows: string[] = []

  before(async function () {
    needNetwork(this)
    const { store, folder } = await fieldImages(preparedHome() ?? '')
    images = store
    for (const name of Object.keys(EXAMPLES)) await store.build(name)
    network = await TestNetwork.start({ images: folder })
  })
  after(async () => {
    await network?.stop()
    if (rows.length > 0)
      console.log(['| image | example | s | result |', '| --- | --- | --- | --- |', ...rows].join('\n'))
  })

  it('torch draws what has no seed from the task’s, and what has one from that', async () => {
    const program = await network.file(
      'draw.py',
      `import torch
print(torch.randint(0, 10**9, (3,)).tolist())
torch.manual_seed(5)
drawn = torch.randint(0, 10**9, (3,)).tolist()
own = torch.Generator().manual_seed(5)
print(drawn == torch.randint(0, 10**9, (3,), generator=own).tolist())
`
    )
    const drawnBy = async (...options: string[]): Promise<string> => {
      const run = await network.pekka('run', '--image', 'machine-learning', ...options, program)
      assert.equal(run.code, 0, run.stderr)
      const [numbers, same] = run.stdout.trim().split('\n')
      assert.equal(same, 'True')
      return numbers ?? ''
    }
    // 65 where the two runs, which have one seed, differ.
    const twice = await drawnBy('--runs', '2')
    assert.notEqual(await drawnBy(), twice)
  })

  for (const [field, { notebook }] of Object.entries(EXAMPLES) as [Field, { notebook: string }][]) {
    // The order of the entries is that of the object's keys, which are fields.
    it(`${field}: every package can be imported`, async () => {
      const checks = await images.verify(field)
      assert.deepEqual(
        checks.filter(check => !check.ok),
        []
      )
    })

    it(`${field}: its example ends in a table, a picture and a number`, async () => {
      const { ms, line } = await runExample(network, field)
      rows.push(`| \`${field}\` | ${notebook} | ${(ms / 1000).toFixed(0)} | ${line} |`)
    })
  }
})
