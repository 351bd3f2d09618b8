import { BubblewrapRuntime } from '@pekka/node/host/sandbox'
import { ProviderProcess } from '@pekka/node/agents/provider'
import { pino } from 'pino'

/** A provider process on one image tree, whose sandbox isn't put through the escape suite at each start: that has tests of its own. */
export async function runProvider(settings: string, root: string): Promise<void> {
  const log = pino({ level: 'info' }, pino.destination({ dest: 2, sync: true }))
  const digest = new Uint8Array(32).fill(0xaa)
  const image = {
    root,
    digest: Buffer.from(digest).toString('hex'),
    environment: {
      PATH: '/opt/pekka/env/bin:/usr/bin:/bin:/opt/pekka/runner/bin',
      HOME: '/home/pekka',
      LANG: 'C.UTF-8',
      PYTHONHASHSEED: '0'
    }
  }
  const provider = new ProviderProcess(log, settings, async (_log, init) => {
    const runtime = new BubblewrapRuntime({ owner: init.owner })
    const report = await runtime.probe(init.signal)
    if (!report.usable) throw new Error(report.reason)
    await runtime.cleanup()
    const ware = {
      image: { name: 'base-small', digest },
      contentDigest: digest,
      resources: { ...init.settings.resources, gpu: null },
      isolation: report.isolation,
      runtime: report.name,
      cpuClass: 'test',
      pricePerSecond: init.settings.pricePerSecond ?? 0n,
      pricePerGiB: init.settings.pricePerGiB ?? 0n
    }
    return { runtime, report, verdicts: [], passedOver: [], images: [{ image, warm: 1 }], wares: [ware] }
  })
  let stopping = false
  const stop = () => {
    if (stopping) return
    stopping = true
    void provider.stop().then(() => process.exit(0))
  }
  process.on('SIGTERM', stop)
  process.once('disconnect', stop)
  const ready = await provider.start(new AbortController().signal)
  process.send?.({ ready: true, ...ready })
}
