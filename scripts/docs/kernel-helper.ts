/**
 * Writes extension/src/values/helper-source.ts: the Python that the extension loads into the user's kernel, as text. The
 * codecs are the runner's own file, so both ends of a value are one implementation.
 */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))
export const HELPER_SOURCE = path('extension/src/values/helper-source.ts')

/** Modules in the order in which they are executed, and their files. */
const MODULES = {
  _pekka_codecs: 'sandbox-images/runner/pekka_runner/codecs.py',
  _pekka_sources: 'extension/kernel/pekka_sources.py',
  _pekka_exports: 'extension/kernel/pekka_exports.py',
  _pekka_kernel: 'extension/kernel/pekka_kernel.py',
  _pekka_reader: 'extension/kernel/pekka_reader.py',
  _pekka_returns: 'extension/kernel/pekka_returns.py',
  pekka: 'extension/kernel/pekka.py'
}

export async function helperSource(): Promise<string> {
  const sources: [string, string][] = []
  for (const [name, file] of Object.entries(MODULES)) sources.push([name, await readFile(path(file), 'utf8')])
  const hash = createHash('sha256')
  for (const [, source] of sources) hash.update(source).update('\0')
  const text = (source: string): string => `\`${source.replace(/[\\`]|\$\{/g, '\\$&')}\``
  return [
    '// Made by scripts/docs/kernel-helper.ts from sandbox-images/runner/pekka_runner/codecs.py and extension/kernel/. Not edited by hand.',
    `export const HELPER_VERSION = '${hash.digest('hex').slice(0, 16)}'`,
    '/** Python modules in the order in which they are executed. */',
    'export const HELPER_MODULES: readonly (readonly [name: string, source: string])[] = [',
    sources.map(([name, source]) => `  [\n    '${name}',\n    ${text(source)}\n  ]`).join(',\n'),
    ']',
    ''
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(HELPER_SOURCE, await helperSource())
