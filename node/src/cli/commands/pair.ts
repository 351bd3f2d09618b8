import type { Command } from 'commander'
import type { CliContext } from '../context.js'
import { runningNetwork } from '../house/network.js'
import { WalletSocket } from '../task/wallet-socket.js'

/** How long a code is good, s; the wallet's own number. */
const CODE_SECONDS = 60

/** `pekka pair`: what the Connect dialog of a JupyterLab asks for that PEKKA didn't start. */
export function register(program: Command, context: CliContext): void {
  program
    .command('pair')
    .description('a one-time code that connects a browser to your wallet')
    .option('--json', 'as JSON')
    .action(async () => {
      const { wallet } = await runningNetwork(context)
      const code = await new WalletSocket({ path: wallet.socket }).code()
      if (context.json) return context.result({ code, wallet: wallet.url, seconds: CODE_SECONDS })
      context.result(`Wallet  ${wallet.url}\nCode    ${code}`)
      context.say(
        `Paste both in JupyterLab: Remote tasks, Connect. The code is good once and for ${CODE_SECONDS} seconds.`
      )
    })
}
