import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'

/** The version of this PEKKA. */
export const pekkaVersion = (): string => JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version
