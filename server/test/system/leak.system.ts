import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { contentsUnder } from '../support/files.js'
import { sharedNetwork } from '../support/shared-network.js'
import { sleep, type TestNetwork } from '../../../node/test/support/network.js'

/** The append-only file of the queue is written each second. */
const QUEUE_ON_DISK_MS = 1500

describe('what a whole network writes', function () {
  this.timeout(60_000)
  let network: TestNetwork

  before(async function () {
    network = (await sharedNetwork(this)).network
  })

  it('holds code, output, arguments, names and error texts nowhere in clear: ledger, bridge, queue, providers, logs, receipts', async () => {
    const secret = (): string => randomBytes(12).toString('hex')
    const secrets = {
      code: secret(),
      output: secret(),
      argument: secret(),
      name: secret(),
      error: secret(),
      file: secret()
    }
    const { code, argument, output, name, error, file } = secrets
    // put together while it runs, so that it stands in the output alone
    const built = (text: string): string => `"${text.slice(0, 12)}" + "${text.slice(12)}"`
    const source =
      `import sys\nhidden = "${code}"\nprint(sys.argv[1])\nprint(${built(output)})\n` +
      `open(${built(file)}, "w").close()\nraise ValueError(${built(error)})\n`
    const path = await network.file(`${name}.py`, source)
    const run = await network.pekka('run', path, argument)
    // the control: whoever asked for it reads it
    assert.equal(run.stdout, `${argument}\n${output}\n`)
    assert.ok(run.stderr.includes(error) && run.stderr.includes(file), run.stderr)
    assert.equal(run.code, 1)
    await sleep(QUEUE_ON_DISK_MS)

    const parts = ['devnet', 'logs', 'receipts'].map(part => join(network.home, part))
    const files = (await Promise.all(parts.map(contentsUnder))).flat()
    for (const part of ['devnet/bridge', 'devnet/witness', 'devnet/valkey', 'devnet/provider-1', 'logs', 'receipts'])
      assert.ok(
        files.some(([found]) => relative(network.home, found).startsWith(part)),
        `${part} holds nothing: it isn't looked through`
      )
    for (const [found, bytes] of files) {
      for (const [what, text] of Object.entries(secrets))
        for (const form of [Buffer.from(text), Buffer.from(text, 'hex'), Buffer.from(text, 'utf16le')])
          assert.ok(!bytes.includes(form), `the ${what} stands in ${relative(network.home, found)}`)
      assert.ok(!bytes.includes(Buffer.from(text64(output))), `the output stands in ${found} as base64`)
    }
  })

  it('holds no token and no key of the wallet', async () => {
    const token = await network.client.tokens.get()
    const wallet: { ed25519: string; viewKey: string } = JSON.parse(
      await readFile(join(network.home, 'wallet', 'wallet.json'), 'utf8')
    )
    const files = (await Promise.all(['devnet', 'logs'].map(part => contentsUnder(join(network.home, part))))).flat()
    for (const [found, bytes] of files) {
      for (const text of [token, wallet.ed25519, wallet.viewKey])
        assert.ok(!bytes.includes(Buffer.from(text)), `a secret of the wallet stands in ${found}`)
      for (const text of [wallet.ed25519, wallet.viewKey])
        assert.ok(!bytes.includes(Buffer.from(text, 'hex')), `a key of the wallet stands in ${found}`)
    }
  })
})

/** The middle of the base64 of a text: what stays the same wherever it begins in a longer one. */
const text64 = (text: string): string => Buffer.from(text).toString('base64').slice(4, -4)
