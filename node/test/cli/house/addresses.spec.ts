import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { listenAgain, readAddresses, writeAddresses, type Addresses } from '../../../src/cli/house/state/addresses.js'
import { housePlaces, type HousePlaces } from '../../../src/cli/house/state/places.js'
import { freePort } from '../../../src/cli/house/ports.js'

describe('addresses of the network that ran last', () => {
  let home: string
  let places: HousePlaces
  let port: number
  let addresses: Addresses
  beforeEach(async () => {
    home = await mkdtemp(join(tmpdir(), 'pekka-addresses-'))
    places = housePlaces(home, {})
    await mkdir(places.devnet, { recursive: true })
    port = (await freePort(20_000)) ?? assert.fail('no port is free')
    addresses = {
      witness: { addresses: [`/ip4/127.0.0.1/tcp/${port}/p2p/a`] },
      bridge: { addresses: [`/ip4/127.0.0.1/tcp/${port}/p2p/b`], url: `http://127.0.0.1:${port}` },
      wallet: { url: `http://127.0.0.1:${port}` }
    }
  })
  afterEach(() => rm(home, { recursive: true, force: true }))

  it('are unknown at a first start and where the file is damaged', async () => {
    assert.equal(await readAddresses(places), undefined)
    await writeFile(join(places.devnet, 'addresses.json'), '{"witness":')
    assert.equal(await readAddresses(places), undefined)
  })

  it('are taken again while their ports are free, and not where one is taken', async () => {
    await writeAddresses(places, addresses)
    assert.deepEqual(await readAddresses(places), addresses)
    const other = createServer().listen(port, '127.0.0.1')
    await new Promise(resolve => other.once('listening', resolve))
    assert.equal(await readAddresses(places), undefined)
    await new Promise(resolve => other.close(resolve))
  })
})

describe('where a process listens', () => {
  const said = { addresses: ['/ip4/127.0.0.1/tcp/4001/p2p/x', '/ip4/10.1.2.3/tcp/4002/p2p/x'] }

  it('is loopback at first, at a port that no outgoing connection takes', async () => {
    const [address = '', ...others] = await listenAgain(undefined)
    assert.deepEqual(others, [])
    const [, port] = /^\/ip4\/127\.0\.0\.1\/tcp\/(\d+)$/.exec(address) ?? []
    assert.ok(Number(port) >= 20_000 && Number(port) < 32_768, address)
  })

  it('is the same ports again', async () =>
    assert.deepEqual(await listenAgain(said, '10.1.2.3'), ['/ip4/127.0.0.1/tcp/4001', '/ip4/10.1.2.3/tcp/4002']))

  it('is loopback alone once nobody asks for more, whatever it was before', async () =>
    assert.deepEqual(await listenAgain(said), ['/ip4/127.0.0.1/tcp/4001']))

  it('is a new address where the old one was loopback', async () => {
    const [first, second = ''] = await listenAgain({ addresses: ['/ip4/127.0.0.1/tcp/4001/p2p/x'] }, '::1')
    assert.equal(first, '/ip4/127.0.0.1/tcp/4001')
    const [, port] = /^\/ip6\/::1\/tcp\/(\d+)$/.exec(second) ?? []
    assert.ok(Number(port) >= 20_000 && Number(port) < 32_768, second)
  })
})
