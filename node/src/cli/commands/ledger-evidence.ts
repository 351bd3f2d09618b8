import type { Command } from 'commander'
import { writeFile } from 'node:fs/promises'
import { wayOf, writeEvidenceFile, type Accusation, type PekkaClient } from '../../core/client/index.js'
import { credits } from '../../core/client/index.js'
import {
  PekkaError,
  evidenceAnswerSchema,
  toHex,
  toJson,
  verifyEquivocation,
  witnessPageSchema,
  type EquivocationSummary
} from '../../core/protocol/index.js'
import { createVerifier } from '../../host/crypto/index.js'
import type { CliContext } from '../context.js'
import { withSession } from '../task/session.js'

interface EvidenceOptions {
  epoch?: string
  round?: string
  out?: string
}

/** `pekka ledger evidence`: who signed two blocks for one round, and a file that shows it to anyone. */
export function registerEvidence(ledger: Command, context: CliContext): void {
  ledger
    .command('evidence')
    .description('witnesses that signed two blocks for one round; of one of them a file that anyone can check')
    .argument('[witness]', 'the beginning of its key')
    .option('--epoch <number>', 'of which epoch; default: the first there is')
    .option('--round <number>', 'of which round; default: the first there is')
    .option('--out <file>', 'write it here instead of to the terminal')
    .option('--json', 'the list as JSON')
    .action(async (witness: string | undefined, options: EvidenceOptions) => {
      await withSession(context, async ({ client }) => {
        const known = await accused(client)
        if (witness === undefined) return list(context, known)
        const one = choose(known, witness, options)
        const text = await fileOf(client, one)
        if (options.out === undefined) context.result(text.trimEnd())
        else await writeFile(options.out, text)
        context.say(
          `Witness ${toHex(one.key)}, round ${one.round} of epoch ${one.epoch}. Check it: pekka ledger verify FILE`
        )
      })
    })
}

/** All that the bridge's witness has evidence of. */
async function accused(client: PekkaClient): Promise<EquivocationSummary[]> {
  const found: EquivocationSummary[] = []
  for (let after = ''; ;) {
    const path = `/v1/ledger/witnesses?limit=200${after}`
    const token = await client.tokens.get()
    const { witnesses, next } = await client.http.request('GET', path, witnessPageSchema, { token })
    for (const { key, equivocated } of witnesses) found.push(...equivocated.map(each => ({ key, ...each })))
    if (next === null) return found
    after = `&after=${next}`
  }
}

function list(context: CliContext, known: readonly EquivocationSummary[]): void {
  if (context.json) return context.result(JSON.stringify(toJson(known)))
  if (known.length === 0)
    return context.result('The witness that the bridge asks has evidence against none of the witnesses.')
  for (const { key, epoch, round } of known) context.result(`${toHex(key)}  epoch ${epoch}, round ${round}`)
  context.say('A file that shows it to anyone: pekka ledger evidence WITNESS --out FILE')
}

/** @throws PekkaError USAGE */
function choose(known: readonly EquivocationSummary[], witness: string, options: EvidenceOptions): EquivocationSummary {
  if (!/^[0-9a-f]{1,64}$/i.test(witness))
    throw new PekkaError('USAGE', { issue: `Not the key of a witness: ${witness}.` })
  const [epoch, round] = [number(options.epoch, '--epoch'), number(options.round, '--round')]
  const fits = known.filter(
    each =>
      toHex(each.key).startsWith(witness.toLowerCase()) &&
      (epoch === null || each.epoch === epoch) &&
      (round === null || each.round === round)
  )
  const [first] = fits
  if (first === undefined)
    throw new PekkaError('USAGE', { issue: 'There is no such evidence. "pekka ledger evidence" lists what there is.' })
  if (new Set(fits.map(({ key }) => toHex(key))).size > 1)
    throw new PekkaError('USAGE', { issue: `Several witnesses’ keys begin with ${witness}; write more of it.` })
  return first
}

function number(text: string | undefined, option: string): number | null {
  if (text === undefined) return null
  if (!/^\d{1,15}$/.test(text)) throw new PekkaError('USAGE', { issue: `${option} wants a number, not ${text}.` })
  return Number(text)
}

/** @throws PekkaError PROOF_INVALID: the bridge gives something that shows nothing, or other evidence */
async function fileOf(client: PekkaClient, { key, epoch, round }: EquivocationSummary): Promise<string> {
  const { network } = client.identity
  const path = `/v1/ledger/evidence?witness=${toHex(key)}&epoch=${epoch}&round=${round}`
  const token = await client.tokens.get()
  const { evidence } = await client.http.request('GET', path, evidenceAnswerSchema, { token })
  const shown = await verifyEquivocation(evidence, network, createVerifier())
  if (toHex(shown.key) !== toHex(key) || shown.epoch !== epoch || shown.round !== round)
    throw new PekkaError('PROOF_INVALID', { issue: 'the evidence is about something else' })
  const last = await client.ledger.last()
  return writeEvidenceFile(network, evidence, { genesis: last.genesis, proof: last.bytes, ...wayOf(last) })
}

/** What evidence shows, a line a fact. */
export function accusationLines({ key, epoch, round, blocks, seat }: Accusation): string[] {
  return [
    `witness ${toHex(key)}`,
    `  signed two blocks for round ${round} of epoch ${epoch}:`,
    ...blocks.map(({ id, timestamp, transactions, bytes }) => {
      const time = new Date(timestamp).toISOString()
      return `  block ${toHex(id)}, of ${time} by its own clock, ${transactions} transactions, ${bytes} bytes`
    }),
    seat === null
      ? `  The file doesn’t show the committee of epoch ${epoch}, so it doesn’t say whether this key had a seat in it.`
      : `  It had a seat in the committee of epoch ${epoch}: ${credits(seat.stake)} of ${credits(seat.of)} credits of stake, ${seat.members} witnesses.`,
    'An honest witness never does that. Nobody loses stake by it: what follows is for people to decide.'
  ]
}
