/** The tables as they are installed; of images that have no lock yet, what their lists say. */
import { readFileSync } from 'node:fs'
import { readTables, type ModuleTables } from '@pekka/node/scan'

const images = new URL('../../../../sandbox-images/', import.meta.url)
const json = (url: URL): unknown => JSON.parse(readFileSync(url, 'utf8'))

// Both have the shape that readTables checks.
const installed = json(new URL('modules.json', images)) as { format: 1; images: Record<string, unknown> }
const later = json(new URL('later-images.json', import.meta.url)) as Record<string, unknown>

export const tables: ModuleTables = readTables(
  { ...installed, images: { ...later, ...installed.images } },
  json(new URL('reviewed-names.json', images))
)
