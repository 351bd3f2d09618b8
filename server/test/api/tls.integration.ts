import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { get } from 'node:https'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import type { TaskEvent } from '@pekka/node/protocol'
import { BridgeProcess } from '../support/bridge-process.js'
import { selfSigned } from '../support/certificate.js'
import { World, cell } from '../support/world.js'

/** An address of this machine that others could reach; loopback's second one where it has none. */
const OUTSIDE =
  Object.values(networkInterfaces())
    .flat()
    .find(one => one !== undefined && !one.internal && one.family === 'IPv4')?.address ?? '127.0.0.2'

describe('a bridge beyond loopback', function () {
  this.timeout(60_000)
  const known = getCACertificates()
  let folder: string
  let tls: { cert: string; key: string }
  let world: World

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'pekka-tls-'))
    tls = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') }
    setDefaultCACertificates([...known, await renew()])
    world = await World.start({
      settings: { http: { host: '0.0.0.0', port: 0 }, allowedHosts: [OUTSIDE], tls }
    })
  })
  after(async () => {
    setDefaultCACertificates(known)
    await world.stop()
    await rm(folder, { recursive: true, force: true })
  })

  /** Writes a new certificate. @returns it */
  async function renew(): Promise<string> {
    const { cert, key } = selfSigned([OUTSIDE])
    await writeFile(tls.key, key)
    await writeFile(tls.cert, cert)
    return cert
  }
  const address = (): string => `https://${OUTSIDE}:${new URL(world.at.url).port}`
  /** Status of a request on a new connection that trusts this certificate alone. */
  const health = (ca: string): Promise<number> =>
    new Promise((resolve, reject) => {
      const request = get(`${address()}/v1/health`, { agent: false, ca }, answer => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
      request.on('error', reject)
    })

  it('serves the API and the live stream of a task by TLS', async () => {
    assert.match(world.at.url, /^https:/)
    assert.equal((await fetch(`${address()}/v1/health`)).status, 200)
    const client = world.client(await world.person(), address())
    const task = await client.submit(cell('print("hello")'))
    const events: TaskEvent[] = []
    const follower = await client.follow(task, { events: batch => void events.push(...batch) })
    assert.equal((await follower.ended).phase.phase, 'settled')
    assert.ok(events.some(event => event.type === 'stream' && event.text === 'hello\n'))
  })

  it('says nothing to who speaks without TLS, or does not trust the certificate', async () => {
    await assert.rejects(fetch(address().replace('https:', 'http:') + '/v1/health'))
    await assert.rejects(health(selfSigned([OUTSIDE]).cert), /self-signed/)
  })

  it('serves a renewed certificate without a restart', async () => {
    const cert = await renew()
    await assert.rejects(health(cert))
    await world.bridge.sweep()
    assert.equal(await health(cert), 200)
    await writeFile(tls.cert, 'half written')
    await world.bridge.sweep()
    assert.equal(await health(cert), 200)
    await writeFile(tls.cert, cert)
  })

  it('does not start without a certificate, or with one that is none, and says why', async () => {
    const start = (change: object): Promise<unknown> =>
      BridgeProcess.start(join(folder, 'bridge.json'), { ...world.settings(), home: join(folder, 'home'), ...change })
    await assert.rejects(start({ tls: undefined }), /listens on 0\.0\.0\.0 only with a certificate/)
    await assert.rejects(start({ tls: { ...tls, cert: join(folder, 'none.pem') } }), /none\.pem cannot be read/)
    await assert.rejects(start({ tls: { ...tls, key: tls.cert } }), /cannot be used/)
  })
})
