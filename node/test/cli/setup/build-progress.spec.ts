import assert from 'node:assert/strict'
import { BuildMeter } from '../../../src/cli/setup/build-progress.js'

describe('how far the build of an image is', () => {
  it('is what has been downloaded of what uv has named, then installed, then compiled', () => {
    const meter = new BuildMeter()
    assert.deepEqual(meter.read('python', '157 Python packages'), { text: '157 Python packages', fraction: null })
    assert.deepEqual(meter.read('python', 'Downloading scipy (30.0MiB)'), { text: '0 of 31 MB', fraction: null })
    meter.read('python', 'Downloading numpy (10.0MiB)')
    const half = meter.read('python', 'Downloaded scipy')
    assert.equal(half.text, '31 of 42 MB')
    assert.ok(half.fraction !== null && Math.abs(half.fraction - 0.5625) < 1e-9)
    meter.read('python', 'Downloaded numpy')
    assert.equal(meter.read('python', 'Installed 157 packages in 8s').fraction, 0.85)
    assert.equal(meter.read('debian', '55 Debian packages').fraction, 0.85)
    assert.equal(meter.read('done', '32784 files').fraction, 0.98)
  })

  it('never goes back', () => {
    const meter = new BuildMeter()
    meter.read('python', 'Downloading a (1.0MiB)')
    const first = meter.read('python', 'Downloaded a').fraction
    meter.read('python', 'Downloading b (1.0GiB)')
    meter.read('python', 'Downloading c (500.0KiB)')
    assert.equal(meter.read('python', 'Downloaded c').fraction, first)
  })
})
