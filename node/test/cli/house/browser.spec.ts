import assert from 'node:assert/strict'
import { onDesktop } from '../../../src/cli/house/browser.js'

describe('a browser', () => {
  it('is opened only for who sits at a desktop and started PEKKA from a terminal there', () => {
    assert.equal(onDesktop({ DISPLAY: ':0' }, true), true)
    assert.equal(onDesktop({ WAYLAND_DISPLAY: 'wayland-0' }, true), true)
    assert.equal(onDesktop({ DISPLAY: ':0' }, false), false, 'piped, or started by a service')
    assert.equal(onDesktop({ DISPLAY: ':10', SSH_CONNECTION: '192.0.2.1 50000 192.0.2.2 22' }, true), false)
    assert.equal(onDesktop({}, true), false)
  })
})
