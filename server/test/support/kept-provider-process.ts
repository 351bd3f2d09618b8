/** A provider that keeps machines, as a process of its own: settings file. Real but for its sandboxes (KeptRuntime). */
import { pino } from 'pino'
import { ProviderProcess } from '@pekka/node/agents/provider'
import { KeptRuntime } from '../../../node/test/support/kept-runtime.js'

const [settings = ''] = process.argv.slice(2)
const runtime = new KeptRuntime()
const log = pino({ level: 'info' }, pino.destination({ dest: 2, sync: true }))
const digest = new Uint8Array(32).fill(7)
const provider = new ProviderProcess(log, settings, async (_log, init) => {
  const report = await runtime.probe()
  if (!report.usable) throw new Error(report.reason)
  const ware = {
    image: { name: 'base', digest },
    contentDigest: digest,
    resources: { ...init.settings.resources, gpu: null },
    isolation: 2,
    runtime: 'bubblewrap',
    cpuClass: 'test',
    pricePerSecond: init.settings.pricePerSecond ?? 0n,
    pricePerGiB: 0n,
    holdPricePerSecond: init.settings.holdPricePerSecond ?? null
  }
  const image = { digest: Buffer.from(digest).toString('hex'), environment: {} }
  return { runtime, report, verdicts: [], passedOver: [], images: [{ image, warm: 0 }], wares: [ware] }
})
process.on('message', question => {
  if (question === 'sandboxes') process.send?.({ sandboxes: runtime.sandboxes.size })
})
const stop = (): void => void provider.stop().then(() => process.exit(0))
process.once('SIGTERM', stop)
process.once('disconnect', stop)
await provider.start(new AbortController().signal)
process.send?.({ ready: true })
