/**
 * A provider that keeps machines, as a process of its own: settings file, and the root of an image for real sandboxes; without one they
 * are stand-ins (KeptRuntime).
 */
import { pino } from 'pino'
import { ProviderProcess } from '@pekka/node/agents/provider'
import { BubblewrapRuntime } from '@pekka/node/host/sandbox'
import { KeptRuntime } from '../../../node/test/support/kept-runtime.js'

const [settings = '', root] = process.argv.slice(2)
const standIn = new KeptRuntime()
const log = pino({ level: 'info' }, pino.destination({ dest: 2, sync: true }))
const digest = new Uint8Array(32).fill(7)
const provider = new ProviderProcess(log, settings, async (_log, init) => {
  const runtime = root === undefined ? standIn : new BubblewrapRuntime({ owner: init.owner })
  const report = await runtime.probe(init.signal)
  if (!report.usable) throw new Error(report.reason)
  const ware = {
    image: { name: 'base', digest },
    contentDigest: digest,
    resources: { ...init.settings.resources, gpu: null },
    isolation: report.isolation,
    runtime: report.name,
    cpuClass: 'test',
    pricePerSecond: init.settings.pricePerSecond ?? 0n,
    pricePerGiB: 0n,
    holdPricePerSecond: init.settings.holdPricePerSecond ?? null
  }
  const environment = {
    PATH: '/opt/pekka/env/bin:/usr/bin:/bin:/opt/pekka/runner/bin',
    HOME: '/home/pekka',
    LANG: 'C.UTF-8',
    PYTHONHASHSEED: '0'
  }
  const image = { digest: Buffer.from(digest).toString('hex'), environment, ...(root === undefined ? {} : { root }) }
  return { runtime, report, verdicts: [], passedOver: [], images: [{ image, warm: 0 }], wares: [ware] }
})
process.on('message', question => {
  if (question === 'sandboxes') process.send?.({ sandboxes: standIn.sandboxes.size })
})
const stop = (): void => void provider.stop().then(() => process.exit(0))
process.once('SIGTERM', stop)
process.once('disconnect', stop)
await provider.start(new AbortController().signal)
process.send?.({ ready: true })
