import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestNetwork } from '../../../node/test/support/network.js'
import { sharedNetwork } from '../support/shared-network.js'

describe('files travel with a script and come back', function () {
  this.timeout(240_000)
  let network: TestNetwork

  before(async function () {
    network = (await sharedNetwork(this)).network
  })

  it('a module and a named file go along, large data in parts; what it writes is brought back whole', async () => {
    await network.file('my_units.py', 'factor = 3\n')
    // Two parts, and no two bytes that compress.
    const large = Buffer.alloc(17 << 20, Buffer.from('0123456789abcde'))
    const folder = join(await network.file('large.bin', large), '..')
    const source = `
import my_units, hashlib
data = open('large.bin', 'rb').read()
print(my_units.factor * 14, hashlib.sha256(data).hexdigest())
open('result.bin', 'wb').write(data[:17_000_000])
open(bytes([110, 117, 109]).decode() + 'py.py', 'w').write('evil')`
    const first = await network.run('fit.py', source, '--with-files')
    assert.equal(first.code, 0, first.stderr)
    const { createHash } = await import('node:crypto')
    assert.equal(first.stdout, `42 ${createHash('sha256').update(large).digest('hex')}\n`)
    assert.match(first.stderr, /Travels along: my_units\.py\n/)
    assert.match(first.stderr, /Travels along: large\.bin \(18 MB\)/)
    assert.deepEqual(await readFile(join(folder, 'result.bin')), large.subarray(0, 17_000_000))
    const made = /pekka-results\/(\w+)\/numpy\.py/.exec(first.stderr)
    assert.ok(made, first.stderr)
    await assert.rejects(readFile(join(folder, 'numpy.py')))
    const listed = await network.pekka('artifacts', '--list', made[1] ?? '')
    const hash = createHash('sha256').update(large.subarray(0, 17_000_000)).digest('hex')
    assert.match(listed.stdout, new RegExp(`result\\.bin {2}17 MB {2}sha256 ${hash}`))
    await writeFile(join(folder, 'large.bin'), 'mine now')
    const home = await network.run('fit.py', "print(open('large.bin').read())")
    assert.match(home.stderr, /Left at home: large\.bin/)
    assert.equal(home.code, 1)
  })
})
