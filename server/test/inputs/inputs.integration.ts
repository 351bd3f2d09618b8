import assert from 'node:assert/strict'
import { createServer as createHttp, type RequestListener } from 'node:http'
import { createServer, type Server } from 'node:https'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isPekkaError, type ErrorCode } from '@pekka/node/protocol'
import { Inputs, isPublic, type FetchPolicy } from '../../src/inputs/index.js'
import { selfSigned } from '../support/certificate.js'
import { concatenated } from '../support/streams.js'

const fails = (code: ErrorCode, pattern?: RegExp) => (error: unknown) =>
  isPekkaError(error) && error.code === code && (pattern === undefined || pattern.test(error.message))

describe('addresses of inputs', () => {
  const inside = `0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.1.2.3 169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1
    192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 240.0.0.1 255.255.255.255 :: ::1 ::ffff:127.0.0.1 ::ffff:8.8.8.8
    ::7f00:1 64:ff9b::7f00:1 64:ff9b:1::1 100::1 2001::1 2001:db8::1 2002:7f00:1::1 3fff::1 fc00::1 fd12::1 fe80::1 fe80::1%eth0
    fec0::1 ff02::1 name 1.2.3`
  for (const address of inside.split(/\s+/))
    it(`takes ${address} for no public one`, () => assert.equal(isPublic(address), false))
  for (const address of ['8.8.8.8', '1.1.1.1', '172.32.0.1', '2606:4700:4700::1111', '2a00:1450:4001::1'])
    it(`takes ${address} for a public one`, () => assert.equal(isPublic(address), true))
})

describe('inputs', function () {
  this.timeout(30_000)
  let folder: string
  let server: Server
  let port: number
  let inputs: Inputs
  let answer: RequestListener
  let asked: string[] = []
  /** What a name server says, one answer after the other. */
  let names: Record<string, string[][]> = {}
  const { cert, key } = selfSigned(['127.0.0.1'])

  before(async () => {
    server = createServer({ cert, key }, (request, response) => {
      asked.push(request.url ?? '')
      answer(request, response)
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    port = (server.address() as AddressInfo).port
  })
  after(() => {
    server.closeAllConnections()
    server.close()
  })

  const create = async (policy: Partial<FetchPolicy> = {}): Promise<Inputs> => {
    const resolve = async (name: string): Promise<string[]> => {
      const answers = names[name] ?? []
      return (answers.length > 1 ? answers.shift() : answers[0]) ?? []
    }
    const all = { allow: ['*'], allowPrivate: [`127.0.0.1:${port}`], maxBytes: 100_000, ca: cert, ...policy }
    const made = new Inputs({ log: { info: () => {} }, resolve }, { folder: join(folder, 'inputs'), policy: all })
    await made.start()
    return made
  }
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-inputs-'))
    asked = []
    names = {
      'public.example': [['93.184.216.34']],
      'private.example': [['10.0.0.7']],
      'mixed.example': [['93.184.216.34', '127.0.0.1']]
    }
    answer = (_request, response) => response.end('a,b\n1,2\n')
    inputs = await create()
  })
  afterEach(async () => {
    await inputs.stop()
    await rm(folder, { recursive: true })
  })
  const here = (path: string): string => `https://127.0.0.1:${port}${path}`

  it('fetches what an address holds and keeps it by its hash', async () => {
    const found = await inputs.fetch(here('/data/table.csv?v=1'))
    assert.deepEqual([found.size, found.name], [8, 'table.csv'])
    assert.equal(Buffer.from(await concatenated((await inputs.blob(found.hash))?.chunks)).toString(), 'a,b\n1,2\n')
    assert.equal(await inputs.blob(new Uint8Array(32)), null)
  })

  it('asks the server whether it has changed, and takes what is here where it has not', async () => {
    answer = (request, response) => {
      if (request.headers['if-none-match'] === '"one"') return void response.writeHead(304).end()
      response.setHeader('etag', '"one"').end('first')
    }
    const first = await inputs.fetch(here('/x'))
    assert.deepEqual(await inputs.fetch(here('/x')), first)
    answer = (_request, response) => response.setHeader('etag', '"two"').end('second')
    assert.notDeepEqual((await inputs.fetch(here('/x'))).hash, first.hash)
  })

  it('follows redirects that may be asked', async () => {
    answer = (request, response) =>
      request.url === '/old' ? void response.writeHead(302, { location: '/new' }).end() : void response.end('moved')
    assert.equal((await inputs.fetch(here('/old'))).size, 5)
  })

  for (const [what, target] of [
    ['the metadata service of a cloud', 'https://169.254.169.254/latest/meta-data'],
    ['a name of the own network', 'https://private.example/'],
    ['this computer by another port', 'https://127.0.0.1:9/'],
    ['unencrypted http', 'http://public.example/'],
    ['a file', 'file:///etc/passwd'],
    ['an endless circle', '/again']
  ] as const) {
    it(`does not follow a redirect to ${what}`, async () => {
      answer = (_request, response) => void response.writeHead(302, { location: target }).end()
      await assert.rejects(inputs.fetch(here('/again')), error =>
        target === '/again' ? fails('INPUT_UNREACHABLE', /circles/)(error) : fails('INPUT_REFUSED')(error)
      )
    })
  }

  for (const url of [
    'https://127.0.0.1/',
    'https://127.1/',
    'https://2130706433/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[64:ff9b::a00:1]/',
    'https://169.254.169.254/',
    'https://private.example/',
    'https://mixed.example/',
    'https://private.example./',
    'https://public.example:8443/',
    'http://public.example/',
    'https://user:secret@public.example/',
    'ftp://public.example/',
    'file:///etc/passwd',
    'data:text/plain,x',
    'not an address'
  ]) {
    it(`refuses ${url} without a connection`, async () => {
      await assert.rejects(inputs.fetch(url), fails('INPUT_REFUSED'))
      assert.deepEqual(asked, [])
    })
  }

  it('connects to the address that it has checked, whatever a name server says later', async () => {
    const plain = createHttp((_request, response) => response.end('checked'))
    await new Promise<void>(resolve => plain.listen(0, '127.0.0.1', resolve))
    try {
      const place = `rebound.example:${(plain.address() as AddressInfo).port}`
      names['rebound.example'] = [['127.0.0.1'], ['192.0.2.1']]
      await inputs.stop()
      inputs = await create({ allowPrivate: [place] })
      assert.equal((await inputs.fetch(`http://${place}/`)).size, 7)
      // Asked once: a second question would have got the other answer.
      assert.deepEqual(names['rebound.example'], [['192.0.2.1']])
    } finally {
      plain.close()
    }
  })

  it('asks only the servers that the operator has named', async () => {
    await inputs.stop()
    inputs = await create({ allow: ['data.example', '*.lab.example'] })
    for (const name of ['public.example', 'lab.example', 'evil-data.example', 'data.example.evil.example'])
      await assert.rejects(inputs.fetch(`https://${name}/`), fails('INPUT_REFUSED', /does not fetch from/))
  })

  it('ends at the limit, whether the size was announced or not, and keeps nothing', async () => {
    answer = (_request, response) =>
      void response.writeHead(200, { 'content-length': 10_000_000 }).end('x'.repeat(10_000_000))
    await assert.rejects(inputs.fetch(here('/big')), fails('INPUT_TOO_BIG'))
    answer = (_request, response) => {
      response.on('error', () => {})
      const more = (): void => void (response.destroyed || (response.write('x'.repeat(60_000)), setImmediate(more)))
      more()
    }
    await assert.rejects(inputs.fetch(here('/endless')), fails('INPUT_TOO_BIG'))
    assert.deepEqual(await readdir(join(folder, 'inputs', 'files')), [])
    assert.deepEqual(await readdir(join(folder, 'inputs', 'drafts')), [])
  })

  it('says what a server answers, and keeps nothing that ended early', async () => {
    answer = (_request, response) => void response.writeHead(404).end()
    await assert.rejects(inputs.fetch(here('/none')), fails('INPUT_UNREACHABLE', /404/))
    answer = (_request, response) => {
      response.writeHead(200, { 'content-length': 100 })
      response.write('half')
      setImmediate(() => response.destroy())
    }
    await assert.rejects(inputs.fetch(here('/half')), fails('INPUT_UNREACHABLE'))
    assert.deepEqual(await readdir(join(folder, 'inputs', 'files')), [])
  })

  it('does not trust a server whose certificate nobody vouches for', async () => {
    await inputs.stop()
    inputs = await create({ ca: undefined })
    await assert.rejects(inputs.fetch(here('/x')), fails('INPUT_UNREACHABLE', /SELF_SIGNED|CERT/))
  })
})
