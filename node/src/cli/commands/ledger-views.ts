import type { Command } from 'commander'
import type { PekkaClient } from '../../core/client/index.js'
import {
  PekkaError,
  accountItemSchema,
  fromHex,
  toHex,
  toJson,
  transactionDetailSchema,
  transactionPageSchema,
  type LedgerBatch
} from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { accountLines, transactionLine, transactionLines } from '../task/ledger-lines.js'
import { findTask, withSession } from '../task/session.js'

interface TailOptions {
  account?: string
  task?: string
  from?: string
  lines?: string
}

/** Transactions of an account that `pekka ledger account` shows. */
const SHOWN_TRANSACTIONS = 10

/** `pekka ledger tail`, `tx` and `account`: looks around in the ledger, through the bridge. */
export function registerViews(ledger: Command, context: CliContext): void {
  ledger
    .command('tail')
    .description('final transactions as they come, until Ctrl-C')
    .option('--account <id>', 'only those that this account sends, and transfers to it')
    .option('--task <id>', 'only those about this task; of an own one the beginning of its id')
    .option('--from <commit>', 'begin with this commit; 0: from the first')
    .option('-n, --lines <number>', 'end after so many')
    .option('--json', 'as JSON, a line each')
    .action(async (options: TailOptions) => {
      await withSession(context, async ({ client }) => await tail(context, client, options))
    })
  ledger
    .command('tx')
    .description('one final transaction')
    .argument('<id>', 'the whole id')
    .option('--json', 'as JSON')
    .action(async (id: string) => {
      await withSession(context, async ({ client }) => {
        const found = await get(client, `/v1/ledger/transactions/${wholeId(id)}`, transactionDetailSchema)
        if (context.json) return context.result(JSON.stringify(toJson(found)))
        for (const line of transactionLines(found)) context.result(line)
      })
    })
  ledger
    .command('account')
    .description('an account and its newest transactions')
    .argument('[id]', 'the whole id; default: your own')
    .option('--json', 'as JSON')
    .action(async (id: string | undefined) => {
      await withSession(context, async ({ client }) => {
        const own = id === undefined ? toHex(client.identity.account) : wholeId(id)
        const account = await get(client, `/v1/ledger/accounts/${own}`, accountItemSchema)
        const path = `/v1/ledger/transactions?account=${own}&limit=${SHOWN_TRANSACTIONS}`
        const { transactions } = await get(client, path, transactionPageSchema)
        if (context.json) return context.result(JSON.stringify(toJson({ account, transactions })))
        for (const line of accountLines(account)) context.result(line)
        for (const transaction of transactions) context.result(transactionLine(transaction))
      })
    })
}

async function tail(context: CliContext, client: PekkaClient, options: TailOptions): Promise<void> {
  const account = options.account === undefined ? null : fromHex(wholeId(options.account))
  const task = options.task === undefined ? null : await taskId(client, options.task)
  const after = options.from === undefined ? null : number(options.from, '--from') - 1
  let left = options.lines === undefined ? Infinity : number(options.lines, '--lines')
  if (left === 0) return
  const ended = Promise.withResolvers<void>()
  const stop = (): void => ended.resolve()
  context.signal.addEventListener('abort', stop, { once: true })
  if (context.signal.aborted) stop()
  let away = false
  const follower = client.followLedger(
    { after, account, task },
    {
      batch: ({ transactions, large = [] }: LedgerBatch, missed) => {
        if (missed !== null) context.say(`Commits ${missed.from} to ${missed.to} aren’t kept any more.`)
        for (const { index, size } of large) context.say(`Commit ${index} is too large to be shown (${size} bytes).`)
        for (const transaction of transactions) {
          if (left === 0) return
          context.result(context.json ? JSON.stringify(toJson(transaction)) : transactionLine(transaction))
          if (--left === 0) stop()
        }
      },
      connected: connected => {
        if (!connected && !away) context.say('The bridge doesn’t answer. It goes on where it was once it does.')
        away = !connected
      },
      failed: error => ended.reject(error)
    }
  )
  try {
    await ended.promise
  } finally {
    follower.stop()
    context.signal.removeEventListener('abort', stop)
  }
}

const get = async <T>(client: PekkaClient, path: string, schema: { parse(value: unknown): T }): Promise<T> =>
  await client.http.request('GET', path, schema, { token: await client.tokens.get() })

const taskId = async (client: PekkaClient, text: string): Promise<Uint8Array> =>
  /^[0-9a-f]{64}$/i.test(text) ? fromHex(text.toLowerCase()) : (await findTask(client, text)).task

function wholeId(id: string): string {
  if (!/^[0-9a-f]{64}$/i.test(id)) throw new PekkaError('USAGE', { issue: `Not a whole id: ${id}.` })
  return id.toLowerCase()
}

function number(text: string, option: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new PekkaError('USAGE', { issue: `${option} wants a number, not ${text}.` })
  return Number(text)
}
