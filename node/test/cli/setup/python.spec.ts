import assert from 'node:assert/strict'
import { parsePipConfig, uvEnvironment } from '@pekka/node/setup/python'

describe("pip's settings for uv", () => {
  const listing = [
    ":env:.cert='/etc/ssl/lab.pem'",
    ":env:.default-timeout='180'",
    "global.cert='/etc/ssl/other.pem'",
    "global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'",
    "global.index-url='https://pypi.example/simple'",
    "install.index-url='https://mirror.example/simple'",
    "freeze.timeout='10'",
    ''
  ].join('\n')

  it('are read with pip’s own precedence: environment, then the command, then all commands', () => {
    const pip = parsePipConfig(listing)
    assert.equal(pip.cert, '/etc/ssl/lab.pem')
    assert.equal(pip['index-url'], 'https://mirror.example/simple')
    assert.equal(pip.timeout, undefined)
  })

  it('become uv’s variables', () => {
    assert.deepEqual(uvEnvironment(parsePipConfig(listing), {}), {
      UV_DEFAULT_INDEX: 'https://mirror.example/simple',
      UV_INDEX: 'https://one.example/simple https://two.example/simple',
      UV_INDEX_STRATEGY: 'unsafe-best-match',
      SSL_CERT_FILE: '/etc/ssl/lab.pem',
      UV_HTTP_TIMEOUT: '180'
    })
  })

  it('give way to what the user set for uv, and to a proxy of the environment', () => {
    const pip = { 'index-url': 'https://pip.example/simple', proxy: 'http://proxy.example:3128' }
    assert.deepEqual(uvEnvironment(pip, { UV_DEFAULT_INDEX: 'x', HTTPS_PROXY: 'y', http_proxy: 'z' }), {})
  })
})
