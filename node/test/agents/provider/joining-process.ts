/** As `pekka provider start --bridge ADDR --join CODE`, for tests: folder, image root, address, code. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { joinNetwork } from '@pekka/node/agents/provider'
import { toHex } from '@pekka/node/protocol'
import { runProvider } from './test-machine.js'

const [folder = '', root = '', bridge = '', code = ''] = process.argv.slice(2)
const joined = await joinNetwork(folder, { name: 'far-away', code, bridges: [bridge] }, AbortSignal.timeout(20_000))
const settings = {
  home: folder,
  network: toHex(joined.network),
  account: 'account.key',
  bridges: joined.bridges,
  witnesses: joined.witnesses,
  images: { home: folder, names: ['base-small'] },
  name: 'far-away',
  concurrency: 1,
  bond: '1000000',
  resources: { memoryBytes: 1 << 30, diskBytes: 1 << 28 }
}
await writeFile(join(folder, 'settings.json'), JSON.stringify(settings))
await runProvider(join(folder, 'settings.json'), root)
