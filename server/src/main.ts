import { rm } from 'node:fs/promises'
import { replaceFile } from '@pekka/node/host/files'
import { pino } from 'pino'
import { asPekkaError, isPekkaError, toHex } from '@pekka/node/protocol'
import { startBridge, type Bridge } from './bridge.js'
import { readSettings } from './settings.js'

/** The process of the bridge: `node main.js --settings FILE`. SIGTERM and SIGINT drain and stop it. */

const log = pino(
  {
    name: 'bridge',
    level: process.env['PEKKA_LOG_LEVEL'] ?? 'info',
    // Nothing of ours logs these; what a library might is cut off here (I13).
    redact: { paths: ['token', '*.token', 'headers', '*.headers', 'authorization', '*.authorization'], censor: '…' }
  },
  pino.destination(2)
)

async function main(): Promise<void> {
  const settings = await readSettings(settingsPath())
  if (process.env['PEKKA_LOG_LEVEL'] === undefined && settings.logLevel !== undefined) log.level = settings.logLevel
  let bridge: Bridge | null = null
  let ending = false
  const end = async (code: number): Promise<void> => {
    if (ending) return
    ending = true
    // A stop that hangs is worse than one that is cut off: all that was promised is on the disk already.
    setTimeout(() => process.exit(1), STOP_LIMIT_MS).unref()
    if (settings.readyFile !== undefined) await rm(settings.readyFile, { force: true })
    await bridge?.stop()
    process.exit(code)
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => void end(0))
  process.on('disconnect', () => void end(0))
  // Something we didn't foresee: the state may be anything, so the process ends; nothing is lost, and it is started again.
  process.on('uncaughtException', error => {
    log.fatal({ err: error }, 'an unforeseen error')
    process.exit(70)
  })
  const fatal = (error: unknown): void => {
    log.fatal({ err: error }, asPekkaError(error).message)
    void end(1)
  }
  bridge = await startBridge(settings, { log, fatal })
  bridge.metrics.measureProcess()
  const { url, addresses } = bridge
  const facts = { pid: process.pid, url, addresses, key: toHex(bridge.key) }
  if (settings.readyFile !== undefined) {
    await replaceFile(settings.readyFile, JSON.stringify(facts), { flush: false })
  }
  process.send?.({ ready: true, ...facts })
  log.info({ url, addresses }, 'the bridge serves')
}

/** Longest time a stop may take, ms. */
const STOP_LIMIT_MS = 10_000

function settingsPath(): string {
  const at = process.argv.indexOf('--settings')
  const path = at === -1 ? process.argv[2] : process.argv[at + 1]
  if (path === undefined) {
    process.stderr.write('Usage: node main.js --settings FILE\n')
    process.exit(64)
  }
  return path
}

main().catch((error: unknown) => {
  log.fatal({ err: error }, isPekkaError(error) ? `${error.message} ${error.advice}` : 'the bridge could not start')
  process.exit(1)
})
