import { isFinal, type TaskUpdate } from '../../core/client/index.js'
import type { CliContext } from '../context.js'
import { describeOutcome } from '../task/outcome.js'
import { Printer } from '../task/printer.js'
import { findTask, withSession } from '../task/session.js'

/** Without --follow the output so far is there once nothing new came for this long, ms. */
const QUIET_MS = 400

/** `pekka logs TASK [--follow]`: a task's output so far, or on and on until it ends. */
export async function taskLogs(context: CliContext, prefix: string, options: { follow: boolean }): Promise<void> {
  await withSession(context, async ({ client }) => {
    const { task, entries } = await findTask(client, prefix)
    const printer = new Printer(context, { json: context.json })
    let seen = Date.now()
    const follower = await client.follow(task, {
      superseded: () => context.say('[another machine tries; what stands above is from before]'),
      events: async events => {
        seen = Date.now()
        await printer.print(events)
      }
    })
    try {
      const ended: TaskUpdate | null = options.follow
        ? await Promise.race([follower.ended, aborted(context.signal)])
        : await Promise.race([follower.ended, caughtUp(() => (entries === 0 ? 0 : seen), context.signal)])
      if (ended && isFinal(ended.phase)) context.say(describeOutcome(task, ended).line)
    } finally {
      follower.stop()
    }
  })
}

const aborted = (signal: AbortSignal): Promise<null> =>
  new Promise(resolve => {
    if (signal.aborted) resolve(null)
    else signal.addEventListener('abort', () => resolve(null), { once: true })
  })

async function caughtUp(seen: () => number, signal: AbortSignal): Promise<null> {
  while (!signal.aborted && Date.now() - seen() < QUIET_MS) await new Promise(resolve => setTimeout(resolve, 50))
  return null
}
