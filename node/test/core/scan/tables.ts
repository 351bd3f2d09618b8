/** The tables as they are installed. */
import { readFileSync } from 'node:fs'
import { readTables, type ModuleTables } from '@pekka/node/scan'

const images = new URL('../../../../sandbox-images/', import.meta.url)
const json = (name: string): unknown => JSON.parse(readFileSync(new URL(name, images), 'utf8'))

export const tables: ModuleTables = readTables(json('modules.json'), json('reviewed-names.json'))
