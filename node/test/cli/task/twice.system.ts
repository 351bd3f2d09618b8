import assert from 'node:assert/strict'
import { equalBytes, toHex } from '@pekka/node/protocol'
import { sharedNetwork } from '../../../../server/test/support/shared-network.js'
import type { TestNetwork } from '../../support/network.js'

/** `pekka run --runs 2`, and what a receipt says of seeds and numeric paths. */
describe('two runs of one program', function () {
  this.timeout(240_000)
  let network: TestNetwork
  before(async function () {
    network = (await sharedNetwork(this)).network
  })

  const notebook = (...sources: string[]): string =>
    JSON.stringify({
      nbformat: 4,
      nbformat_minor: 5,
      metadata: {},
      cells: sources.map((source, i) => ({ id: `c${i}`, cell_type: 'code', metadata: {}, outputs: [], source }))
    })

  it('are compared cell by cell, with the likely cause of each difference, and paid each', async () => {
    const source = notebook(
      'import numpy as np\nprint(np.random.default_rng().random(3))',
      'a = np.random.default_rng(1).standard_normal((80, 80)); print(np.linalg.det(a))',
      'import secrets\nprint(secrets.token_hex(8))',
      'import random; print(random.random())'
    )
    const { code, stdout, stderr } = await network.run('mix.ipynb', source, '--runs', '2', '--json')
    const lines = stdout.trim().split('\n')
    const said = JSON.parse(lines.at(-1) ?? '') as {
      type: string
      verdict: string
      sameDigest: boolean
      tasks: string[]
      cells: { verdict: string; cause: string | null }[]
    }
    assert.equal(code, 65, stderr)
    assert.deepEqual(
      [said.type, said.verdict, said.sameDigest, said.tasks.length],
      ['comparison', 'different', false, 2]
    )
    assert.deepEqual(
      said.cells.map(({ verdict, cause }) => [verdict, cause]),
      [
        ['exact', null],
        ['close', 'cpu-path'],
        ['different', 'unseeded'],
        ['exact', null]
      ],
      stdout
    )
    assert.match(stderr, /The runs differ in 2 of 4 cells\.[^]*Cell 3 differs: It draws random numbers/)
  })

  it('that agree end with the code of the program; their receipts hold seed, path and fingerprint', async () => {
    const { code, stdout, stderr } = await network.run(
      'same.py',
      'import uuid, sys\nprint(uuid.uuid4())\nsys.exit(3)',
      '--runs',
      '2'
    )
    assert.equal(code, 3, stderr)
    assert.match(stdout, /^[0-9a-f-]{36}\n$/)
    assert.match(stderr, /Both runs gave the same, byte for byte\./)
    const { tasks } = await network.client.tasks({ limit: 2 })
    const facts = []
    for (const { task } of tasks) {
      const follower = await network.client.follow(task, {})
      const { finished } = await follower.ended
      follower.stop()
      if (finished) facts.push(finished.manifest)
    }
    const pinned = facts.find(({ run }) => run.numeric === 'pinned')
    const other = facts.find(({ run }) => run.numeric === 'other')
    assert.ok(pinned && other)
    assert.equal(typeof pinned.run.seed, 'number')
    assert.equal(other.run.seed, pinned.run.seed)
    assert.equal(pinned.run.fingerprint?.length, 32)
    assert.match(pinned.run.cpuPath, /blas\.numpy=Haswellx1/)
    assert.equal(other.run.fingerprint, null)
    const [a, b] = [pinned, other].map(({ result }) => result.cells[0]?.digest ?? new Uint8Array())
    assert.ok(a && b && equalBytes(a, b))
    const receipt = await network.pekka('receipt', toHex(tasks[0]?.task ?? new Uint8Array()))
    assert.match(receipt.stdout, new RegExp(`^seed +${pinned.run.seed}$`, 'm'))
  })
})
