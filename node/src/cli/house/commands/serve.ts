import { Steps } from '@pekka/node/setup/steps'
import type { Command } from 'commander'
import type { CliContext } from '../../context.js'
import { pekkaVersion } from '../../version.js'
import { housePlaces } from '../places.js'
import { reside } from '../residence.js'

/** What `pekka run` starts in the background where no network runs; not for people. */
export function register(program: Command, context: CliContext): void {
  program.command('serve', { hidden: true }).action(async () => {
    const places = housePlaces(context.home, context.env)
    const steps = new Steps({ logs: places.logs, signal: context.signal })
    await reside(
      { places, steps, say: context.say, version: pekkaVersion() },
      { kind: 'temporary', env: context.env },
      context,
      () => undefined
    )
  })
}
