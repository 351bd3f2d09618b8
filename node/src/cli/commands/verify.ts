import type { Command } from 'commander'
import { readFile } from 'node:fs/promises'
import { verifyReceipt } from '../../core/client/index.js'
import { PekkaError } from '../../core/protocol/index.js'
import { createVerifier } from '../../host/crypto/index.js'
import type { CliContext } from '../context.js'

export function register(program: Command, context: CliContext): void {
  program
    .command('verify')
    .description('check every signature and hash of a receipt; needs no network')
    .argument('<file>', 'a receipt')
    .option('--json', 'as JSON')
    .action(async (file: string) => {
      const bytes = await readFile(file).catch((cause: unknown) => {
        throw new PekkaError('USAGE', { issue: `The file can’t be read: ${file}.` }, { cause })
      })
      const { checks } = await verifyReceipt(new Uint8Array(bytes), createVerifier())
      const failed = checks.filter(({ ok }) => !ok)
      if (context.json) context.result(JSON.stringify({ ok: failed.length === 0, checks }))
      else {
        for (const { part, ok, note } of checks) context.result(`${ok ? 'ok  ' : 'FAIL'}  ${part.padEnd(8)} ${note}`)
        context.result(
          failed.length === 0
            ? `All ${checks.length} parts hold.`
            : `${failed.length} of ${checks.length} parts ${failed.length === 1 ? 'fails' : 'fail'}: ${failed.map(({ part }) => part).join(', ')}.`
        )
      }
      if (failed.length > 0) process.exitCode = 1
    })
}
