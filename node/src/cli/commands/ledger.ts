import type { Command } from 'commander'
import { Option } from 'commander'
import { writeFile } from 'node:fs/promises'
import { PROVEN_KINDS, wayOf, writeProofFile, type ProvenKind } from '../../core/client/index.js'
import { PekkaError, fromHex } from '../../core/protocol/index.js'
import type { CliContext } from '../context.js'
import { findTask, withSession } from '../task/session.js'
import { registerEvidence } from './ledger-evidence.js'
import { describe, registerVerify } from './ledger-verify.js'
import { registerStatus } from './ledger-status.js'
import { registerViews } from './ledger-views.js'

export function register(program: Command, context: CliContext): void {
  const ledger = program
    .command('ledger')
    .description('the ledger: its transactions, proofs of what it says, and its witnesses')
  registerStatus(ledger, context)
  registerViews(ledger, context)
  registerEvidence(ledger, context)
  ledger
    .command('prove')
    .description('write a proof that can be checked without any network')
    .argument('<id>', 'of a task: the beginning of its id; else the whole id')
    .addOption(new Option('--kind <kind>', 'what it is').choices(PROVEN_KINDS).default('task'))
    .option('--out <file>', 'write it here instead of to the terminal')
    .action(async (id: string, options: { kind: ProvenKind; out?: string }) => {
      await withSession(context, async ({ client }) => {
        const whole = options.kind === 'task' ? (await findTask(client, id)).task : parseId(id)
        const shown = await client.ledger.proof(options.kind, whole)
        const { bytes, genesis, proven } = shown
        const text = writeProofFile({ v: 1, network: client.identity.network, genesis, proof: bytes, ...wayOf(shown) })
        if (options.out === undefined) context.result(text.trimEnd())
        else await writeFile(options.out, text)
        for (const line of describe(proven)) context.say(line)
      })
    })
  registerVerify(ledger, context)
}

function parseId(id: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(id)) throw new PekkaError('USAGE', { issue: `Not a whole id: ${id}.` })
  return fromHex(id.toLowerCase())
}
