import { join } from 'node:path'
import { ROOT } from '@pekka/node/setup/places'
import { withUv } from '@pekka/node/setup/python'
import { Command } from 'commander'
import type { CliContext } from '../context.js'
import { createImageStore, type ImageStore, type ImageTree, type Standing } from '../../host/images/index.js'

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
  /** Ends what is under way; a stopped build removes what it began. */
  signal?: AbortSignal
}

/** The definitions as they lie in the checkout. */
const DEFINITIONS = join(ROOT, 'sandbox-images')

/** What a line of the list says of a tree. */
const STANDINGS: Record<Standing, string> = {
  current: '',
  previous: '  (of an older definition, kept)',
  'in-use': '  (of an older definition, in use)',
  removable: '  (of an older definition; the next build removes it)'
}

/** `pekka image`, as the table of commands has it. */
export function register(program: Command, context: CliContext): void {
  const { home, json, signal, say, result } = context
  const uvEnvironment = withUv({ tools: context.places.tools, home })
  const uv = async (): Promise<string> => uvEnvironment.PEKKA_UV
  program.addCommand(imageCommand({ home, json, signal, uv, uvEnvironment, out: result, err: say }))
}

/** `pekka image …`. Failures are thrown as PekkaError; a failed import sets the exit code 1. */
export function imageCommand(context: ImageCommandContext): Command {
  const command = new Command('image').description('The environments that tasks run in')
  const store = (): ImageStore =>
    createImageStore(
      {
        uv: context.uv,
        uvEnvironment: context.uvEnvironment,
        log: { info: (_, text) => context.err(text), warn: (_, text) => context.err(text) }
      },
      { home: context.home, definitions: DEFINITIONS }
    )
  const answer = (value: unknown, lines: string[]): void => {
    if (context.json) context.out(JSON.stringify(value))
    else lines.forEach(context.out)
  }

  command
    .command('build')
    .description('build an environment from its locks, unless it is there')
    .argument('<name>', 'e.g. base')
    .action(async (name: string) => {
      const tree = await store().build(name, {
        onProgress: progress => context.err(progress.text),
        signal: context.signal
      })
      answer(summary(tree), [`${tree.name} ${tree.digest.slice(0, 12)}  ${tree.root}`])
    })

  command
    .command('list')
    .description('show which environments are here')
    .action(async () => {
      const images = store()
      const [names, standings] = await Promise.all([images.names(), images.standings()])
      const built = standings.map(({ tree, standing }) => ({
        ...summary(tree),
        current: standing === 'current',
        standing
      }))
      const missing = names.filter(name => !built.some(tree => tree.name === name && tree.current))
      answer({ built, missing }, [
        ...built.map(
          tree =>
            `${tree.name.padEnd(12)} ${tree.digest.slice(0, 12)}  ${String(Math.round(tree.bytes / 1e6)).padStart(5)} MB  ` +
            `${tree.builtAt.slice(0, 16).replace('T', ' ')}${STANDINGS[tree.standing]}`
        ),
        ...missing.map(name => `${name.padEnd(12)} not here: pekka image build ${name}`)
      ])
    })

  command
    .command('verify')
    .description('import every package of an environment in a sandbox')
    .argument('<name>', 'e.g. base')
    .action(async (name: string) => {
      const checks = await store().verify(name, { signal: context.signal })
      const broken = checks.filter(check => !check.ok)
      answer({ name, checks }, [
        ...broken.map(check => `${check.package}: ${check.error ?? 'failed'}`),
        `${checks.length - broken.length} of ${checks.length} packages of ${name} import`
      ])
      if (broken.length > 0) process.exitCode = 1
    })

  command
    .command('lock')
    .description('make the locks of a definition again (for those who maintain images)')
    .argument('<name>', 'e.g. base')
    .action(async (name: string) => {
      await store().lock(name, { onProgress: progress => context.err(progress.text), signal: context.signal })
      const digest = await store().digest(name)
      answer({ name, digest }, [`${name} ${digest.slice(0, 12)}: look at the difference, build, verify, commit`])
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
  debianChanges
}: ImageTree) => ({
  ...{ name, digest, contentDigest, root, pythonVersion, files, bytes, builtAt, debianChanges }
})
