import type { Command } from 'commander'
import { inviteSchema } from '../../core/protocol/index.js'
import { isLoopback } from '../../host/network/index.js'
import type { CliContext } from '../context.js'
import { runningNetwork } from '../house/network.js'
import { withSession } from '../task/session.js'

/** `pekka invite`: a code with which one other machine may join the network that runs here. */
export function register(program: Command, context: CliContext): void {
  program
    .command('invite')
    .description('a one-time code with which another machine joins as a provider')
    .option('--json', 'as JSON')
    .action(async () => {
      await runningNetwork(context)
      await withSession(context, async ({ client }) => {
        const token = await client.tokens.get()
        const { code, expires, addresses } = await client.http.request('POST', '/v1/invites', inviteSchema, { token })
        if (context.json) return context.result({ code, expires, addresses })
        context.result(code)
        // the other machine can't reach this one's loopback
        const address = addresses.find(known => !isLoopback(known)) ?? addresses[0] ?? 'ADDRESS'
        context.say('On the other machine, within ten minutes:')
        context.say(`  pekka provider start --bridge ${address} --join ${code}`)
        if (addresses.every(isLoopback)) {
          context.say('This bridge listens on this computer only; "pekka up --listen ADDRESS" opens it to others.')
        }
      })
    })
}
