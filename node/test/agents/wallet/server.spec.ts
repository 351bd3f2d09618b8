import assert from 'node:assert/strict'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PageConfig, PairingCodes, Wallet, WalletServer, openVault } from '@pekka/node/agents/wallet'
import { createPrimitives, random, systemClock } from '@pekka/node/host/crypto'
import { CBOR, encodeCbor, toHex } from '@pekka/node/protocol'

/** A bridge address where nothing listens: whatever needs the ledger says so, whatever does not works. */
const NOWHERE = 'http://127.0.0.1:9'

describe('the wallet process', () => {
  let home: string
  let server: WalletServer
  let url: string
  let codes: PairingCodes
  let socket: string

  before(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-wallet-'))
    const primitives = createPrimitives()
    const vault = await openVault(home, random)
    const live = () => {
      throw new Error('the wallet opens no socket to the bridge')
    }
    const wallet = new Wallet({ vault, fetch, live, primitives, clock: systemClock }, { bridges: [NOWHERE] })
    codes = new PairingCodes({ random, clock: systemClock })
    socket = join(home, 's')
    server = new WalletServer(
      { wallet, codes, log: { warn: () => undefined } },
      { http: { host: '127.0.0.1', port: 0 }, socket, allowedOrigins: ['http://127.0.0.1:8888'] }
    )
    url = await server.start()
  })

  after(async () => {
    await server.stop()
    await rm(home, { recursive: true })
  })

  const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
    fetch(`${url}${path}`, {
      method: 'POST',
      headers: { 'content-type': CBOR, ...headers },
      body: new Uint8Array(encodeCbor(body))
    })
  const codeOf = async (response: Response): Promise<unknown> => (await response.json()).code

  it('keeps its secrets in a file that only its user can read, and never overwrites one it cannot read', async () => {
    const path = join(home, 'wallet', 'wallet.json')
    assert.equal((await stat(path)).mode & 0o777, 0o600)
    const bytes = new Uint8Array(32)
    const first = await openVault(home, random)
    assert.equal(toHex((await openVault(home, random)).accountOn(bytes)), toHex(first.accountOn(bytes)))
    const other = await mkdtemp(join(tmpdir(), 'pekka-wallet-'))
    await openVault(other, random)
    await writeFile(join(other, 'wallet', 'wallet.json'), '{"v":9}')
    await assert.rejects(openVault(other, random), /left as it is/)
    assert.equal(await readFile(join(other, 'wallet', 'wallet.json'), 'utf8'), '{"v":9}')
    await rm(other, { recursive: true })
  })

  it('opens its unix socket for its user only', async () => {
    assert.equal((await stat(socket)).mode & 0o777, 0o600)
  })

  it('serves browsers nothing but pairing', async () => {
    for (const path of [
      '/v1/codes',
      '/v1/delegates',
      '/v1/token-signatures',
      '/v1/faucet',
      '/v1/account',
      '/v1/revocations',
      '/v1/owner',
      '/v1/owner/transactions',
      '/v1/owner/signatures',
      '/v1/owner/submissions',
      '/v1/owner/rotation',
      '/v1/owner/account'
    ]) {
      const response = await post(path, {})
      assert.equal(response.status, 404, path)
    }
  })

  it('refuses pages of another origin before it looks at a code (B7)', async () => {
    const response = await post('/v1/pair', {}, { origin: 'https://evil.example' })
    assert.equal(response.status, 403)
    assert.equal(await codeOf(response), 'ORIGIN_REFUSED')
    assert.equal(response.headers.get('access-control-allow-origin'), null)
  })

  it('lets a page of the host it asks pair, on any forwarded port, but no rebound name', async () => {
    const ask = (headers: Record<string, string>) =>
      new Promise<number>((resolve, reject) => {
        const outgoing = request(`${url}/v1/pair`, { method: 'POST', headers }, response => {
          response.resume().on('end', () => resolve(response.statusCode ?? 0))
        })
        outgoing.on('error', reject).end(encodeCbor({}))
      })
    assert.equal(await ask({ host: 'localhost:9999', origin: 'http://localhost:9999' }), 400)
    assert.equal(await ask({ host: 'rebound.example', origin: 'http://rebound.example' }), 403)
    assert.equal(await ask({ host: 'localhost:9999', origin: 'http://localhost:1111' }), 403)
  })

  it('answers rubbish with a problem and lives on', async () => {
    for (const body of [new Uint8Array([0xff]), new Uint8Array(70_000), new TextEncoder().encode('{}')]) {
      const response = await fetch(`${url}/v1/pair`, { method: 'POST', body })
      assert.ok(response.status >= 400 && response.status < 500, String(response.status))
    }
    assert.equal((await fetch(`${url}/v1/health`)).status, 200)
  })

  it('refuses a wrong code', async () => {
    const request = { v: 1, proof: random.bytes(32), key: random.bytes(32), exchange: random.bytes(32), label: 'x' }
    assert.equal(await codeOf(await post('/v1/pair', request)), 'PAIRING_FAILED')
  })

  it('gives the command line codes over its socket, and says so when the bridge is away', async () => {
    const call = (path: string, body: unknown, method = 'POST') =>
      new Promise<{ status: number; text: string }>((resolve, reject) => {
        const outgoing = request({ socketPath: socket, method, path }, response => {
          let text = ''
          response.setEncoding('latin1').on('data', (chunk: string) => (text += chunk))
          response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
        })
        outgoing.on('error', reject).end(method === 'GET' ? undefined : encodeCbor(body))
      })
    assert.equal((await call('/v1/codes', {})).status, 200)
    assert.equal((await call('/v1/owner/key', {}, 'GET')).status, 200)
    const answer = await call('/v1/delegates', { key: random.bytes(32) })
    assert.equal(JSON.parse(answer.text).code, 'BRIDGE_UNREACHABLE')
  })

  it('writes a fresh code into the page config and takes the file away when it stops', async () => {
    const path = join(home, 'labconfig', 'page_config.json')
    const page = new PageConfig({ codes }, { path, facts: () => ({ wallet: url, bridge: NOWHERE }) })
    await page.start()
    const written = JSON.parse(JSON.parse(await readFile(path, 'utf8')).pekka)
    assert.equal(written.wallet, url)
    assert.match(written.code, /^[\w-]{22}$/)
    await page.stop()
    await assert.rejects(stat(path))
  })
})
