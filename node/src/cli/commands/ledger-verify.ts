import type { Command } from 'commander'
import { readFile } from 'node:fs/promises'
import {
  billCredits,
  compareCourses,
  courseOf,
  credits,
  readLedgerFile,
  verifyEvidenceFile,
  verifyProofFile,
  type LedgerCourse,
  type LedgerFile
} from '../../core/client/index.js'
import { PekkaError, fromHex, toHex, toJson, type Fact, type Proven } from '../../core/protocol/index.js'
import { createVerifier } from '../../host/crypto/index.js'
import type { CliContext } from '../context.js'
import { accusationLines } from './ledger-evidence.js'

/** Whom the user believes: a network, or all that a file from before shows of it. */
interface Trusted {
  network: Uint8Array
  /** Null where only the network's id was given. */
  course: LedgerCourse | null
}

/** `pekka ledger verify`: checks a file, offline, alone or beside one from before. */
export function registerVerify(ledger: Command, context: Pick<CliContext, 'json' | 'result'>): void {
  ledger
    .command('verify')
    .description('check a proof, or evidence against a witness; needs no network')
    .argument('<file>', 'a proof ("pekka ledger prove"), or evidence ("pekka ledger evidence")')
    .option('--trust <network>', 'id of the network that you trust, or a file about it from before')
    .option('--json', 'as JSON')
    .action(async (path: string, options: { trust?: string }) => {
      const read = await readFileAt(path)
      const trust = await trusted(options.trust)
      const { shown, lines } = await check(read, trust?.network)
      const age = await compare(read, trust)
      const { network } = read.file
      if (context.json) {
        const beside = age === null ? {} : { age }
        context.result(JSON.stringify(toJson({ ok: true, kind: read.kind, network, ...beside, ...shown })))
        return
      }
      for (const line of lines) context.result(line)
      context.result(whose(network, trust, age))
      if (age === 'older') context.result('It is older than the file that you trust: what it says may be over since.')
    })
}

function whose(network: Uint8Array, trust: Trusted | null, age: Age): string {
  if (trust === null) return `It holds on network ${toHex(network)}. Compare that with yours, or give it as --trust.`
  if (age === null) return 'It holds on the network that you trust.'
  return 'It holds on the network that you trust, and agrees with the file from before.'
}

async function trusted(trust: string | undefined): Promise<Trusted | null> {
  if (trust === undefined) return null
  if (/^[0-9a-f]{64}$/i.test(trust)) return { network: fromHex(trust.toLowerCase()), course: null }
  try {
    const read = await readFileAt(trust)
    const { network } = read.file
    // Whole, with what it is about: who trusts a file means all of it.
    await check(read, network)
    const course = await courseIn(read, network)
    if (course === null) throw new PekkaError('PROOF_INVALID', { issue: 'it shows no checkpoint' })
    return { network, course }
  } catch (error) {
    if (!(error instanceof PekkaError) || error.code !== 'PROOF_INVALID') throw error
    throw new PekkaError(
      'PROOF_INVALID',
      { issue: `the file to trust: ${String(error.data['issue'])}` },
      { cause: error }
    )
  }
}

type Age = ReturnType<typeof compareCourses> | null

/** Null: there is nothing to compare. @throws PekkaError PROOF_INVALID: they contradict one another */
async function compare(read: LedgerFile, trust: Trusted | null): Promise<Age> {
  if (trust === null || trust.course === null) return null
  const course = await courseIn(read, trust.network)
  return course === null ? null : compareCourses(trust.course, course)
}

/** What a file shows of the ledger's course; null: nothing, as evidence without committees. */
async function courseIn(read: LedgerFile, network: Uint8Array): Promise<LedgerCourse | null> {
  const from = read.kind === 'proof' ? read.file : read.file.committees
  return from === null ? null : await courseOf(from, network, createVerifier())
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

/** What was proved, in words, and since when it holds. */
export function describe({ checkpoint, trust, facts }: Proven): string[] {
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
