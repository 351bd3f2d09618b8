import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { modulesOf, readInstalled, sitePackages, type InstalledPackage } from '../store/installed.js'
import type { BuiltTree } from './tree.js'

const names = z.record(z.string(), z.string())

const imageModulesSchema = z.strictObject({
  /** The image whose packages and modules it has as well. */
  extends: z.string().optional(),
  python: z.string(),
  /** Of the tree without byte code, in tens of MB. */
  megabytes: z.int(),
  /** Distribution (normal form) to version; of an image that extends another only its own. */
  packages: names,
  /** Importable module to distribution; of an image that extends another only its own. */
  modules: names
})
export type ImageModules = z.infer<typeof imageModulesSchema>

/** `sandbox-images/modules.json`: what can be imported in which image, the smallest image first. */
export const modulesFileSchema = z.strictObject({
  format: z.literal(1),
  images: z.record(z.string(), imageModulesSchema)
})
export type ModulesFile = z.infer<typeof modulesFileSchema>

export const modulesFile = (definitions: string): string => join(definitions, 'modules.json')

/** Reads modules.json; an empty one where it is missing. Throws where it is damaged. */
export async function readModules(definitions: string): Promise<ModulesFile> {
  const text = await readFile(modulesFile(definitions), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    return undefined
  })
  return text === undefined ? { format: 1, images: {} } : modulesFileSchema.parse(JSON.parse(text))
}

/** The entry of a built tree. `base`: the entry of the image it extends, with the name. */
export async function modulesOfTree(
  tree: BuiltTree,
  python: string,
  base?: { name: string; modules: ImageModules }
): Promise<{ modules: ImageModules; installed: InstalledPackage[] }> {
  const installed = await readInstalled(sitePackages(tree.root, python))
  const own = installed.filter(one => base?.modules.packages[one.name] === undefined)
  const modules = [...modulesOf(installed)].filter(([module]) => base?.modules.modules[module] === undefined)
  return {
    installed: own,
    modules: {
      ...(base === undefined ? {} : { extends: base.name }),
      python: tree.pythonVersion,
      megabytes: Math.round(tree.bytes / 1e7) * 10,
      packages: Object.fromEntries(own.map(({ name, version }) => [name, version])),
      modules: Object.fromEntries(modules)
    }
  }
}

/** The text of modules.json with one entry put in; the same for the same trees. */
export function withModules(file: ModulesFile, name: string, modules: ImageModules): ModulesFile {
  const entries = Object.entries({ ...file.images, [name]: modules })
  entries.sort(([a, one], [b, other]) => one.megabytes - other.megabytes || (a < b ? -1 : 1))
  return { format: 1, images: Object.fromEntries(entries) }
}
