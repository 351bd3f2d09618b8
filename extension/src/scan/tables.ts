import { readTables, type ModuleTables } from '@pekka/node/scan'
import modules from '../../../sandbox-images/modules.json' with { type: 'json' }
import reviewed from '../../../sandbox-images/reviewed-names.json' with { type: 'json' }

let read: ModuleTables | undefined

/** What each environment has, as of this build of the extension. */
export const tables = (): ModuleTables => (read ??= readTables(modules, reviewed))

/** The smallest environment that has a module, for "Run again in chemistry". */
export const environmentWith = (module: string): string | undefined =>
  tables().images.find(image => image.modules.has(module))?.name

/** The package that has a module which no environment has, by the reviewed table. */
export const packageWith = (module: string): string | undefined => tables().reviewed.get(module)
