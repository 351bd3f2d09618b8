import type { Command } from 'commander'
import { shortId, toJson, type TaskItem } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { SHOWN_ID } from '../task/outcome.js'
import { findTask, withSession } from '../task/session.js'
import { stateOf } from './tasks.js'

export function register(program: Command, context: CliContext): void {
  program
    .command('cancel')
    .description('cancel a task; output so far is kept')
    .argument('<task>', 'the beginning of its id')
    .option('--json', 'as JSON')
    .action(async (prefix: string) => {
      await withSession(context, async ({ client }) => {
        const item = await findTask(client, prefix)
        const { task } = item
        const over = isOver(item)
        // The ledger takes the wish of a task that is over too, and nothing comes of it.
        if (!over) await client.cancel(task)
        if (context.json) return context.result(JSON.stringify(toJson({ task, cancelled: !over })))
        if (over)
          return context.say(`${shortId(task, SHOWN_ID)} is over: ${stateOf(item)}. There is nothing to cancel.`)
        context.say(`Cancelled ${shortId(task, SHOWN_ID)}. You pay for the seconds it ran; output so far is kept.`)
      })
    })
}

/** Whether nothing of it can run any more. */
const isOver = ({ bridge, view }: TaskItem): boolean =>
  view ? !['offered', 'running', 'stopping'].includes(view.state) : bridge === 'refused'
