/**
 * Writes extension/src/values/helper-source.ts: the Python that the extension loads into the user's kernel, as text. The
 * codecs are the runner's own file, so both ends of a value are one implementation.
 */
import { createHash } from 'node:crypto'
import { readFile, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

const path = (name: string): string => fileURLToPath(new URL(`../../${name}`, import.meta.url))
export const HELPER_SOURCE = path('extension/src/values/helper-source.ts')

export async function helperSource(): Promise<string> {
  const codecs = await readFile(path('sandbox-images/runner/pekka_runner/codecs.py'), 'utf8')
  const kernel = await readFile(path('extension/kernel/pekka_kernel.py'), 'utf8')
  const version = createHash('sha256').update(codecs).update('\0').update(kernel).digest('hex').slice(0, 16)
  const text = (source: string): string => `\`${source.replace(/[\\`]|\$\{/g, '\\$&')}\``
  return [
    '// Made by scripts/docs/kernel-helper.ts from sandbox-images/runner/pekka_runner/codecs.py and extension/kernel/. Not edited by hand.',
    `export const HELPER_VERSION = '${version}'`,
    `export const CODECS_SOURCE = ${text(codecs)}`,
    `export const KERNEL_SOURCE = ${text(kernel)}`,
    ''
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(HELPER_SOURCE, await helperSource())
