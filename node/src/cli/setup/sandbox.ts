/**
 * A part of `pekka doctor` in a process of its own: tries a sandbox as a provider does at its start.
 *
 *   node sandbox.js          prints `{ runtime, isolation }` or `{ why, remedy }`; PEKKA_HOME says where the images are
 */
import { isPekkaError } from '@pekka/node/protocol'
import { BASE_IMAGE } from '@pekka/node/setup/index'
import { homeFrom } from '@pekka/node/setup/places'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openMachine } from '../../agents/provider/machine/machine.js'

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined }
const stop = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)))

// sandboxes of an owner of its own: those of providers that run aren't its business
const owner = await mkdtemp(join(tmpdir(), 'pekka-doctor-'))
try {
  const images = { home: homeFrom(process.env), names: [BASE_IMAGE, 'base-small'] }
  const resources = { milliCpus: 1000, memoryBytes: 1 << 30, diskBytes: 1 << 30 }
  const init = {
    settings: { images, pool: {}, runtime: 'auto' as const, resources },
    owner,
    signal: stop.signal,
    measure: false
  }
  const { report } = await openMachine(quiet, init)
  console.log(JSON.stringify({ runtime: report.name, isolation: report.isolation }))
} catch (error) {
  const why = error instanceof Error ? error.message : String(error)
  console.log(JSON.stringify({ why, remedy: isPekkaError(error) ? error.advice : undefined }))
} finally {
  await rm(owner, { recursive: true, force: true })
}
process.exit()
