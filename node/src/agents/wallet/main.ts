/** The wallet process: `main.js --settings FILE`. */
import { readFile, rm } from 'node:fs/promises'
import { replaceFile } from '../../host/files/index.js'
import { pino } from 'pino'
import { io } from 'socket.io-client'
import { createPrimitives, systemClock } from '../../host/crypto/index.js'
import { PairingCodes, PageConfig, Wallet, WalletServer, openVault, settingsSchema } from './index.js'

const settingsPath = process.argv.slice(2).find(argument => argument !== '--settings')
if (settingsPath === undefined) throw new TypeError('usage: wallet --settings FILE')
const settings = settingsSchema.parse(JSON.parse(await readFile(settingsPath, 'utf8')))
const log = pino({ level: process.env['PEKKA_LOG_LEVEL'] ?? settings.logLevel, name: 'wallet' }, pino.destination(2))

const primitives = createPrimitives()
const vault = await openVault(settings.home, primitives.random)
// The wallet asks and answers; it follows no task, so its socket is never opened.
const wallet = new Wallet(
  { vault, fetch, live: () => io(settings.bridge, { autoConnect: false }), primitives, clock: systemClock },
  { bridges: [settings.bridge, ...settings.browserBridges] }
)
const codes = new PairingCodes({ random: primitives.random, clock: systemClock })
const server = new WalletServer({ wallet, codes, log }, settings)
const url = await server.start()
const page = settings.pageConfig
  ? new PageConfig({ codes }, { path: settings.pageConfig, facts: () => ({ wallet: url, bridge: settings.bridge }) })
  : null
await page?.start()

const ready = { pid: process.pid, url, socket: settings.socket }
await replaceFile(settings.readyFile, JSON.stringify(ready), { flush: false })
process.send?.({ ready: true, ...ready })
log.info({ url }, 'wallet ready')

let stopping = false
async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  await page?.stop()
  await server.stop()
  wallet.close()
  await rm(settings.readyFile, { force: true })
  process.exit(0)
}
process.on('SIGTERM', () => void stop())
process.on('SIGINT', () => void stop())
process.on('disconnect', () => void stop())
