import { z } from 'zod'
import {
  MAX_EVIDENCE_BYTES,
  MAX_PROOF_BYTES,
  MAX_STAGES,
  PekkaError,
  base64,
  decodeProof,
  encodeWitnessBlock,
  equalBytes,
  hex32,
  readEquivocation,
  toJson,
  verifyEquivocation,
  verifyProof,
  witnessBlockId,
  type CommitteeMembers,
  type SignedWitnessBlock,
  type Verifier
} from '../../protocol/index.js'
import { MAX_GENESIS_BYTES, readProofFile, type ProofFile } from './proof-file.js'
import { readAnchor } from './proven-ledger.js'

const way = z.array(base64(MAX_PROOF_BYTES)).min(1).max(MAX_STAGES)

/** Evidence that a witness signed two blocks for one round, with what shows that it had a seat then: `pekka ledger evidence` writes it. */
const evidenceFileSchema = z.strictObject({
  v: z.literal(1),
  kind: z.literal('equivocation'),
  network: hex32,
  evidence: base64(MAX_EVIDENCE_BYTES),
  genesis: base64(MAX_GENESIS_BYTES),
  /** A proof of a checkpoint in that epoch or later: on its way from the genesis each epoch's committee is named. */
  proof: base64(MAX_PROOF_BYTES),
  way: way.optional()
})
/** What a bridge answers, as `curl` saves it. */
const answerSchema = z.strictObject({ evidence: base64(MAX_EVIDENCE_BYTES) })

/** What shows the committees, from the first on. */
export interface CommitteeProof {
  genesis: Uint8Array
  proof: Uint8Array
  way?: Uint8Array[]
}

export interface EvidenceFile {
  network: Uint8Array
  evidence: Uint8Array
  /** Null where nobody gave it: then nothing says whether the key had a seat. */
  committees: CommitteeProof | null
}

/** What a file is, by which its reader goes on. */
export type LedgerFile = { kind: 'proof'; file: ProofFile } | { kind: 'equivocation'; file: EvidenceFile }

/** One of the two blocks. */
export interface AccusedBlock {
  id: Uint8Array
  timestamp: number
  transactions: number
  bytes: number
}

export interface Accusation {
  network: Uint8Array
  key: Uint8Array
  epoch: number
  round: number
  blocks: AccusedBlock[]
  /** What the key had in that epoch's committee; null: the file doesn't show that committee. */
  seat: { stake: bigint; of: bigint; members: number } | null
}

const refuse = (issue: string, cause?: unknown): never => {
  throw new PekkaError('PROOF_INVALID', { issue }, { cause })
}

export function writeEvidenceFile(network: Uint8Array, evidence: Uint8Array, committees: CommitteeProof): string {
  return `${JSON.stringify(toJson({ v: 1, kind: 'equivocation', network, evidence, ...committees }), null, 2)}\n`
}

/**
 * Tells what a file is: a proof, evidence as one of its two kinds of JSON, or its canonical bytes. Nothing is verified here.
 * @param text the same bytes as text
 * @throws PekkaError PROOF_INVALID
 */
export function readLedgerFile(bytes: Uint8Array, text: string): LedgerFile {
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return { kind: 'equivocation', file: bare(bytes) }
  }
  if (value === null || typeof value !== 'object' || !('evidence' in value))
    return { kind: 'proof', file: readProofFile(text) }
  const answer = answerSchema.safeParse(value)
  if (answer.success) return { kind: 'equivocation', file: bare(answer.data.evidence) }
  const parsed = evidenceFileSchema.safeParse(value)
  if (!parsed.success) return refuse('the file is no evidence of this version', parsed.error)
  const { network, evidence, genesis, proof, way } = parsed.data
  const committees = { genesis, proof, ...(way !== undefined && { way }) }
  return { kind: 'equivocation', file: { network, evidence, committees } }
}

/** Evidence alone; its blocks name their network. */
function bare(evidence: Uint8Array): EvidenceFile {
  try {
    const network = readEquivocation(evidence).signed[0]?.block.network
    if (network !== undefined) return { network, evidence, committees: null }
  } catch (cause) {
    return refuse('the file is neither a proof nor evidence of this version', cause)
  }
  return refuse('the file holds no blocks')
}

/**
 * What evidence shows, with no network.
 * @param network the one that the reader trusts; default: the one that the file names
 * @throws PekkaError PROOF_INVALID, BLOCK_INVALID, ENCODING_NOT_CANONICAL
 */
export async function verifyEvidenceFile(
  { evidence, committees, network: named }: EvidenceFile,
  verifier: Verifier,
  network = named
): Promise<Accusation> {
  const { key, epoch, round } = await verifyEquivocation(evidence, network, verifier)
  const blocks = readEquivocation(evidence).signed.map(accused)
  const members = committees === null ? null : await committeeOf(epoch, committees, network, verifier)
  if (members === null) return { network, key, epoch, round, blocks, seat: null }
  const stake = members.find(([member]) => equalBytes(member, key))?.[1]
  if (stake === undefined) return refuse(`the key has no seat in the committee of epoch ${epoch}`)
  const of = members.reduce((sum, [, each]) => sum + each, 0n)
  return { network, key, epoch, round, blocks, seat: { stake, of, members: members.length } }
}

const accused = ({ block, signature }: SignedWitnessBlock): AccusedBlock => ({
  id: witnessBlockId(block),
  timestamp: block.timestamp,
  transactions: block.transactions.length,
  bytes: encodeWitnessBlock({ block, signature }).length
})

/** An epoch's committee, from the genesis on by certificates; null: the way ends before it. @throws PekkaError PROOF_INVALID */
async function committeeOf(
  epoch: number,
  { genesis, proof, way = [] }: CommitteeProof,
  network: Uint8Array,
  verifier: Verifier
): Promise<CommitteeMembers | null> {
  let trust = readAnchor(genesis, network)
  let found = epoch === trust.epoch ? trust.members : null
  for (const bytes of [...way, proof]) {
    const { trust: next } = await verifyProof(bytes, trust, verifier)
    // They were verified with it.
    const { steps } = decodeProof(bytes)
    found ??= steps[epoch - trust.epoch - 1]?.next ?? null
    trust = next
  }
  return found
}
