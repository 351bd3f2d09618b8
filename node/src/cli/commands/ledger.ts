import type { Command } from 'commander'
import { Option } from 'commander'
import { readFile, writeFile } from 'node:fs/promises'
import {
  PROVEN_KINDS,
  billCredits,
  credits,
  readLedgerFile,
  verifyEvidenceFile,
  verifyProofFile,
  wayOf,
  writeProofFile,
  type LedgerFile,
  type ProvenKind
} from '../../core/client/index.js'
import { PekkaError, fromHex, toHex, toJson, type Fact, type Proven } from '../../core/protocol/index.js'
import { createVerifier } from '../../host/crypto/index.js'
import type { CliContext } from '../context.js'
import { findTask, withSession } from '../task/session.js'
import { accusationLines, registerEvidence } from './ledger-evidence.js'
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
  ledger
    .command('verify')
    .description('check a proof, or evidence against a witness; needs no network')
    .argument('<file>', 'a proof ("pekka ledger prove"), or evidence ("pekka ledger evidence")')
    .option('--trust <network>', 'id of the network that you trust, or a file about it from before')
    .option('--json', 'as JSON')
    .action(async (path: string, options: { trust?: string }) => {
      const read = await readFileAt(path)
      const { shown, lines } = await check(read, await trusted(options.trust))
      const { network } = read.file
      if (context.json) {
        context.result(JSON.stringify(toJson({ ok: true, kind: read.kind, network, ...shown })))
        return
      }
      for (const line of lines) context.result(line)
      if (options.trust === undefined)
        context.result(`It holds on network ${toHex(network)}. Compare that with yours, or give it as --trust.`)
      else context.result('It holds on the network that you trust.')
    })
}

async function trusted(trust: string | undefined): Promise<Uint8Array | undefined> {
  if (trust === undefined) return undefined
  return /^[0-9a-f]{64}$/i.test(trust) ? fromHex(trust.toLowerCase()) : (await readFileAt(trust)).file.network
}

/** @throws PekkaError USAGE, PROOF_INVALID */
async function readFileAt(path: string): Promise<LedgerFile> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw new PekkaError('USAGE', { issue: `The file can’t be read: ${path}.` }, { cause })
  })
  return readLedgerFile(new Uint8Array(bytes), bytes.toString('utf8'))
}

/** What a file shows, whole and in words. @throws PekkaError PROOF_INVALID */
async function check(read: LedgerFile, trust?: Uint8Array): Promise<{ shown: object; lines: string[] }> {
  if (read.kind === 'proof') {
    const proven = await verifyProofFile(read.file, createVerifier(), trust)
    return { shown: proven, lines: describe(proven) }
  }
  const accusation = await verifyEvidenceFile(read.file, createVerifier(), trust)
  return { shown: accusation, lines: accusationLines(accusation) }
}

function parseId(id: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(id)) throw new PekkaError('USAGE', { issue: `Not a whole id: ${id}.` })
  return fromHex(id.toLowerCase())
}

/** What was proved, in words, and since when it holds. */
function describe({ checkpoint, trust, facts }: Proven): string[] {
  const at = new Date(checkpoint.timestamp).toISOString()
  const members = trust.members.length === 1 ? 'the one witness' : `a quorum of ${trust.members.length} witnesses`
  return [
    ...(facts.length === 0 ? ['Nothing but the checkpoint itself.'] : facts.map(wordsOf)),
    `So it was after commit ${checkpoint.index}, ${at}, signed by ${members} of epoch ${checkpoint.epoch}.`
  ]
}

function wordsOf(fact: Fact): string {
  if (fact.kind === 'transaction') {
    const outcome = fact.code === null ? 'applied' : `failed (${fact.code})`
    return `transaction ${toHex(fact.id)}: ${outcome}, commit ${fact.index}, number ${fact.position + 1}`
  }
  const name = `${fact.kind} ${toHex(fact.id)}`
  if (fact.row === null) return `${name}: not there`
  if (fact.kind === 'account') {
    const { balance, locked, bond } = fact.row
    return `${name}: ${credits(balance)} credits free, ${credits(locked)} on hold, deposit ${credits(bond)}`
  }
  if (fact.kind === 'ask') {
    const { provider, ask } = fact.row
    const price = `${credits(ask.pricePerSecond)} credits a second`
    return `${name}: by ${toHex(provider)}, ${price}, sealing key ${toHex(ask.kemKey)}`
  }
  if (fact.kind === 'auction') {
    const { state, ended, bids, award } = fact.row
    const price = award === null ? '' : `, awarded at ${credits(award.pricePerSecond)} credits a second`
    return `${name}: ${ended ?? state}, ${bids.length} bids${price}`
  }
  if (fact.kind === 'image') {
    const { state, record, retired } = fact.row
    return `${name}: ${state}${record === null ? '' : ` as ${record.content.name}`}${retired === null ? '' : ` (${retired.reason})`}`
  }
  const { state, paid, refunded } = fact.row
  return `${name}: ${state}, ${billCredits(paid)} credits paid, ${billCredits(refunded)} came back`
}
