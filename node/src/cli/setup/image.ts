/**
 * A step of set-up in a process of its own: builds an image and says how far it is.
 *
 *   node image.js NAME       prints lines `progress FRACTION TEXT` (FRACTION 0 to 1, or - where nobody knows) and last `done TEXT` or `fallback TEXT`; PEKKA_HOME and PEKKA_UV say where things are
 *
 * Where the base image can't be downloaded, the small one keeps the first run alive.
 */
import { isPekkaError } from '@pekka/node/protocol'
import { createImageStore, type ImageTree } from '@pekka/node/host/images'
import { ROOT, homeFrom, placesIn } from '@pekka/node/setup/places'
import { uvIn } from '@pekka/node/setup/python'
import { join } from 'node:path'
import { BuildMeter } from './build-progress.js'

/** Tenth of base's size: an interpreter, numpy, pandas and matplotlib. */
const SMALL = 'base-small'

async function main(name: string): Promise<void> {
  const home = homeFrom(process.env)
  const images = createImageStore(
    { uv: async () => process.env.PEKKA_UV ?? uvIn(placesIn(home).tools), log: plainLog },
    { home, definitions: join(ROOT, 'sandbox-images') }
  )
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort(new Error(signal)))
  const build = (image: string): Promise<ImageTree> => {
    const meter = new BuildMeter()
    return images.build(image, {
      signal: stop.signal,
      onProgress: ({ step, text }) => {
        const { fraction, text: shown } = meter.read(step, text)
        console.log(`progress ${fraction?.toFixed(3) ?? '-'} ${shown}`)
      }
    })
  }
  try {
    const tree = await build(name)
    console.log(`done ${tree.packages.length} packages, ${(tree.bytes / 1e9).toFixed(1)} GB`)
  } catch (error) {
    if (!isPekkaError(error) || error.code !== 'IMAGE_DOWNLOAD_FAILED' || name === SMALL) throw error
    console.error(`${error.message}\n${error.advice}`)
    await build(SMALL)
    console.log(`fallback only the small one: ${name} could not be downloaded`)
  }
}

const plainLog = {
  info: (data: object, text: string) => console.error(text, JSON.stringify(data)),
  warn: (data: object, text: string) => console.error(text, JSON.stringify(data))
}

await main(process.argv[2] ?? 'base').catch((error: unknown) => {
  console.error(isPekkaError(error) ? `${error.message}\n${error.advice}` : error)
  process.exitCode = 1
})
