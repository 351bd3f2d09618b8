import { join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'
import { withUv } from '@pekka/node/setup/python'
import { Command } from 'commander'
import { fromHex, type ImageRef } from '@pekka/node/protocol'
import type { ImageStanding } from '../../core/client/index.js'
import type { CliContext } from '../context.js'
import { registerRegistry, standingsHere } from '../image/registry.js'
import {
  createImageStore,
  type ImageStore,
  type ImageTree,
  type PackageCheck,
  type Standing
} from '../../host/images/index.js'

/** What the commands need of the command line's context. */
export interface ImageCommandContext {
  /** PEKKA_HOME. */
  home: string
  /** Path of uv. */
  uv: () => Promise<string>
  /** Environment of uv. */
  uvEnvironment?: NodeJS.ProcessEnv
  /** A line for standard output. */
  out: (line: string) => void
  /** A line for standard error. */
  err: (line: string) => void
  /** Results as JSON. */
  json: boolean
  /** What the network that runs here says of images; null: none runs. Left out: nobody is asked. */
  registered?: (images: readonly ImageRef[]) => Promise<ImageStanding[] | null>
  /** Ends what is under way; a stopped build removes what it began. */
  signal?: AbortSignal
}

/** The definitions as they lie in the checkout. */
const DEFINITIONS = join(ROOT, 'sandbox-images')

/** What keeps the first run alive where the large download fails; nobody chooses it. */
const FALL_BACK = 'base-small'

/** Width of a column with names of images. */
const NAME_WIDTH = 19

/** All definitions, those that others extend first: their locks must stand when the others' are checked. */
const lockOrder = async (images: ImageStore): Promise<string[]> =>
  (await images.names()).sort((a, b) => Number(b.startsWith('base')) - Number(a.startsWith('base')))

/** What a line of the list says of a tree. */
const STANDINGS: Record<Standing, string> = {
  current: '',
  previous: '  (of an older definition, kept)',
  'in-use': '  (of an older definition, in use)',
  removable: '  (of an older definition; the next build removes it)'
}

/** What a line of the list says of the network. A tree that is listed, or that nobody would list, needs no words. */
function networkWords(standing: ImageStanding | null): string {
  if (standing === null || standing === 'listed' || standing === 'open') return ''
  if (standing === 'unlisted')
    return '  NOT LISTED by this network: nobody buys it; update PEKKA, then: pekka image build'
  return `  RETIRED by this network: ${standing.retired} Nobody buys it; update PEKKA, then: pekka image build`
}

const storeOf = (context: ImageCommandContext): ImageStore =>
  createImageStore(
    {
      uv: context.uv,
      uvEnvironment: context.uvEnvironment,
      log: { info: (_, text) => context.err(text), warn: (_, text) => context.err(text) }
    },
    { home: context.home, definitions: DEFINITIONS }
  )

/** `pekka image`, as the table of commands has it. */
export function register(program: Command, context: CliContext): void {
  const { home, json, signal, say, result } = context
  const uvEnvironment = withUv({ tools: context.places.tools, home })
  const uv = async (): Promise<string> => uvEnvironment.PEKKA_UV
  const own: ImageCommandContext = { home, json, signal, uv, uvEnvironment, out: result, err: say }
  const command = imageCommand({ ...own, registered: images => standingsHere(context, images) })
  registerRegistry(command, context, { store: () => storeOf(own), definitions: DEFINITIONS })
  program.addCommand(command)
}

/** `pekka image …`. Failures are thrown as PekkaError; a failed import sets the exit code 1. */
export function imageCommand(context: ImageCommandContext): Command {
  const command = new Command('image').description('The environments that tasks run in')
  const store = (): ImageStore => storeOf(context)
  const answer = (value: unknown, lines: string[]): void => {
    if (context.json) context.out(JSON.stringify(value))
    else lines.forEach(context.out)
  }

  /** The names that `name` stands for: itself, or all definitions that are no fall-back. */
  const namesOf = async (name: string): Promise<string[]> =>
    name === 'all' ? (await store().names()).filter(one => one !== FALL_BACK) : [name]

  command
    .command('build')
    .description('build an environment from its locks, unless it is there')
    .argument('<name>', 'e.g. chemistry, or "all"')
    .action(async (name: string) => {
      const trees: ImageTree[] = []
      for (const one of await namesOf(name)) {
        const start = performance.now()
        const onProgress = ({ text }: { text: string }): void =>
          context.err(
            `${one.padEnd(NAME_WIDTH)}${String(Math.round((performance.now() - start) / 1000)).padStart(4)} s  ${text}`
          )
        trees.push(await store().build(one, { onProgress, signal: context.signal }))
      }
      // A provider looks once which environments its home has.
      context.err('Offered by the machines of this home from their next start on: npx pekka down, then npx pekka up.')
      answer(
        name === 'all' ? trees.map(summary) : trees.map(summary)[0],
        trees.map(tree => `${tree.name.padEnd(NAME_WIDTH)} ${tree.digest.slice(0, 12)}  ${tree.root}`)
      )
    })

  command
    .command('list')
    .description('show which environments are here')
    .action(async () => {
      const images = store()
      const [names, standings] = await Promise.all([images.names(), images.standings()])
      const refs = standings.map(({ tree }) => ({ name: tree.name, digest: fromHex(tree.digest) }))
      const registered = (await context.registered?.(refs)) ?? null
      const built = standings.map(({ tree, standing }, i) => ({
        ...summary(tree),
        current: standing === 'current',
        standing,
        network: registered?.[i] ?? null
      }))
      const missing = names.filter(name => !built.some(tree => tree.name === name && tree.current))
      answer({ built, missing }, [
        ...built.map(
          tree =>
            `${tree.name.padEnd(NAME_WIDTH)} ${tree.digest.slice(0, 12)}  ${String(Math.round(tree.bytes / 1e6)).padStart(5)} MB  ` +
            `${tree.builtAt.slice(0, 16).replace('T', ' ')}${tree.extends === undefined ? '' : `  on ${tree.extends}`}${STANDINGS[tree.standing]}${tree.standing === 'current' || tree.network !== 'unlisted' ? networkWords(tree.network) : ''}`
        ),
        ...missing.map(name => `${name.padEnd(NAME_WIDTH)} not here: pekka image build ${name}`)
      ])
    })

  command
    .command('verify')
    .description('import every package of an environment in a sandbox')
    .argument('<name>', 'e.g. chemistry, or "all"')
    .action(async (name: string) => {
      const results: { name: string; checks: PackageCheck[] }[] = []
      for (const one of await namesOf(name))
        results.push({ name: one, checks: await store().verify(one, { signal: context.signal }) })
      const broken = results.flatMap(({ checks }) => checks.filter(check => !check.ok))
      answer(name === 'all' ? results : results[0], [
        ...broken.map(check => `${check.package}: ${check.error ?? 'failed'}`),
        ...results.map(
          one => `${one.checks.filter(check => check.ok).length} of ${one.checks.length} packages of ${one.name} import`
        )
      ])
      if (broken.length > 0) process.exitCode = 1
    })

  command
    .command('lock')
    .description('make the locks of a definition again (for those who maintain images)')
    .argument('<name>', 'e.g. base; "all" resolves all definitions together first')
    .action(async (name: string) => {
      const options = { onProgress: ({ text }: { text: string }) => context.err(text), signal: context.signal }
      if (name === 'all') await store().lockTogether(options)
      const locked: { name: string; digest: string }[] = []
      for (const one of name === 'all' ? await lockOrder(store()) : [name]) {
        await store().lock(one, options)
        locked.push({ name: one, digest: await store().digest(one) })
      }
      answer(
        name === 'all' ? locked : locked[0],
        locked.map(
          one => `${one.name} ${one.digest.slice(0, 12)}: look at the difference, build, verify, describe, commit`
        )
      )
    })

  command
    .command('outdated')
    .description('show which packages have something newer (for those who maintain images)')
    .action(async () => {
      const found = await store().outdated({ signal: context.signal })
      const row = (...cells: (string | null)[]): string =>
        cells
          .map((cell, index) => (cell ?? '-').padEnd(index === 0 ? 26 : 18))
          .join('')
          .trimEnd()
      answer(found, [
        row('package', 'locked', 'newest here', 'newest', 'asked for by'),
        ...found.map(one => row(one.name, one.locked, one.newest, one.newestAnywhere, one.images.join(', ')))
      ])
    })

  command
    .command('describe')
    .description('write what a built environment holds into its definition (for those who maintain images)')
    .argument('<name>', 'e.g. chemistry, or "all"')
    .action(async (name: string) => {
      const written: string[] = []
      for (const one of await namesOf(name)) written.push(...(await store().describe(one)))
      answer(written, written)
    })

  return command
}

const summary = ({
  name,
  digest,
  contentDigest,
  root,
  pythonVersion,
  files,
  bytes,
  builtAt,
  debianChanges,
  extends: base
}: ImageTree) => ({
  ...{ name, digest, contentDigest, root, pythonVersion, files, bytes, builtAt, debianChanges, extends: base }
})
