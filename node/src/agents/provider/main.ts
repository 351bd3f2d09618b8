/** The provider process: `main.js --settings FILE`. SIGTERM drains and stops it. */
import { pino } from 'pino'
import { isPekkaError } from '@pekka/node/protocol'
import { ProviderProcess } from './process.js'

const settings = process.argv.slice(2).find(argument => argument !== '--settings')
const log = pino({ level: process.env['PEKKA_LOG_LEVEL'] ?? 'info', name: 'provider' }, pino.destination(2))
if (settings === undefined) {
  process.stderr.write('usage: provider --settings FILE\n')
  process.exit(2)
}

const provider = new ProviderProcess(log, settings)
const starting = new AbortController()
let stopping: Promise<void> | null = null

/** Ends the process; a second signal ends it at once. */
function stop(why: string, code: number): void {
  if (stopping !== null) process.exit(code === 0 ? 1 : code)
  log.info({ why }, 'stopping')
  starting.abort(new Error(why))
  stopping = provider.stop().then(
    () => process.exit(code),
    (error: unknown) => {
      log.error({ err: error }, 'could not stop cleanly')
      process.exit(1)
    }
  )
}

process.on('SIGTERM', () => stop('SIGTERM', 0))
process.on('SIGINT', () => stop('SIGINT', 0))
// Whoever started us is gone.
process.once('disconnect', () => stop('disconnect', 0))
process.on('uncaughtException', error => {
  log.fatal({ err: error }, 'uncaught')
  stop('uncaught exception', 1)
})
process.on('unhandledRejection', error => log.error({ err: error }, 'unhandled rejection'))

try {
  const ready = await provider.start(starting.signal)
  log.info(ready, 'provider ready')
  process.send?.({ ready: true, ...ready })
} catch (error) {
  if (stopping === null) {
    log.fatal({ err: error }, 'could not start')
    if (isPekkaError(error)) process.stderr.write(`${error.message} ${error.advice}\n`)
    stop('could not start', 1)
  }
}
