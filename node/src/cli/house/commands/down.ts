import { holderOf } from '@pekka/node/setup/hold'
import type { Command } from 'commander'
import type { CliContext } from '../../context.js'
import { stopHouse } from '../processes/stop.js'
import { housePlaces } from '../state/places.js'

export function register(program: Command, context: CliContext): void {
  program
    .command('down')
    .description('stop the network and JupyterLab that run on this home')
    .option('--json', 'as JSON')
    .action(async () => {
      const places = housePlaces(context.home, context.env)
      const running = await holderOf(places.lock)
      await stopHouse(places, context.signal)
      if (context.json) return context.result({ stopped: running !== undefined })
      context.say(running === undefined ? 'Nothing was running.' : 'Stopped.')
    })
}
