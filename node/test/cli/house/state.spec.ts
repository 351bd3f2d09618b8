import assert from 'node:assert/strict'
import { chmod, mkdir, mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createServer as createHttpServer, type Server } from 'node:http'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createDevnetGenesis } from '@pekka/node/ledger'
import { PekkaError, encodeCanonical, encodeCbor, networkId, toHex } from '@pekka/node/protocol'
import { DEVNET_FORMAT } from '../../../src/cli/house/constants.js'
import { copyExamples, offerExamples } from '../../../src/cli/house/state/examples.js'
import { drawFirst, joinOutside } from '../../../src/cli/house/state/outside.js'
import { housePlaces } from '../../../src/cli/house/state/places.js'
import { freePort, isFree, reservePort } from '../../../src/cli/house/ports.js'
import { makeSocketFolder } from '../../../src/cli/house/sockets.js'
import { stampVersion } from '../../../src/cli/house/state/version.js'

describe('the state in a PEKKA_HOME', () => {
  let home: string
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka höme '))
  })
  afterEach(() => rm(home, { recursive: true, force: true }))

  it('of another version is moved aside, the wallet is kept', async () => {
    const places = housePlaces(home, {})
    assert.equal(await stampVersion(places, '1.0'), undefined)
    await mkdir(places.wallet)
    await writeFile(join(places.wallet, 'wallet.json'), 'keys')
    await writeFile(join(places.devnet, 'genesis'), 'old')
    assert.equal(await stampVersion(places, '1.0'), undefined)
    assert.equal(await readFile(join(places.devnet, 'genesis'), 'utf8'), 'old')

    const aside = await stampVersion(places, '2.0')
    assert.equal(aside, `${places.devnet}-of-1.0`)
    assert.equal(await readFile(join(`${aside}`, 'genesis'), 'utf8'), 'old')
    await assert.rejects(stat(join(places.devnet, 'genesis')))
    assert.equal(await readFile(join(places.wallet, 'wallet.json'), 'utf8'), 'keys')
    assert.equal(await stampVersion(places, '2.0'), undefined)
  })

  it('has a format that rises whenever a genesis of before can not be read any more', () => {
    const key = new Uint8Array(32)
    const genesis = createDevnetGenesis({
      ...{ createdAt: 0, nonce: new Uint8Array(16), witness: key, providers: [] },
      demo: { threshold: 1, keys: [key] }
    })
    // Where this fails, what a genesis holds has changed: raise DEVNET_FORMAT and write down the new name.
    assert.deepEqual(
      { format: DEVNET_FORMAT, network: toHex(networkId(genesis)) },
      { format: 4, network: '10a38e980ec64d655eabf78b73bcaeb54286f6b672aa18eb32ea063a71503899' }
    )
  })

  it('never overwrites what was moved aside before', async () => {
    const places = housePlaces(home, {})
    await mkdir(`${places.devnet}-of-1.0`, { recursive: true })
    await stampVersion(places, '1.0')
    assert.equal(await stampVersion(places, '2.0'), `${places.devnet}-of-1.0-2`)
  })

  it('has its sockets on a path that fits, whatever the length of the home', () => {
    const long = join(home, 'x'.repeat(300))
    const { sockets } = housePlaces(long, { XDG_RUNTIME_DIR: join(home, 'y'.repeat(100)) })
    assert.ok(Buffer.byteLength(join(sockets, 'provider-1')) < 108)
    assert.notEqual(sockets, housePlaces(`${long}2`, {}).sockets)
  })

  it('refuses a socket folder that others can enter or that is a link', async () => {
    const path = join(home, 'sockets')
    await makeSocketFolder(path)
    assert.equal((await stat(path)).mode & 0o777, 0o700)
    await makeSocketFolder(path)
    await chmod(path, 0o755)
    await assert.rejects(makeSocketFolder(path), /open to others/)
    await mkdir(join(home, 'elsewhere'), { mode: 0o700 })
    await symlink(join(home, 'elsewhere'), join(home, 'link'))
    await assert.rejects(makeSocketFolder(join(home, 'link')), /belongs to somebody else/)
  })
})

describe('a network that others keep', () => {
  let home: string
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-outside-'))
  })
  afterEach(() => rm(home, { recursive: true, force: true }))
  const witnesses = ['/ip4/127.0.0.1/tcp/4001']
  const usage = (issue: RegExp) => ({ code: 'USAGE', message: issue })

  /** A file with the genesis of some network; and its id. */
  async function genesisFile(path: string, nonce: number): Promise<string> {
    const key = new Uint8Array(32)
    const genesis = createDevnetGenesis({
      ...{ createdAt: 0, nonce: new Uint8Array(16).fill(nonce), witness: key, providers: [] },
      demo: { threshold: 1, keys: [key] }
    })
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, encodeCanonical(genesis))
    return toHex(networkId(genesis)).slice(0, 8)
  }

  it('needs its genesis at the first start, in a home with a network of its own too', async () => {
    const places = housePlaces(home, {})
    await assert.rejects(joinOutside(places, { witnesses }), usage(/needs its genesis: --genesis FILE\.$/))
    const own = await genesisFile(join(places.devnet, 'genesis.cbor'), 1)
    const needed = new RegExp(
      `needs its genesis: --genesis FILE\\. .* already \\(${own}\\): "pekka reset" .* PEKKA_HOME`
    )
    await assert.rejects(joinOutside(places, { witnesses }), usage(needed))
    const file = join(home, 'theirs.cbor')
    const theirs = await genesisFile(file, 2)
    const another = new RegExp(`another network already \\(${own}\\).* for network ${theirs}`)
    await assert.rejects(joinOutside(places, { genesis: file, witnesses }), usage(another))
    assert.equal(await joinOutside(places), null)
  })

  it('is remembered, so that later starts say nothing of it', async () => {
    const places = housePlaces(home, {})
    const file = join(home, 'theirs.cbor')
    await genesisFile(file, 2)
    const first = await joinOutside(places, { genesis: file, witnesses })
    assert.deepEqual((await joinOutside(places))?.network, first?.network)
    assert.deepEqual((await joinOutside(places, { witnesses: ['/ip4/127.0.0.1/tcp/4002'] }))?.network, first?.network)
  })
})

describe('the first look at an account on a network that others keep', () => {
  let home: string
  let server: Server
  let asked: string[]
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-draw-'))
    asked = []
  })
  afterEach(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
    await rm(home, { recursive: true, force: true })
  })
  const network = 'ab'.repeat(32)

  /** A wallet that answers so; what it is asked and has no answer for waits. */
  async function walletWith(answers: Record<string, PekkaError | object>): Promise<string> {
    server = createHttpServer((request, response) => {
      const answer = answers[`${request.method} ${request.url}`]
      asked.push(`${request.method} ${request.url}`)
      if (answer === undefined) return
      if (answer instanceof PekkaError) response.writeHead(answer.status).end(JSON.stringify(answer.toProblem()))
      else response.end(encodeCbor(answer))
    })
    const path = join(home, 'wallet')
    await new Promise<void>(resolve => server.listen(path, resolve))
    return path
  }

  async function said(answers: Record<string, PekkaError | object>): Promise<string[]> {
    const lines: string[] = []
    await drawFirst(await walletWith(answers), { network }, line => void lines.push(line), new AbortController().signal)
    return lines
  }

  it('says nothing where it has some', async () => {
    assert.deepEqual(await said({ 'GET /v1/account': { balance: 5n } }), [])
  })

  it('draws some where it has none', async () => {
    assert.deepEqual(await said({ 'GET /v1/account': { balance: 0n }, 'POST /v1/faucet': { ok: true } }), [])
    assert.deepEqual(asked, ['GET /v1/account', 'POST /v1/faucet'])
  })

  it('says that there are none where the faucet refuses', async () => {
    const refused = new PekkaError('FUNDS_MISSING', {})
    const [line] = await said({ 'GET /v1/account': { balance: 0n }, 'POST /v1/faucet': refused })
    assert.match(line ?? '', /no credits on network abababab \(FUNDS_MISSING\)/)
  })

  it('doesn’t say that of an account that it couldn’t see', async () => {
    const silent = new PekkaError('LEDGER_UNREACHABLE')
    const [line] = await said({ 'GET /v1/account': silent })
    assert.match(line ?? '', /could not be seen \(LEDGER_UNREACHABLE\): The ledger does not answer/)
  })

  it('nor where the network was lost before it could draw', async () => {
    const silent = new PekkaError('BRIDGE_UNREACHABLE', { address: 'there' })
    const [line] = await said({ 'GET /v1/account': { balance: 0n }, 'POST /v1/faucet': silent })
    assert.match(line ?? '', /could not be seen \(BRIDGE_UNREACHABLE\)/)
  })

  it('ends without a word where the start is called off, though the wallet never answers', async () => {
    const lines: string[] = []
    const stop = new AbortController()
    const path = await walletWith({})
    const arrived = new Promise(resolve => server.once('request', resolve))
    const looking = drawFirst(path, { network }, line => void lines.push(line), stop.signal)
    await arrived
    stop.abort()
    await looking
    await drawFirst(path, { network }, line => void lines.push(line), stop.signal)
    assert.deepEqual([lines, asked], [[], ['GET /v1/account']])
  })
})

describe('the examples', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-examples-'))
    await mkdir(join(folder, 'source', 'deep'), { recursive: true })
    await writeFile(join(folder, 'source', 'hello.ipynb'), 'one')
    await writeFile(join(folder, 'source', 'deep', 'fit.py'), 'one')
  })
  afterEach(() => rm(folder, { recursive: true, force: true }))
  const copy = () => copyExamples(join(folder, 'work'), join(folder, 'record.json'), join(folder, 'source'))
  const read = (name: string) => readFile(join(folder, 'work', name), 'utf8').catch(() => 'none')

  it('are renewed where the user has left them as they were', async () => {
    await copy()
    assert.equal(await read('deep/fit.py'), 'one')
    await writeFile(join(folder, 'source', 'hello.ipynb'), 'two')
    await copy()
    assert.equal(await read('hello.ipynb'), 'two')
  })

  it('are left alone where the user has changed or deleted them', async () => {
    await copy()
    await writeFile(join(folder, 'work', 'hello.ipynb'), 'mine')
    await rm(join(folder, 'work', 'deep', 'fit.py'))
    await writeFile(join(folder, 'source', 'hello.ipynb'), 'two')
    await writeFile(join(folder, 'source', 'deep', 'fit.py'), 'two')
    await copy()
    assert.equal(await read('hello.ipynb'), 'mine')
    assert.equal(await read('deep/fit.py'), 'none')
  })

  it("don't replace a file of the user's that had the name before", async () => {
    await mkdir(join(folder, 'work'))
    await writeFile(join(folder, 'work', 'hello.ipynb'), 'mine')
    await copy()
    assert.equal(await read('hello.ipynb'), 'mine')
  })

  it('go into a folder that the user names where it is new or empty, and are renewed there', async () => {
    const offer = () => offerExamples(join(folder, 'work'), join(folder, 'records'), join(folder, 'source'))
    await offer()
    assert.equal(await read('hello.ipynb'), 'one')
    await writeFile(join(folder, 'source', 'hello.ipynb'), 'two')
    await offer()
    assert.equal(await read('hello.ipynb'), 'two')
  })

  it("don't go into a folder that holds the user's own work", async () => {
    await mkdir(join(folder, 'work'))
    await writeFile(join(folder, 'work', 'thesis.ipynb'), 'mine')
    await offerExamples(join(folder, 'work'), join(folder, 'records'), join(folder, 'source'))
    assert.equal(await read('hello.ipynb'), 'none')
  })
})

describe('a free port', () => {
  it('is the next one up where the first is taken', async () => {
    const server = createServer()
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    const taken = typeof address === 'object' && address !== null ? address.port : 0
    const free = await freePort(taken)
    assert.ok(free !== undefined && free > taken)
    await new Promise(resolve => server.close(resolve))
    assert.equal(await freePort(taken), taken)
  })

  it('is nobody else’s while it is reserved', async () => {
    const first = (await reservePort(20_000)) ?? assert.fail('no port is free')
    const second = (await reservePort(first.port)) ?? assert.fail('no port is free')
    assert.notEqual(second.port, first.port)
    await second.release()
    await first.release()
    await first.release()
    assert.ok(await isFree(first.port))
  })

  it('is nobody else’s either until the process listens that it was given back for', async () => {
    const first = (await reservePort(20_100)) ?? assert.fail('no port is free')
    await first.release()
    const second = (await reservePort(first.port)) ?? assert.fail('no port is free')
    await second.release()
    assert.notEqual(second.port, first.port)
  })
})
