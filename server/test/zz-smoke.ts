import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { toHex } from '@pekka/node/protocol'
import { writeSigner } from '@pekka/node/host/crypto'
import { World, cell } from './support/world.js'
import { seed } from '../../node/test/agents/witness/support.js'
const world = await World.start({ providers: 0, process: true })
let out = ''
try {
  const person = await world.person()
  const folder = join(world.folder, 'p1')
  await mkdir(folder)
  await writeSigner(join(folder, 'account.key'), seed())
  await writeFile(
    join(folder, 'settings.json'),
    JSON.stringify({
      home: folder,
      network: toHex(world.network),
      account: 'account.key',
      bridges: world.at.addresses,
      witnesses: world.witness.addresses(),
      images: { home: folder, names: ['base-small'] },
      name: 'provider-1',
      concurrency: 2,
      bond: '1000000',
      pool: {},
      resources: { memoryBytes: 4 * 2 ** 30, diskBytes: 2 ** 31 }
    })
  )
  const child = fork(
    '/work/main/node/test/agents/provider/provider-process.ts',
    [join(folder, 'settings.json'), process.env.PEKKA_TEST_IMAGE_ROOT!],
    { execArgv: ['--conditions=pekka-source', '--import=tsx', '--import=/tmp/team/network/dbg.mjs'], stdio: ['ignore', 'ignore', 'pipe', 'ipc'] }
  )
  child.stderr!.on('data', d => {
    out += d
  })
  console.log((await once(child, 'message'))[0])
  const client = world.client(person)
  await new Promise(r => setTimeout(r, 5000))
  const one = async (src: string) => {
    const t = performance.now()
    let first = 0
    const text: string[] = []
    const task = await client.submit({
      ...cell(src),
      image: 'base-small',
      diskBytes: 2 ** 31,
      memoryBytes: 2 ** 30
    } as any)
    const submitted = performance.now() - t
    const f = await client.follow(task, {
      events: (b: any[]) => {
        if (!first) first = performance.now() - t
        for (const e of b) if (e.type === 'stream') text.push(e.text)
      }
    })
    const { phase, finished } = await f.ended
    console.log({
      submitted: submitted | 0,
      first: first | 0,
      ended: (performance.now() - t) | 0,
      phase: phase.phase,
      text: text.join('').length > 60 ? text.join('').length : text.join('')
    })
    return { task, finished }
  }
  setTimeout(() => console.log('LOG', out.split('\n').filter(l => l.startsWith('DBG') || l.includes('40,')).slice(-4).map(l => l.slice(0, 500)).join('\n')), 35000)
  for (let i = 0; i < 8; i++) await one('from IPython.display import display\ndisplay({"text/plain": "b", "image/png": "A" * 4_000_000}, raw=True)')
  child.kill('SIGTERM')
  console.log('exit', (await once(child, 'exit'))[0])
} catch (e) {
  console.log(e)
  console.log(out.split('\n').slice(-15).join('\n').slice(0, 3000))
}
await world.stop()
process.exit(0)
