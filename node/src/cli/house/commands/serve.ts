import { Steps } from '@pekka/node/setup/steps'
import type { Command } from 'commander'
import type { CliContext } from '../../context.js'
import { pekkaVersion } from '../../version.js'
import { housePlaces } from '../state/places.js'
import { reside } from '../state/residence.js'
import { witnessCount } from '../processes/witnesses.js'

interface ServeOptions {
  witnesses?: number
}

/** What `pekka run` starts in the background where no network runs; not for people. */
export function register(program: Command, context: CliContext): void {
  const command = program.command('serve', { hidden: true })
  command.option('--witnesses <number>', 'as of "pekka up"', witnessCount).action(async (options: ServeOptions) => {
    const places = housePlaces(context.home, context.env)
    const steps = new Steps({ logs: places.logs, signal: context.signal })
    await reside(
      { places, steps, say: context.say, version: pekkaVersion() },
      { kind: 'temporary', env: context.env, witnesses: options.witnesses },
      context,
      () => undefined
    )
  })
}
