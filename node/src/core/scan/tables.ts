import { z } from 'zod'

/** One environment that tasks can run in, and what can be imported there. */
export interface ImageModules {
  name: string
  /** Python's minor version. */
  python: string
  /** Size of the tree: what a machine must fetch and build, MB. */
  mb: number
  /** Top-level name (dotted for namespace packages such as `google.protobuf`) → distribution and version. */
  modules: ReadonlyMap<string, readonly [distribution: string, version: string]>
}

/** What is known of packages without asking anybody. */
export interface ModuleTables {
  /** Smallest first. */
  images: readonly ImageModules[]
  /** Import name → distribution, for what no image has. Reviewed by people; nothing is ever guessed into it. */
  reviewed: ReadonlyMap<string, string>
}

const modulesSchema = z.object({
  format: z.literal(1),
  images: z.record(
    z.string(),
    z.object({
      /** Whose packages this image has too. */
      extends: z.string().optional(),
      python: z.string(),
      megabytes: z.number().nonnegative(),
      packages: z.record(z.string(), z.string()),
      modules: z.record(z.string(), z.string())
    })
  )
})
const reviewedSchema = z.object({ v: z.literal(1), names: z.record(z.string(), z.string()) })

/**
 * Reads `sandbox-images/modules.json` and `sandbox-images/reviewed-names.json`.
 * @throws ZodError where a file has another shape; they are part of the installation
 */
export function readTables(modules: unknown, reviewed: unknown): ModuleTables {
  const { images } = modulesSchema.parse(modules)
  const { names } = reviewedSchema.parse(reviewed)
  const read = Object.entries(images).map(([name, image]) => {
    const merged = new Map<string, readonly [string, string]>()
    for (const part of [image.extends === undefined ? undefined : images[image.extends], image]) {
      for (const [module, distribution] of Object.entries(part?.modules ?? {})) {
        merged.set(module, [distribution, image.packages[distribution] ?? part?.packages[distribution] ?? ''])
      }
    }
    return { name, python: image.python.split('.').slice(0, 2).join('.'), mb: image.megabytes, modules: merged }
  })
  return {
    images: read.sort((a, b) => a.mb - b.mb || a.name.localeCompare(b.name)),
    reviewed: new Map(Object.entries(names))
  }
}

/** The longest dotted name that a table has of a module: of `google.cloud.storage`, `google.cloud`, then `google`. */
export function longestKey(table: ReadonlyMap<string, unknown>, module: string): string | undefined {
  for (let name = module; ; name = name.slice(0, name.lastIndexOf('.'))) {
    if (table.has(name)) return name
    if (!name.includes('.')) return undefined
  }
}

/** What has a module, by its {@link longestKey}. */
export function longest<T>(table: ReadonlyMap<string, T>, module: string): T | undefined {
  const key = longestKey(table, module)
  return key === undefined ? undefined : table.get(key)
}
