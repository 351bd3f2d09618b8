import type { Command } from 'commander'
import { shortId, toJson } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { SHOWN_ID } from '../task/outcome.js'
import { findTask, withSession } from '../task/session.js'

export function register(program: Command, context: CliContext): void {
  program
    .command('cancel')
    .description('cancel a task; output so far is kept')
    .argument('<task>', 'the beginning of its id')
    .option('--json', 'as JSON')
    .action(async (prefix: string) => {
      await withSession(context, async ({ client }) => {
        const { task } = await findTask(client, prefix)
        await client.cancel(task)
        if (context.json) return context.result(JSON.stringify(toJson({ task, cancelled: true })))
        context.say(`Cancelled ${shortId(task, SHOWN_ID)}. You pay for the seconds it ran; output so far is kept.`)
      })
    })
}
