import type { Command } from 'commander'
import { credits } from '../../core/client/index.js'
import {
  CLIENT_BODIES,
  PekkaError,
  accountId,
  equalBytes,
  policySchema,
  toHex,
  toJson,
  type Policy
} from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { accountWords, delegatesWords, forgetWords } from '../account/words.js'
import { registerRecovery } from '../account/recovery.js'
import { readId, readParts, report, show, tell, withWallet, writeFor } from '../account/signing.js'
import { askYes } from '../task/ask.js'
import { collect, readCap } from '../task/options.js'

/** Another account that this wallet's key signs for, and where a transaction goes that others must sign. */
export interface ForOptions {
  account?: string
  out?: string
}

const FOR = ['--account <id>', 'an account that this wallet’s key signs for; default: the wallet’s own'] as const
const OUT = ['--out <file>', 'where a transaction goes that others must sign too'] as const

/** `pekka account`: what needs the owner's signature. The wallet signs; the command line only asks. */
export function register(program: Command, context: CliContext): void {
  const account = program.command('account').description('your account: money, keys, guardians')
  const own = (options: ForOptions): Uint8Array | null =>
    options.account === undefined ? null : readId(options.account)

  account
    .command('show')
    .description('balance, keys, delegates, deposits, bandwidth, guardians')
    .argument('[id]', 'an account that this wallet’s key signs for; default: the wallet’s own')
    .option('--json', 'as JSON')
    .action(async (id: string | undefined) => {
      await withWallet(context, async wallet => {
        const found = await wallet.owner(id === undefined ? null : readId(id))
        if (context.json) return context.result(JSON.stringify(toJson(found)))
        for (const line of accountWords(found)) context.result(line)
      })
    })

  account
    .command('key')
    .description('the key of this wallet, for others to name')
    .option('--json', 'as JSON')
    .action(async () => {
      await withWallet(context, async wallet => {
        const key = toHex(await wallet.key())
        context.result(context.json ? { key } : key)
      })
    })

  account
    .command('transfer')
    .description('pay credits to another account')
    .argument('<to>', 'the whole id of the account')
    .argument('<amount>', 'credits, e.g. 2.5')
    .option(...FOR)
    .option(...OUT)
    .option('--json', 'as JSON')
    .action(async (to: string, text: string, options: ForOptions) => {
      const [receiver, amount] = [readId(to), readCap(text, 'AMOUNT')]
      await withWallet(context, async wallet => {
        const acted = await wallet.act({ kind: 'transfer', to: receiver, amount }, own(options))
        await report(context, acted, `${credits(amount)} credits paid to ${toHex(receiver)}.`, options.out)
      })
    })

  account
    .command('rotate')
    .description('give this wallet a new key and take the old one out of the account')
    .option('--revoke', 'also take all rights from all pages, command lines and machines; they connect anew')
    .option(...OUT)
    .option('--json', 'as JSON')
    .action(async (options: { revoke?: boolean; out?: string }) => {
      await withWallet(context, async wallet => {
        const acted = await wallet.rotate()
        await report(context, acted, 'This wallet has a new key; the old one signs for nothing any more.', options.out)
        const { view, time } = await wallet.owner()
        const live = view.lanes.filter(({ delegate }) => delegate !== null && delegate.expiry > time.timestamp)
        if (acted.status !== 'applied') {
          // What was asked for and not done is said in any case.
          if (options.revoke === true) tell(context, delegatesWords(live.length, 'must wait'))
          return
        }
        if (options.revoke === true) for (const { key } of live) if (key !== null) await wallet.revoke(key)
        for (const line of delegatesWords(live.length, options.revoke === true ? 'done' : 'unasked')) context.say(line)
      })
    })

  account
    .command('policy')
    .description('say which keys sign for the account, and how many of them must')
    .requiredOption('--threshold <k>', 'how many must sign')
    .requiredOption('--key <key>', 'a key of an owner’s wallet ("pekka account key" there); one for each', collect)
    .option(...FOR)
    .option(...OUT)
    .option('--yes', 'though this wallet’s own key isn’t among them')
    .option('--json', 'as JSON')
    .action(async (options: ForOptions & { threshold: string; key: string[]; yes?: boolean }) => {
      const policy = readPolicy(options)
      await withWallet(context, async wallet => {
        const { key } = await wallet.owner(own(options))
        if (options.yes !== true && !policy.keys.some(one => equalBytes(one, key))) {
          throw new PekkaError('USAGE', {
            issue: `This wallet’s key ${toHex(key)} isn’t among them, so it would sign for the account no more. If that is meant: --yes`
          })
        }
        const acted = await wallet.act({ kind: 'set-policy', policy }, own(options))
        await report(context, acted, `${policy.threshold} of ${policy.keys.length} keys sign for it now.`, options.out)
      })
    })

  account
    .command('open')
    .description('open an account for several people: k of n keys sign for it')
    .requiredOption('--threshold <k>', 'how many must sign')
    .requiredOption('--key <key>', 'a key of an owner’s wallet ("pekka account key" there); one for each', collect)
    .option(...OUT)
    .option('--json', 'as JSON')
    .action(async (options: { threshold: string; key: string[]; out?: string }) => {
      const policy = readPolicy(options)
      await withWallet(context, async wallet => {
        const { time } = await wallet.owner()
        const deposit = time.parameters.openDeposit
        const acted = await wallet.act({ kind: 'open-account', policy, deposit })
        context.say(`The account is ${toHex(accountId(policy))}.`)
        await report(context, acted, toHex(accountId(policy)), options.out)
      })
    })

  account
    .command('grant')
    .description('let a key buy for an account that several sign for (a wallet with one key does that by itself)')
    .argument('<key>', 'key of the page or the command line')
    .option('--cap <credits>', 'what it may spend in all', '5')
    .option('--per-task <credits>', 'what one task may cost', '1')
    .option('--days <number>', 'for how long', '30')
    .option(...FOR)
    .option(...OUT)
    .option('--json', 'as JSON')
    .action(async (text: string, options: ForOptions & { cap: string; perTask: string; days: string }) => {
      const key = readId(text, 'a key')
      const life = readNumber(options.days, '--days', 365) * 86_400_000
      const [cap, perTask] = [readCap(options.cap), readCap(options.perTask, '--per-task')]
      await withWallet(context, async wallet => {
        const { time } = await wallet.owner(own(options))
        const delegate = { key, cap, perTask, bodies: [...CLIENT_BODIES], expiry: time.timestamp + life }
        const acted = await wallet.act({ kind: 'grant', delegate }, own(options))
        await report(context, acted, 'It may buy now.', options.out)
      })
    })

  account
    .command('revoke')
    .description('take all rights from a key that buys, or from a machine')
    .argument('<key>', 'the whole key')
    .option(...FOR)
    .option(...OUT)
    .option('--json', 'as JSON')
    .action(async (text: string, options: ForOptions) => {
      await withWallet(context, async wallet => {
        const acted = await wallet.act({ kind: 'revoke', key: readId(text, 'a key') }, own(options))
        await report(context, acted, 'It has no rights any more; what it has open goes on.', options.out)
      })
    })

  account
    .command('sign')
    .description('sign what another owner made')
    .argument('<file>', 'a transaction')
    .option('--out <file>', 'where it goes with your signature; default: the same file')
    .option('--yes', 'sign without being asked')
    .option('--json', 'as JSON')
    .action(async (file: string, options: { out?: string; yes?: boolean }) => {
      const [partly] = await readParts([file])
      if (partly === undefined) return
      show(context, partly)
      if (options.yes !== true && (await askYes(context, 'Sign it? [y/N] ')) !== true) {
        throw new PekkaError('USAGE', { issue: 'Nothing was signed. Where nobody can be asked: --yes' })
      }
      await withWallet(context, async wallet => {
        await writeFor(context, await wallet.sign(partly), options.out ?? file)
      })
    })

  account
    .command('submit')
    .description('send what enough owners have signed')
    .argument('<file...>', 'a transaction; several files of the same one where owners signed apart')
    .option('--json', 'as JSON')
    .action(async (files: string[]) => {
      const parts = await readParts(files)
      await withWallet(context, async wallet => {
        const id = await wallet.submit(parts)
        await report(context, { status: 'applied', id }, 'Done.')
      })
    })

  account
    .command('use')
    .description('have this wallet act for another account that its key signs for')
    .argument('<id>', 'the whole id')
    .action(async (id: string) => {
      await withWallet(context, async wallet => {
        await wallet.use(readId(id))
        context.result(`This wallet acts for ${id.toLowerCase()} now.`)
      })
    })

  account
    .command('forget-seen')
    .description('believe older states of the ledger again, after its own people have set it back to a backup')
    .option('--yes', 'without being asked')
    .action(async (options: { yes?: boolean }) => {
      await withWallet(context, async wallet => {
        const { network, index } = await wallet.seen()
        if (index < 0) return context.result('This wallet has seen nothing of that network’s ledger yet.')
        tell(context, forgetWords(network, index))
        if (options.yes !== true && (await askYes(context, 'Forget it? [y/N] ')) !== true) {
          throw new PekkaError('USAGE', { issue: 'Nothing was forgotten. Where nobody can be asked: --yes' })
        }
        await wallet.forgetSeen(network)
        context.result('It is forgotten. What the bridge proves next counts.')
      })
    })

  registerRecovery(account, context)
}

function readPolicy({ threshold, key }: { threshold: string; key: readonly string[] }): Policy {
  const keys = key.map(one => readId(one, 'a key'))
  const parsed = policySchema.safeParse({ threshold: readNumber(threshold, '--threshold', 16), keys })
  if (parsed.success && new Set(keys.map(toHex)).size === keys.length) return parsed.data
  throw new PekkaError('USAGE', { issue: 'Name up to 16 different keys, and no more that must sign than there are.' })
}

export function readNumber(text: string, option: string, most: number): number {
  const value = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (value < 1 || value > most) throw new PekkaError('USAGE', { issue: `${option} wants a number from 1 to ${most}.` })
  return value
}
