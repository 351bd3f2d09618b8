import assert from 'node:assert/strict'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Http, PekkaClient } from '@pekka/node/client'
import { createPrimitives, createSigner, random, systemClock } from '@pekka/node/host/crypto'
import {
  NONCE_BYTES,
  deriveKey,
  pairAnswerSchema,
  pairInfo,
  pairProof,
  utf8,
  viewKeyFrom,
  type PairAnswer
} from '@pekka/node/protocol'
import { TestHome, needSetUp, type Running } from './test-home.js'

describe('a network on this computer', function () {
  this.timeout(240_000)
  let home: TestHome
  let echo: string
  const pekka = (...args: string[]): Running => home.pekka(...args)

  before(function () {
    needSetUp(this)
  })
  beforeEach(async () => {
    home = await TestHome.make()
    echo = join(home.path, 'work', 'echo.py')
    await writeFile(echo, 'import sys\nprint(sys.argv[1:])\nprint("oops", file=sys.stderr)\nsys.exit(7)\n')
  })
  afterEach(() => home.remove())

  it('made by pekka run passes output and exit code through, and nothing of it is left', async () => {
    const run = pekka('run', '-q', echo, 'a', '--json')
    assert.equal(await run.ended, 7, run.said.err)
    assert.equal(run.said.out, "['a', '--json']\n")
    assert.equal(run.said.err, 'oops\n')
    await home.assertNothingLeft()
    const valkey = join(home.path, 'devnet', 'valkey')
    await rm(valkey, { recursive: true })
    await writeFile(valkey, 'in the way')
    const failing = pekka('run', '-q', echo)
    assert.equal(await failing.ended, 70)
    assert.match(failing.said.err, /The start of the network failed/)
    await home.assertNothingLeft()
    const pair = pekka('pair')
    assert.equal(await pair.ended, 64)
    assert.match(pair.said.err, /PEKKA does not run here\. Start it first: pekka up/)
  })

  it('that was killed is cleared away by the next start, which tells a further one who runs and where, serves both, and stops at SIGINT', async () => {
    const first = pekka('up')
    await first.until(/Open/)
    first.child.kill('SIGKILL')
    await first.ended
    const own = join(home.path, 'own notebooks')
    const up = pekka('up', '--dir', own)
    await up.until(/Open {2}(http:\S+)/)
    await rootIs(own, up)
    const [, page = ''] = /Open {2}(http:\S+)/.exec(up.said.out) ?? []
    assert.equal((await fetch(page)).status, 200)
    const second = pekka('up')
    assert.equal(await second.ended, 78)
    assert.ok(second.said.err.includes(`process ${up.child.pid}) at ${page}`), second.said.err)
    const run = pekka('run', '-q', echo)
    assert.equal(await run.ended, 7, run.said.err)
    assert.equal((await fetch(page)).status, 200, 'a run that ended has taken nothing with it')
    await pairOnce(page)
    up.child.kill('SIGINT')
    await up.ended
    await home.assertNothingLeft()
  })

  /** What a page does with the wallet and the code that `pekka pair` prints, on its way through Lab's proxy. */
  async function pairOnce(page: string): Promise<void> {
    const pair = pekka('pair')
    assert.equal(await pair.ended, 0, pair.said.err)
    const [, wallet = '', code = ''] = /^Wallet {2}(http:\S+)\nCode {4}(\S+)\n$/.exec(pair.said.out) ?? []
    assert.match(pair.said.err, /good once and for 60 seconds/)
    const signer = createSigner(random.bytes(32))
    const { agreement, aead } = createPrimitives()
    const exchange = await agreement.generate()
    const lab = new URL(page)
    const ask = (base: string): Promise<PairAnswer> =>
      new Http({ fetch }, { base, headers: { authorization: `token ${lab.searchParams.get('token')}` } }).request(
        'POST',
        '/v1/pair',
        pairAnswerSchema,
        {
          body: {
            v: 1,
            proof: pairProof(utf8(code), signer.publicKey, exchange.publicKey),
            key: signer.publicKey,
            exchange: exchange.publicKey,
            label: 'test'
          }
        }
      )
    const answer = await ask(`${lab.origin}/proxy/${new URL(wallet).port}`)
    const ephemeral = answer.viewKey.subarray(0, 32)
    const shared = await agreement.agree(exchange.privateKey, ephemeral)
    const info = pairInfo(answer.account, signer.publicKey, exchange.publicKey, ephemeral)
    const viewKey = await aead.open(
      deriveKey(shared, info),
      new Uint8Array(NONCE_BYTES),
      answer.viewKey.subarray(32),
      info
    )
    const client = new PekkaClient(
      {
        fetch,
        live: () => assert.fail('nothing is followed'),
        primitives: createPrimitives(),
        clock: systemClock
      },
      {
        base: answer.bridges[0] ?? '',
        identity: {
          network: answer.network,
          account: answer.account,
          bridge: answer.bridgeKey,
          signer,
          viewKey: viewKeyFrom(viewKey)
        }
      }
    )
    const { lanes } = await client.account()
    assert.deepEqual(lanes[0]?.delegate?.key, signer.publicKey)
    await assert.rejects(ask(wallet), /wrong, used or too old/)
  }

  /** JupyterLab serves this folder, with the examples in it, and opens the first of them. */
  async function rootIs(folder: string, { said }: Running): Promise<void> {
    const page = new URL(/Open {2}(http:\S+)/.exec(said.out)?.[1] ?? '')
    assert.equal(page.pathname, '/lab/tree/hello.ipynb')
    await writeFile(join(folder, 'mine.txt'), 'mine')
    const answer = await fetch(`${page.origin}/api/contents?token=${page.searchParams.get('token')}`)
    const { content } = (await answer.json()) as { content: { name: string }[] } // Jupyter's contents API
    const names = content.map(({ name }) => name)
    for (const name of ['hello.ipynb', 'mine.txt']) assert.ok(names.includes(name), names.join(', '))
  }
})
