import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { normalName, requestedName, type ImageDefinition } from '../definition/definition.js'
import type { InstalledPackage } from '../store/installed.js'
import { modulesFile, modulesOfTree, readModules, withModules } from './modules-file.js'
import type { BuiltTree } from './tree.js'

/** Between these lines of a README stands what is made from the tree. */
const BEGIN = '<!-- made by: pekka image describe -->'
const END = '<!-- until here -->'

/**
 * Writes into the checkout what a built tree holds: its entry in modules.json, the list of its licences, the table of its packages in
 * README.md. The same for the same locks. Resolves with the paths that were written.
 */
export async function describeTree(
  definitions: string,
  definition: ImageDefinition,
  tree: BuiltTree
): Promise<string[]> {
  const { name, folder, python } = definition
  const file = await readModules(definitions)
  const lower = definition.extends === undefined ? undefined : file.images[definition.extends]
  const base =
    definition.extends === undefined || lower === undefined ? undefined : { name: definition.extends, modules: lower }
  const { modules, installed } = await modulesOfTree(tree, python, base)
  const written = [join(folder, 'licences.md'), join(folder, 'README.md')]
  await writeFile(join(folder, 'licences.md'), licences(definition, installed))
  const readme = await readFile(join(folder, 'README.md'), 'utf8')
  await writeFile(
    join(folder, 'README.md'),
    await withTable(readme, definition, tree, modules.megabytes - (lower?.megabytes ?? 0))
  )
  // The fall-back is no choice: what it has base has too.
  if (name.endsWith('-small')) return written
  await writeFile(modulesFile(definitions), `${JSON.stringify(withModules(file, name, modules), null, 2)}\n`)
  return [...written, modulesFile(definitions)]
}

function licences(definition: ImageDefinition, installed: readonly InstalledPackage[]): string {
  const { name } = definition
  const more = definition.extends === undefined ? '' : ` Those of \`${definition.extends}\` are in it as well.`
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  return [
    `# Licences of \`${name}\``,
    '',
    `What the packages state about themselves; their own texts are in the tree (\`*.dist-info\`).${more} Those of the Debian packages`,
    '(debian.lock) are in `/usr/share/doc/*/copyright`. Made by `pekka image describe`.',
    '',
    '| package | version | licence |',
    '| --- | --- | --- |',
    ...installed.map(one => `| ${one.name} | ${one.version} | ${cell(one.licence)} |`),
    ''
  ].join('\n')
}

async function withTable(readme: string, definition: ImageDefinition, tree: BuiltTree, added: number): Promise<string> {
  const [before, rest] = readme.split(BEGIN)
  const after = rest?.split(END)[1]
  if (before === undefined || after === undefined) throw new Error(`${definition.folder}/README.md lacks its two marks`)
  const version = new Map(definition.locked.map(one => [one.name, one.version]))
  const lines = (await readFile(join(definition.folder, 'packages.in'), 'utf8')).split('\n')
  const rows = lines.flatMap(line => {
    const [, asked, reason] = /^([^\s#]\S*)\s+#\s*(.*)$/.exec(line) ?? []
    if (asked === undefined || reason === undefined) return []
    const found = requestedName(asked)
    return [`| ${normalName(found)} | ${version.get(found) ?? ''} | ${reason} |`]
  })
  const size =
    definition.extends === undefined
      ? `${tree.packages.length} packages, ${Math.round(tree.bytes / 1e7) * 10} MB of files`
      : `${tree.packages.length} packages with those of \`${definition.extends}\`; its own files take ${added} MB`
  const table = [
    `Python ${tree.pythonVersion}, ${size} (without byte code).`,
    '',
    '| package | version | for |',
    '| --- | --- | --- |',
    ...rows
  ]
  return `${before}${BEGIN}\n${table.join('\n')}\n${END}${after}`
}
