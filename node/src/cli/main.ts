/**
 * `pekka`: the command line. The launcher (bin/pekka.mjs) has set up what the command needs and runs this on the pinned Node.
 *
 * Each command is a module of its own, named in commands.ts and imported when it is called.
 */
import { isPekkaError, type ErrorCode } from '@pekka/node/protocol'
import { ownArguments } from '@pekka/node/setup/arguments'
import { StepError } from '@pekka/node/setup/steps'
import { Command, CommanderError } from 'commander'
import { COMMANDS } from './commands.js'
import { createContext, Interrupted, listenForStops, type CliContext } from './context.js'
import { EXIT, exitCodeOf } from './exit-codes.js'
import { pekkaVersion } from './version.js'

/** Options that every command has; they are in the context, so commands name them for their help only. */
const EVERYWHERE = ['--json', '-q', '--quiet']

const EVERYWHERE_HELP = `Every command also takes --json (results as JSON on stdout) and -q (PEKKA's own words left out).
Exit codes stand in docs/command-line.md.`

/** The exit code, told to the user on stderr where it isn't the program's own. */
async function main(args: string[]): Promise<number> {
  const stops = listenForStops(process)
  const program = new Command('pekka')
    .description('Run notebook cells, notebooks and scripts on a network of providers.')
    .version(pekkaVersion(), '--version', 'show the version')
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', `\n${EVERYWHERE_HELP}`)
    .showHelpAfterError('See "pekka --help".')
    .exitOverride()
    .enablePositionalOptions()
  const own = ownArguments(args)
  const context = createContext(process, stops, {
    json: own.includes('--json'),
    quiet: own.includes('-q') || own.includes('--quiet')
  })
  const entry = COMMANDS.find(({ name }) => name === args[0])
  if (entry) (await entry.load()).register(program, context)
  else for (const { name, summary, hidden } of COMMANDS) if (!hidden) program.command(name).description(summary)
  try {
    if (args.length === 0) program.help()
    await program.parseAsync([...own.filter(arg => !EVERYWHERE.includes(arg)), ...args.slice(own.length)], {
      from: 'user'
    })
    return Number(process.exitCode ?? EXIT.ok)
  } catch (error) {
    return explain(error, context)
  }
}

/** Says what happened and what to do; returns the exit code for it. */
function explain(error: unknown, context: CliContext): number {
  // commander has printed its own words by now
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
  if (error instanceof Interrupted || (context.signal.aborted && error === context.signal.reason)) return EXIT.cancelled
  if (error instanceof StepError) {
    context.stderr.write(`${error.message}\n`)
    return EXIT.ours
  }
  const code: ErrorCode = isPekkaError(error) ? error.code : 'INTERNAL'
  if (context.json)
    context.stderr.write(
      `${JSON.stringify(isPekkaError(error) ? error.toProblem() : { code, title: String(error) })}\n`
    )
  else if (isPekkaError(error)) {
    const cause = error.cause instanceof Error && code === 'INTERNAL' ? `  ${error.cause.stack}\n` : ''
    context.stderr.write(`${error.message} (${code})\n${cause}  ${error.advice}\n`)
  } else
    context.stderr.write(
      `PEKKA failed. This is our fault; please report it with these lines:\n${error instanceof Error ? error.stack : String(error)}\n`
    )
  return exitCodeOf(code)
}

process.exitCode = await main(process.argv.slice(2))
// the channel to the launcher must not keep a finished command alive
if (process.connected) process.disconnect()
