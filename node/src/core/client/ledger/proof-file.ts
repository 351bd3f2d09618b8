import { z } from 'zod'
import {
  MAX_PROOF_BYTES,
  MAX_STAGES,
  PekkaError,
  base64,
  hex32,
  toJson,
  verifyProof,
  verifyWay,
  type Proven,
  type Verifier
} from '../../protocol/index.js'
import { readAnchor } from './proven-ledger.js'

/** Largest genesis of a file: some thousand accounts. */
export const MAX_GENESIS_BYTES = 1 << 20

/** A ledger proof with all that it takes to check it offline, as JSON: `pekka ledger prove` writes it. */
const proofFileSchema = z.strictObject({
  v: z.literal(1),
  /** The network it is about: the hash of `genesis`. Who reads it must know that it is the right one. */
  network: hex32,
  genesis: base64(MAX_GENESIS_BYTES),
  proof: base64(MAX_PROOF_BYTES),
  /** Stages of the way from the genesis' committee to where the proof begins; left out: it begins there. */
  way: z.array(base64(MAX_PROOF_BYTES)).min(1).max(MAX_STAGES).optional()
})
export type ProofFile = z.infer<typeof proofFileSchema>

export const writeProofFile = (file: ProofFile): string => `${JSON.stringify(toJson(file), null, 2)}\n`

/** Nothing is verified here. @throws PekkaError PROOF_INVALID */
export function readProofFile(text: string): ProofFile {
  try {
    return proofFileSchema.parse(JSON.parse(text))
  } catch (cause) {
    throw new PekkaError('PROOF_INVALID', { issue: 'the file is no proof of this version' }, { cause })
  }
}

/**
 * What a proof file shows, with no network.
 * @param network the network that the reader trusts; default: the one that the file names
 * @throws PekkaError PROOF_INVALID
 */
export async function verifyProofFile(file: ProofFile, verifier: Verifier, network = file.network): Promise<Proven> {
  const trust = await verifyWay(file.way ?? [], readAnchor(file.genesis, network), verifier)
  return await verifyProof(file.proof, trust, verifier)
}
