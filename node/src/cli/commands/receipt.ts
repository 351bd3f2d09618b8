import type { Command } from 'commander'
import { writeFile } from 'node:fs/promises'
import { billCredits, duration, encodeReceipt } from '../../core/client/index.js'
import { PekkaError, decodeCanonical, receiptSchema, toHex, toJson, type Receipt } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { NO_PROOF, findReceipt, saveReceipt } from '../task/receipts.js'
import { findTask, withSession, type Session } from '../task/session.js'

export function register(program: Command, context: CliContext): void {
  program
    .command('receipt')
    .description('show how a task was run and paid; --out writes it to a file')
    .argument('<task>', 'the beginning of its id')
    .option('--out <file>', 'write the receipt here')
    .option('--json', 'as JSON')
    .action(async (prefix: string, options: { out?: string }) => {
      const bytes = (await findReceipt(context.home, prefix))?.bytes ?? (await fetchReceipt(context, prefix))
      if (options.out !== undefined) await writeFile(options.out, bytes)
      const receipt = receiptSchema.parse(decodeCanonical(bytes))
      if (context.json) return context.result(JSON.stringify(toJson(receipt)))
      for (const line of describeReceipt(receipt)) context.result(line)
    })
}

/** A receipt that is not stored here is made from the task's log, which is read again to its end. */
const fetchReceipt = (context: CliContext, prefix: string): Promise<Uint8Array> =>
  withSession(context, async ({ client }: Session) => {
    const { task, view } = await findTask(client, prefix)
    if (!view || !['settled', 'refunded', 'closed'].includes(view.state)) {
      throw new PekkaError('TASK_STATE', { state: view?.state ?? 'sending', body: 'receipt' })
    }
    const follower = await client.follow(task, {})
    try {
      const { finished } = await follower.ended
      const receipt = await client.receipt(task, finished)
      await saveReceipt(context.home, receipt)
      return encodeReceipt(receipt)
    } finally {
      follower.stop()
    }
  })

const OUTCOME_WORDS = {
  ok: 'Done, not re-run.',
  user: 'Your code stopped; not re-run.',
  limit: 'Stopped at a limit; not re-run.',
  stopped: 'Cancelled by you.'
} as const

const NUMERIC_WORDS = {
  pinned: 'pinned, comparable within a CPU class',
  native: 'all that the processor can',
  other: 'as on another kind of processor'
} as const

/** A receipt in plain words, sentence first (UX §4). */
export function describeReceipt({ v, view, run, checked, draw, madeAt }: Receipt): string[] {
  const attempt = view.attempts.find(a => a.ended === 'committed')
  const claim = attempt?.claim
  const sentence = claim
    ? `${OUTCOME_WORDS[claim.outcome]} One machine ran it; nobody has compared the result.`
    : 'Not finished. What was on hold came back.'
  return [
    sentence,
    '',
    `task        ${toHex(view.task)}`,
    `environment ${view.offer.image.name} (${toHex(view.offer.image.digest).slice(0, 12)})`,
    ...(attempt
      ? [`machine     ${toHex(attempt.provider).slice(0, 16)}, try ${view.attempts.indexOf(attempt) + 1}`]
      : []),
    ...(claim ? [`time        ${duration(claim.usage.wallMs)}`] : []),
    `paid        ${billCredits(view.paid)} credits, ${billCredits(view.refunded)} came back`,
    ...(run
      ? [
          `seed        ${run.manifest.run.seed ?? 'none: real entropy'}`,
          `numbers     ${NUMERIC_WORDS[run.manifest.run.numeric]}; CPU class ${run.manifest.run.cpuClass}`,
          `output      ${run.head.count} pieces, chained and signed`,
          `result      ${toHex(run.digest).slice(0, 32)}`
        ]
      : []),
    `checked     ${checked === 'not-rerun' ? 'not re-run' : checked}; draws by a ${draw}`,
    `ledger      ${v === 1 ? NO_PROOF : 'carries the proof that its witnesses signed'}`,
    `made        ${new Date(madeAt).toISOString()}`,
    '',
    'Who could read it: every machine named in the offer, while it ran.',
    'Verify it: pekka verify FILE (write it with --out FILE).'
  ]
}
