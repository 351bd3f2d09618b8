import type { Command } from 'commander'
import type { CliContext } from '../context.js'
import { withSession } from '../task/session.js'

export function register(program: Command, context: CliContext): void {
  program
    .command('pair')
    .description('a one-time code that connects a browser to your wallet')
    .option('--json', 'as JSON')
    .action(async () => {
      await withSession(context, async ({ wallet, network }) => {
        const code = await wallet.code()
        if (context.json) return context.result({ code, wallet: network.wallet.url, seconds: 60 })
        context.result(code)
        context.say('Paste it in JupyterLab: Remote tasks, Connect. It is good once and for 60 seconds.')
      })
    })
}
