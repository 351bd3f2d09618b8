import { z } from 'zod'
import type { LocalPackages } from './choose.js'

/** Names asked for at once; code that imports more says nothing new. */
const MAX_NAMES = 500

/**
 * Python that leaves in `result`, as hexadecimal JSON, what its interpreter has of some modules: by metadata alone, importing none
 * of them. Runs in a namespace of its own.
 */
export const localPackagesCode = (modules: readonly string[]): string => `
import importlib.util, json, sys
try:
    from importlib.metadata import packages_distributions, version
    dists = packages_distributions()
except Exception:
    dists = {}
found = {}
for name in json.loads(${JSON.stringify(JSON.stringify(modules.slice(0, MAX_NAMES)))}):
    try:
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            if dists.get(name):
                found[name] = [dists[name][0], version(dists[name][0])]
        else:
            found[name] = None
    except Exception:
        pass
python = "%d.%d.%d" % sys.version_info[:3]
result = json.dumps({"python": python, "modules": found}).encode().hex()
`

/** The same as one expression, which binds no name of the namespace that it is evaluated in. */
export const localPackagesExpression = (modules: readonly string[]): string =>
  `(lambda space: (exec(${JSON.stringify(localPackagesCode(modules))}, space), space["result"])[1])({})`

const answerSchema = z.object({
  python: z.string(),
  modules: z.record(z.string(), z.tuple([z.string(), z.string()]).nullable())
})

/** Reads `result`, with or without the quotes of its repr. Undefined for anything else. */
export function readLocalPackages(text: string): LocalPackages | undefined {
  const hex = /^\s*['"]?((?:[0-9a-f]{2})+)['"]?\s*$/.exec(text)?.[1]
  if (hex === undefined) return undefined
  const bytes = Uint8Array.from(hex.match(/../g) ?? [], pair => Number.parseInt(pair, 16))
  try {
    const { python, modules } = answerSchema.parse(JSON.parse(new TextDecoder().decode(bytes)))
    return { python, modules: new Map(Object.entries(modules)) }
  } catch {
    // Somebody's own `json`, or an interpreter of another kind: then nothing is known of it.
    return undefined
  }
}
