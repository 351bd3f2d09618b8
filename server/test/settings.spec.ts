import assert from 'node:assert/strict'
import { parseSettings } from '@pekka/server'

const settings = (http: object, more: object = {}): object => ({
  home: '/nowhere',
  http,
  libp2p: {},
  redis: { path: '/nowhere/redis.sock' },
  witnesses: ['/ip4/127.0.0.1/tcp/1'],
  ...more
})

describe('settings of the bridge', () => {
  it('listen beyond this machine only with a certificate', () => {
    for (const host of ['0.0.0.0', '::', '192.168.1.5', 'bridge.example.org', '127.0.0.1.example.org'])
      assert.throws(() => parseSettings(settings({ host })), /certificate/, host)
    for (const host of ['127.0.0.1', '::1', 'localhost', '127.0.0.53'])
      assert.equal(parseSettings(settings({ host })).http.host, host)
    assert.ok(parseSettings(settings({ host: '0.0.0.0' }, { tls: { cert: 'c.pem', key: 'k.pem' } })))
  })

  it('name what is wrong', () => {
    assert.throws(() => parseSettings({ ...settings({}), witnesses: [] }), /witnesses/)
    assert.throws(() => parseSettings({ ...settings({}), unknown: 1 }), /unknown/i)
  })
})
