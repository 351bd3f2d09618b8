import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline/promises'
import { PekkaError } from '@pekka/node/protocol'
import { tilde } from '@pekka/node/setup/places'
import type { Command } from 'commander'
import type { CliContext } from '../../context.js'
import { housePlaces } from '../state/places.js'
import { stopHouse } from '../processes/stop.js'

interface ResetOptions {
  all: boolean
  yes: boolean
}

export function register(program: Command, context: CliContext): void {
  program
    .command('reset')
    .description('stop, and start over with an empty practice network; your files and the wallet stay')
    .option('--all', 'forget the wallet too: its keys are gone for good', false)
    .option('-y, --yes', "don't ask", false)
    .option('--json', 'as JSON')
    .action((options: ResetOptions) => reset(context, options))
}

async function reset(context: CliContext, { all, yes }: ResetOptions): Promise<void> {
  const places = housePlaces(context.home, context.env)
  const goes = [
    'tasks, receipts and credits of the practice network',
    "JupyterLab's settings, and logs",
    ...(all ? ['the wallet and its keys, for good'] : [])
  ]
  if (!yes) {
    if (!process.stdin.isTTY) throw new PekkaError('USAGE', { issue: 'Nobody can be asked here. Say --yes to go on.' })
    context.stderr.write(`This deletes in ${tilde(places.home)}:\n${goes.map(what => `  ${what}\n`).join('')}`)
    const terminal = createInterface({ input: process.stdin, output: context.stderr })
    const answer = await terminal.question('Go on? [y/N] ', { signal: context.signal }).finally(() => terminal.close())
    if (!/^y(es)?$/i.test(answer.trim())) return context.say('Nothing was deleted.')
  }
  await stopHouse(places, context.signal)
  const receipts = join(places.home, 'receipts')
  const folders = [places.devnet, places.jupyter, places.logs, receipts, ...(all ? [places.wallet] : [])]
  await Promise.all(folders.map(folder => rm(folder, { recursive: true, force: true })))
  if (context.json) return context.result({ deleted: folders })
  context.say(`Deleted. ${all ? 'Your' : 'The wallet and your'} files in ${tilde(places.work)} stay.`)
}
