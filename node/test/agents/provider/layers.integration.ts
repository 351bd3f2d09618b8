import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import {
  encodeLayer,
  sha256,
  layerDigest,
  toHex,
  type Layer,
  type LayerPackage,
  type Program
} from '@pekka/node/protocol'
import { imageRoot } from '../../host/sandbox/support.js'
import { packageOf, wheel, type WheelInit } from '../../host/layers/wheels.js'
import { World, cells, eventually } from './world.js'

const IMAGE = new Uint8Array(32).fill(0xaa)
const GREETING: WheelInit = {
  name: 'greeting',
  files: {
    'greeting/__init__.py': 'from . import words\ndef hello(): return words.HELLO\n',
    'greeting/words.py': "HELLO = 'hello from a layer'\n"
  }
}

describe('provider: packages on top of an image', function () {
  this.timeout(120_000)
  let world: World

  before(async function () {
    world = new World(imageRoot(this))
    await world.start()
    await world.addProvider()
  })
  after(() => world?.stop())
  afterEach(function () {
    if (this.currentTest?.state === 'failed') console.error(world.providerLog.split('\n').slice(-40).join('\n'))
  })

  /** Has the bridge hold a layer of these wheels. */
  const hold = (mode: Layer['mode'], wheels: { bytes: Buffer; entry: LayerPackage }[], image = IMAGE): Uint8Array => {
    for (const { bytes, entry } of wheels) world.bridge.blobs.set(toHex(entry.hash), bytes)
    const packages = wheels.map(({ entry }) => entry)
    const layer = encodeLayer({ kind: 'pekka/layer', v: 1, image, mode, packages })
    world.bridge.blobs.set(toHex(layerDigest(layer)), layer)
    return layerDigest(layer)
  }
  const packed = (init: WheelInit) => {
    const bytes = wheel(init)
    return { bytes, entry: packageOf(init.name, bytes, init.version) }
  }
  const declined = async (layer: Uint8Array): Promise<string | undefined> => {
    const before = world.bridge.declined.length
    await world.run(cells('print("never")'), { layer })
    await eventually(async () => world.bridge.declined.length > before, 'it was not declined')
    return world.bridge.declined.at(-1)
  }

  it('has them in a warm sandbox: in cells, in scripts, in programs that these start, and nobody else has', async () => {
    const layer = hold('on-top', [packed(GREETING)])
    const script = `
import subprocess, sys
import greeting
print(greeting.hello())
print(subprocess.run([sys.executable, '-c', 'import greeting; print(greeting.__file__)'], capture_output=True, text=True).stdout)
try: open(greeting.__file__, 'a')
except OSError: print('read-only')
`
    const cell = await world.run(cells('import greeting\nprint(greeting.hello())'), { layer })
    await world.until(cell.task, 'settled')
    assert.equal(await world.text(cell.task), 'hello from a layer\n')
    const started: Program = { kind: 'script', file: 'main.py', source: Buffer.from(script), args: [] }
    const program = await world.run(started, { layer })
    await world.until(program.task, 'settled')
    const place = '/srv/pekka/layer/greeting/__init__.py'
    assert.equal(await world.text(program.task), `hello from a layer\n${place}\n\nread-only\n`)
    const other = await world.run(
      cells('import os, importlib.util\nprint(os.listdir("/srv/pekka"), importlib.util.find_spec("greeting"))')
    )
    await world.until(other.task, 'settled')
    assert.equal(await world.text(other.task), '[] None\n')
  })

  it('says of pip what is here, and what to do about what is not', async () => {
    const layer = hold('on-top', [packed(GREETING)])
    const { task } = await world.run(cells('%pip install -q greeting\n!pip install greeting nothing-like-it'), {
      layer
    })
    await world.until(task, 'settled')
    const text = await world.text(task)
    assert.equal(text.match(/greeting 1\.0 is here already: it was added before the run\./g)?.length, 2)
    assert.match(text, /nothing-like-it is not here\.[^]*pekka run --with nothing-like-it/)
  })

  it('replaces packages of the image where they would not go together, in a kernel that has not loaded them', async () => {
    const numpy = packed({ name: 'numpy', version: '0.1', files: { 'numpy/__init__.py': "__version__ = '0.1'\n" } })
    const layer = hold('instead', [numpy])
    const { task } = await world.run(cells('import numpy\nprint(numpy.__version__)'), { layer })
    await world.until(task, 'settled')
    assert.equal(await world.text(task), '0.1\n')
  })

  it('fetches a wheel once, and keeps it for the next task', async () => {
    const one = packed({ ...GREETING, name: 'once' })
    const layer = hold('on-top', [one])
    const first = await world.run(cells('import greeting'), { layer })
    await world.until(first.task, 'settled')
    world.bridge.blobs.delete(toHex(one.entry.hash))
    const second = await world.run(cells('import greeting\nprint(1)'), { layer })
    await world.until(second.task, 'settled')
    assert.equal(await world.text(second.task), '1\n')
  })

  it('declines before it accepts what is not here, not as it was named, or not safe', async () => {
    assert.equal(await declined(new Uint8Array(32).fill(1)), 'LAYER_NOT_HERE')
    assert.equal(await declined(hold('on-top', [packed(GREETING)], new Uint8Array(32))), 'LAYER_REFUSED')
    const climber = packed({ name: 'climber', files: { '../../climbed.py': 'x' } })
    assert.equal(await declined(hold('on-top', [climber])), 'LAYER_REFUSED')
    const swapped = packed({ ...GREETING, name: 'swapped' })
    const named = hold('on-top', [swapped])
    world.bridge.blobs.set(
      toHex(swapped.entry.hash),
      wheel({ ...GREETING, name: 'swapped', files: { 'evil.py': 'x' } })
    )
    assert.notEqual(await declined(named), 'LAYER_NOT_HERE')
  })

  it('opens declared inputs by their address and as files, and no other address', async () => {
    const bytes = Buffer.from('a,b\n1,2\n3,4\n')
    const [input] = [
      { url: 'https://data.example.org/t.csv?v=1', hash: sha256(bytes), size: bytes.length, path: 'in/table.csv' }
    ]
    world.bridge.blobs.set(toHex(input.hash), bytes)
    const source = `
import urllib.request, pandas as pd
url = 'https://data.example.org/t.csv?v=1'
print(pd.read_csv(url).b.sum(), open('in/table.csv').readline().strip(), len(urllib.request.urlopen(url).read()))
import requests
answer = requests.get(url)
print(answer.status_code, answer.text.count(','), answer.headers['Content-Length'])
for get in (lambda: urllib.request.urlopen('https://other.example.org/'), lambda: requests.get('https://other.example.org/')):
    try: get()
    except Exception as error: print('pekka run --input https://other.example.org/' in str(error))
`
    const expected = '6 a,b 12\n200 3 12\nTrue\nTrue\n'
    const inputs = [input]
    const cell = await world.run(cells(source), { inputs })
    await world.until(cell.task, 'settled')
    assert.equal(await world.text(cell.task), expected)
    const program: Program = { kind: 'script', file: 'main.py', source: Buffer.from(source), args: [] }
    const script = await world.run(program, { inputs })
    await world.until(script.task, 'settled')
    assert.equal(await world.text(script.task), expected)
  })

  it('leaves nothing of a task in the folders of sandboxes', async () => {
    const extras = join(world.folder, 'provider', 'state', 'extras')
    // What waits for a task has an empty one.
    await eventually(async () => {
      const folders = await readdir(extras)
      const inside = await Promise.all(folders.map(name => readdir(join(extras, name)).catch(() => [])))
      return folders.length <= 2 && inside.flat().length === 0
    }, 'packages are left')
  })
})
