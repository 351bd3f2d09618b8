import type { Command } from 'commander'
import { billCredits, duration } from '../../core/client/index.js'
import { currentAttempt, shortId, toJson, type TaskItem } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { SHOWN_ID } from '../task/outcome.js'
import { withSession } from '../task/session.js'

export function register(program: Command, context: CliContext): void {
  program
    .command('tasks')
    .description('list the tasks of this account, newest first')
    .option('-n, --lines <number>', 'so many', '20')
    .option('--json', 'as JSON')
    .action(async (options: { lines: string }) => {
      await withSession(context, async ({ client }) => {
        const { tasks } = await client.tasks({ limit: Math.min(200, Math.max(1, Number(options.lines) || 20)) })
        if (context.json) return context.result(JSON.stringify(toJson(tasks.map(({ note: _, ...task }) => task))))
        const rows = tasks.map(task => [
          shortId(task.task, SHOWN_ID),
          task.title?.title ?? '(from another wallet)',
          stateOf(task),
          timeOf(task),
          creditsOf(task)
        ])
        if (rows.length === 0) return context.say('No tasks yet. Run one: pekka run FILE.py')
        for (const line of table([['TASK', 'WHAT', 'STATE', 'TIME', 'CREDITS'], ...rows])) context.result(line)
      })
    })
}

/** A task's state in the words of UX §4, without names of machines. */
export function stateOf({ bridge, code, view }: TaskItem): string {
  if (bridge === 'refused') return `not started (${code ?? 'refused'})`
  if (!view) return 'sending'
  switch (view.state) {
    case 'offered':
      return view.attempts.length > 0 ? 'waiting for another machine' : 'waiting for a machine'
    case 'running':
      return 'running'
    case 'stopping':
      return 'cancelling'
    case 'committed':
      return 'done'
    case 'refunded':
      return 'not finished, came back'
    case 'settled':
    case 'closed': {
      const claim = view.attempts.find(attempt => attempt.ended === 'committed')?.claim
      if (!claim) return 'not finished, came back'
      return { ok: 'done, not re-run', user: 'your code stopped', limit: 'stopped at a limit', stopped: 'cancelled' }[
        claim.outcome
      ]
    }
  }
}

const timeOf = ({ view }: TaskItem): string => {
  const claim = view ? currentAttempt(view)?.claim : null
  return claim ? duration(claim.usage.wallMs) : '-'
}

const creditsOf = ({ view }: TaskItem): string => (view && view.paid > 0n ? billCredits(view.paid) : '0')

function table(rows: string[][]): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  return rows.map(row =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd()
  )
}
