import { doctor } from '@pekka/node/setup/doctor'
import type { Command } from 'commander'
import type { CliContext } from '../../context.js'

/** The launcher answers `pekka doctor` by itself, so that it works where nothing is built; this is its place in the help. */
export function register(program: Command, context: CliContext): void {
  program
    .command('doctor')
    .description('each part: version, place, what is missing, how to get it')
    .option('--json', 'as JSON')
    .action(async () => {
      process.exitCode = await doctor({ home: context.home, json: context.json })
    })
}
