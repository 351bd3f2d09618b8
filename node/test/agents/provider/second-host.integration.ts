import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { imageRoot, missing } from '../../host/sandbox/support.js'
import { Namespace } from '../../support/namespace.js'
import { World, cells } from './world.js'

const JOINING = fileURLToPath(new URL('./joining-process.ts', import.meta.url))

describe('provider on a second host', function () {
  this.timeout(120_000)
  const namespace = new Namespace()
  let world: World | null = null
  let begun = false
  const children: ChildProcess[] = []

  before(async function () {
    const root = imageRoot(this)
    try {
      namespace.start()
      begun = true
    } catch (error) {
      missing(this, `no network namespace can be made (${error instanceof Error ? error.message.split('\n')[0] : ''})`)
    }
    world = new World(root, { bridgeIp: namespace.here })
    await world.start()
  })
  after(async () => {
    await world?.stop()
    for (const child of children) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'exit')
    }
    if (begun) namespace.stop()
  })

  /** The joining process, with nothing but the namespace's network. */
  function join2(code: string, folder: string): ChildProcess {
    if (world === null) throw new Error('the world has not begun')
    const node = [process.execPath, '--conditions=pekka-source', '--import=tsx', JOINING]
    const [program = '', ...args] = namespace.inside(...node, folder, world.imageRoot, world.bridge.address, code)
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] })
    children.push(child)
    return child
  }

  it('is turned away with a code that nobody gave out', async () => {
    if (world === null) throw new Error('the world has not begun')
    const folder = join(world.folder, 'refused')
    await mkdir(folder)
    const child = join2('x'.repeat(32), folder)
    let words = ''
    child.stderr?.on('data', (data: Buffer) => (words += data.toString()))
    const [exit] = await once(child, 'exit')
    assert.notEqual(exit, 0)
    assert.match(words, /PAIRING_FAILED/)
  })

  it('joins with a code through one address, reaches the ledger through the bridge, and runs tasks', async () => {
    if (world === null) throw new Error('the world has not begun')
    const folder = join(world.folder, 'far')
    await mkdir(folder)
    const code = 'a-code-for-one-provider-only'
    world.bridge.codes.add(code)
    await world.watch(join2(code, folder))
    const [ask] = await world.ledger.asks(null)
    assert.equal(ask?.provider.name, 'far-away')
    assert.equal(ask?.provider.bond, 1_000_000n)
    const { task } = await world.run(cells('import os\nprint("from afar", os.path.exists("/sys/class/net/eth0"))'))
    const view = await world.until(task, 'settled')
    assert.equal(await world.text(task), 'from afar False\n')
    assert.equal((await world.read(task)).reader.confirm(view), true)
    assert.equal(world.bridge.codes.size, 0)
    assert.deepEqual(world.bridge.complaints, [])
  })
})
