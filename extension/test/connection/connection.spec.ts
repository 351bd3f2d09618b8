import assert from 'node:assert/strict'
import { addressesFor, bridgeAddressesFor } from '../../src/connection/addresses.js'
import { optionOfPage, parsePageOption } from '../../src/connection/page-option.js'

const option = { v: 1, code: 'c0de', wallet: 'http://127.0.0.1:7421', bridge: 'http://127.0.0.1:7420' }

describe('connection: addresses', () => {
  it('goes through the proxy at Lab’s own origin first, then directly on the same computer', () => {
    assert.deepEqual(addressesFor('http://localhost:8888/', 'http://127.0.0.1:7420'), [
      'http://localhost:8888/proxy/7420',
      'http://127.0.0.1:7420'
    ])
  })

  it('never asks the reader’s own computer when Jupyter runs elsewhere', () => {
    assert.deepEqual(addressesFor('https://hub.example.org/user/ada', 'http://127.0.0.1:7420/'), [
      'https://hub.example.org/user/ada/proxy/7420'
    ])
  })

  it('calls a bridge on the same computer directly first, and through the proxy where nothing answers there', () => {
    assert.deepEqual(bridgeAddressesFor('http://localhost:8888/', 'http://127.0.0.1:7420'), [
      'http://127.0.0.1:7420',
      'http://localhost:8888/proxy/7420'
    ])
  })

  it('calls it through the proxy first from a page that came by TLS, and only so when Jupyter runs elsewhere', () => {
    assert.deepEqual(bridgeAddressesFor('https://localhost:8888/', 'http://127.0.0.1:7420'), [
      'https://localhost:8888/proxy/7420',
      'http://127.0.0.1:7420'
    ])
    assert.deepEqual(bridgeAddressesFor('https://hub.example.org/user/ada', 'http://127.0.0.1:7420/'), [
      'https://hub.example.org/user/ada/proxy/7420'
    ])
  })

  it('takes a bridge beyond loopback as it is named', () => {
    assert.deepEqual(addressesFor('http://localhost:8888/', 'https://bridge.example.org/'), [
      'https://bridge.example.org'
    ])
  })
})

describe('connection: the wallet’s word in the page', () => {
  it('reads the option', () => {
    assert.deepEqual(parsePageOption(JSON.stringify(option)), {
      code: option.code,
      wallet: option.wallet,
      bridge: option.bridge
    })
  })

  it('takes nothing of another version, shape or scheme', () => {
    for (const odd of [
      '',
      'null',
      '[]',
      JSON.stringify({ ...option, v: 2 }),
      JSON.stringify({ ...option, code: 5 }),
      JSON.stringify({ ...option, wallet: 'javascript:alert(1)' }),
      JSON.stringify({ ...option, bridge: 'http://' })
    ])
      assert.equal(parsePageOption(odd), undefined, odd)
  })

  it('finds it in a page of JupyterLab that was fetched anew', () => {
    const config = JSON.stringify({ baseUrl: '/', pekka: JSON.stringify(option) })
    const html = `<html><script id="jupyter-config-data" type="application/json">${config}</script></html>`
    assert.equal(optionOfPage(html)?.code, 'c0de')
    assert.equal(optionOfPage('<html>login</html>'), undefined)
    assert.equal(optionOfPage('<script id="jupyter-config-data">{broken</script>'), undefined)
  })
})
