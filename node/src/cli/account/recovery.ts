import type { Command } from 'commander'
import {
  MAX_RECOVERY_DELAY_MS,
  MIN_RECOVERY_DELAY_MS,
  PekkaError,
  policySchema,
  toHex,
  type Policy
} from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { collect } from '../task/options.js'
import { readId, report, withWallet } from './signing.js'

interface RecoverOptions {
  key: string[]
  threshold: string
  guardians?: string
  out?: string
}

/** `pekka account guardians`, `recover`, `cancel-recovery`: what helps when keys are lost (docs/ledger.md). */
export function registerRecovery(account: Command, context: CliContext): void {
  account
    .command('guardians')
    .description('name the account that may give yours other keys when yours are lost')
    .argument('<id>', 'the guardians’ account ("pekka account open" makes one of several people), or "none"')
    .option('--delay <time>', 'how long you have to say no, e.g. 3d, 12h', '3d')
    .option('--account <id>', 'an account that this wallet’s key signs for; default: the wallet’s own')
    .option('--out <file>', 'where a transaction goes that others must sign too')
    .option('--json', 'as JSON')
    .action(async (id: string, options: { delay: string; account?: string; out?: string }) => {
      const recovery = id === 'none' ? null : { guardians: readId(id), delayMs: readDelay(options.delay) }
      const own = options.account === undefined ? null : readId(options.account)
      await withWallet(context, async wallet => {
        const acted = await wallet.act({ kind: 'set-recovery', recovery }, own)
        const done =
          recovery === null ? 'Nobody guards it any more.' : 'They may bring it back; you have time to say no.'
        await report(context, acted, done, options.out)
      })
    })

  account
    .command('recover')
    .description('as a guardian: give an account whose keys are lost other keys, once its delay is over')
    .argument('<id>', 'the account whose keys are lost')
    .requiredOption('--key <key>', 'the new key ("pekka account key" in the new wallet); one for each', collect)
    .option('--threshold <k>', 'how many of the new keys must sign', '1')
    .option('--guardians <id>', 'the guardians’ account; default: this wallet’s own')
    .option('--out <file>', 'where a transaction goes that others must sign too')
    .option('--json', 'as JSON')
    .action(async (id: string, options: RecoverOptions) => {
      const target = readId(id)
      const policy = policyOf(options)
      const guardians = options.guardians === undefined ? null : readId(options.guardians)
      await withWallet(context, async wallet => {
        const acted = await wallet.act({ kind: 'recover', account: target, policy }, guardians)
        const done = `It has other keys once the delay is over. Then, in the new wallet: pekka account use ${toHex(target)}`
        await report(context, acted, done, options.out)
      })
    })

  account
    .command('cancel-recovery')
    .description('say no to a recovery that is under way')
    .argument('[id]', 'the account; default: this wallet’s own')
    .option('--guardians <id>', 'as its guardians: their account')
    .option('--out <file>', 'where a transaction goes that others must sign too')
    .option('--json', 'as JSON')
    .action(async (id: string | undefined, options: { guardians?: string; out?: string }) => {
      await withWallet(context, async wallet => {
        const target = id === undefined ? (await wallet.owner()).view.account : readId(id)
        const by = options.guardians === undefined ? target : readId(options.guardians)
        const acted = await wallet.act({ kind: 'cancel-recovery', account: target }, by)
        await report(context, acted, 'The account keeps its keys.', options.out)
      })
    })
}

function policyOf({ key, threshold }: RecoverOptions): Policy {
  const keys = key.map(one => readId(one, 'a key'))
  const parsed = policySchema.safeParse({ threshold: Number(threshold), keys })
  if (parsed.success) return parsed.data
  throw new PekkaError('USAGE', { issue: 'No more keys must sign than there are.' })
}

/** `3d`, `12h`, `30min`. @throws PekkaError USAGE */
export function readDelay(text: string): number {
  const match = /^(\d{1,4})\s*(d|h|min)$/.exec(text.trim())
  const unit = { d: 86_400_000, h: 3_600_000, min: 60_000 }[match?.[2] ?? ''] ?? 0
  const ms = Number(match?.[1] ?? 0) * unit
  if (ms >= MIN_RECOVERY_DELAY_MS && ms <= MAX_RECOVERY_DELAY_MS) return ms
  throw new PekkaError('USAGE', { issue: `--delay ${text} is not from 1min to 90d; write for example --delay 3d.` })
}
