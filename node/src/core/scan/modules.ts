import { analyse } from './analyse.js'
import { plainPython } from './magics.js'

/** The folder of a notebook or script: the user's disk, or a Jupyter server's contents. Paths are below it, with `/`. */
export interface ModuleFolder {
  /** Text of a file; null where there is none, or it can't be read as text. */
  text(path: string): Promise<string | null>
  /** What stands in a folder below; empty where there is none. */
  list(path: string): Promise<{ name: string; folder: boolean }[]>
}

export interface LocalModules {
  /** Python files that the program imports from its own folder, directly or through one another. */
  files: { path: string; text: string }[]
  /** Names of the modules found here: they come from no package. */
  modules: string[]
  /** More than {@link MAX_MODULE_FILES} or {@link MAX_MODULE_BYTES}: the rest isn't listed. */
  more: boolean
}

/** Python files that travel by themselves. A program that imports more of its own is a project with data in it. */
export const MAX_MODULE_FILES = 500
/** Characters of them together. */
export const MAX_MODULE_BYTES = 16 << 20
const MAX_DEPTH = 8

/**
 * Finds modules and packages that stand beside the program. As in Python a module of that folder goes before an installed
 * one of the same name. Of a package all `.py` files travel, because they may import one another by any way.
 */
export async function localModules(sources: readonly string[], folder: ModuleFolder): Promise<LocalModules> {
  const found = new Map<string, string>()
  const modules = new Set<string>()
  const looked = new Set<string>()
  let size = 0
  let more = false
  const todo = [...sources]

  const take = async (path: string): Promise<boolean> => {
    if (found.has(path)) return true
    const text = await folder.text(path)
    if (text === null) return false
    if (found.size >= MAX_MODULE_FILES || size + text.length > MAX_MODULE_BYTES) more = true
    else {
      found.set(path, text)
      size += text.length
      todo.push(text)
    }
    return true
  }
  const takeFolder = async (path: string, depth: number): Promise<boolean> => {
    let any = false
    for (const { name, folder: isFolder } of await folder.list(path)) {
      if (more) return any
      if (name.startsWith('.') || name === '__pycache__') continue
      if (!isFolder && name.endsWith('.py')) any = (await take(`${path}/${name}`)) || any
      else if (isFolder && depth < MAX_DEPTH && /^[\p{L}_][\p{L}\p{N}_]*$/u.test(name))
        any = (await takeFolder(`${path}/${name}`, depth + 1)) || any
    }
    return any
  }

  for (let source = todo.pop(); source !== undefined && !more; source = todo.pop()) {
    // What `%run` runs is read as text and scanned like a module.
    for (const path of plainPython(source).runs) await take(path)
    for (const { name } of analyse(source).imports) {
      // A relative import stays inside its package, which has travelled as a whole.
      if (name === '.' || looked.has(name)) continue
      looked.add(name)
      if ((await take(`${name}.py`)) || (await takeFolder(name, 1))) modules.add(name)
    }
  }
  const files = [...found].map(([path, text]) => ({ path, text }))
  files.sort((a, b) => (a.path < b.path ? -1 : 1))
  return { files, modules: [...modules].sort(), more }
}
