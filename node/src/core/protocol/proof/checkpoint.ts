import { z } from 'zod'
import { concat, equalBytes, toHex, u64 } from '../encoding/bytes.js'
import { MAX_WITNESSES } from '../ledger/block.js'
import { decodeCanonical, encodeCanonical } from '../encoding/encoding.js'
import { PekkaError } from '../errors.js'
import { sha256, taggedHash } from '../encoding/hash.js'
import { networkId, type Genesis } from '../ledger/parameters.js'
import type { Signer, Verifier } from '../primitives.js'
import { bytes32, bytesUpTo, credits, millis, whole } from '../encoding/schema.js'

/**
 * Checkpoints: what the ledger came to after a commit, signed by a quorum of that epoch's witnesses. Who knows an epoch's
 * committee needs to believe nobody else about the state.
 */

/** Most signatures of a certificate: one of each witness. */
const MAX_SIGNATURES = MAX_WITNESSES * 64

/** Who signs in an epoch, in the epoch's order: key of its blocks, and stake. Tuples, since proofs carry it. */
export const committeeSchema = z
  .array(z.tuple([bytes32, credits.refine(stake => stake > 0n, 'a stake is positive')]))
  .min(1)
  .max(MAX_WITNESSES)
  .refine(members => new Set(members.map(([key]) => toHex(key))).size === members.length, 'a witness stands twice')
export type CommitteeMembers = z.infer<typeof committeeSchema>

export const committeeDigest = (network: Uint8Array, epoch: number, members: CommitteeMembers): Uint8Array =>
  taggedHash('pekka/committee/v1', network, u64(epoch), encodeCanonical(members))

/** Stake that must sign: S − ⌊(S−1)/3⌋. Two quorums share an honest witness while less than a third is dishonest. */
export function quorumOf(members: CommitteeMembers): bigint {
  const total = members.reduce((sum, [, stake]) => sum + stake, 0n)
  return total - (total - 1n) / 3n
}

export const checkpointSchema = z.strictObject({
  v: z.literal(1),
  network: bytes32,
  epoch: whole,
  /** Index of the commit after which this holds, and the hash of its header, which chains all before. */
  index: whole,
  head: bytes32,
  timestamp: millis,
  contractTime: millis,
  /** Digest of the checkpoint before; the network's id before the first. */
  previous: bytes32,
  /** Root of all rows of the state (state-path.ts). */
  stateRoot: bytes32,
  /** Root of the transactions ordered since the checkpoint before, and how many they are (transaction-path.ts). */
  transactionsRoot: bytes32,
  transactions: whole,
  /** {@link committeeDigest} of this epoch, whose quorum signs, and of the next; null: not elected yet. */
  committee: bytes32,
  nextCommittee: bytes32.nullable(),
  /** Of an epoch's last commit: digest of where the next epoch begins (docs/protocol.md), from which a witness goes on without the history. */
  resume: bytes32.optional()
})
export type Checkpoint = z.infer<typeof checkpointSchema>

export const checkpointDigest = (checkpoint: Checkpoint): Uint8Array => sha256(encodeCanonical(checkpoint))

/** What a witness signs. */
export const checkpointMessage = (checkpoint: Checkpoint): Uint8Array =>
  taggedHash('pekka/checkpoint/v1', checkpoint.network, checkpointDigest(checkpoint))

export const signCheckpoint = async (checkpoint: Checkpoint, signer: Signer): Promise<Uint8Array> =>
  await signer.sign(checkpointMessage(checkpoint))

export const certificateSchema = z.strictObject({
  checkpoint: checkpointSchema,
  /** Bit i, most significant of the first byte first: member i has signed. ⌈members/8⌉ bytes, the rest of the bits 0. */
  signers: bytesUpTo(Math.ceil(MAX_WITNESSES / 8)),
  /** Their signatures in the committee's order, 64 bytes each. */
  signatures: bytesUpTo(MAX_SIGNATURES)
})
/** A checkpoint that a quorum has signed. */
export type Certificate = z.infer<typeof certificateSchema>

/** Whose word a reader takes: the committee of one epoch of one network. */
export const trustSchema = z.strictObject({ network: bytes32, epoch: whole, members: committeeSchema })
export type Trust = z.infer<typeof trustSchema>

/** The first committee is in the genesis, whose hash is the network's id. */
export const trustGenesis = (genesis: Genesis): Trust => ({
  network: networkId(genesis),
  epoch: 0,
  members: genesis.witnesses.map(({ key, stake }) => [key, stake])
})

/** A refusal with a sentence for people. */
const refuse = (issue: string): never => {
  throw new PekkaError('PROOF_INVALID', { issue })
}

/**
 * Checks that a quorum of the trusted committee has signed. A signature that doesn't hold refuses the whole, so that a certificate
 * has no part that nobody looked at.
 * @throws PekkaError PROOF_INVALID
 */
export async function verifyCertificate(certificate: Certificate, trust: Trust, verifier: Verifier): Promise<void> {
  const { checkpoint, signatures } = certificate
  const { network, epoch, members } = trust
  if (!committeeSchema.safeParse(members).success) refuse('the committee that is trusted is none')
  if (!equalBytes(checkpoint.network, network)) refuse('it is of another network')
  if (checkpoint.epoch !== epoch) refuse('it is of another epoch than the committee that is trusted')
  if (!equalBytes(checkpoint.committee, committeeDigest(network, epoch, members)))
    refuse('it names another committee than the one that is trusted')
  const signers = signersOf(certificate, members)
  if (signatures.length !== signers.length * 64) refuse('there are more or fewer signatures than signers')
  if (signers.reduce((stake, [, weight]) => stake + weight, 0n) < quorumOf(members))
    refuse('it is not signed by a quorum')
  const message = checkpointMessage(checkpoint)
  const answers = await Promise.all(
    signers.map(([key], at) => verifier.verify(key, message, signatures.subarray(at * 64, at * 64 + 64)))
  )
  if (answers.includes(false)) refuse('a witness’s signature does not hold')
}

function signersOf({ signers }: Certificate, members: CommitteeMembers): CommitteeMembers {
  if (signers.length !== Math.ceil(members.length / 8)) refuse('the marks of signers have another length')
  const marked = (at: number): boolean => (((signers[at >>> 3] ?? 0) >>> (7 - (at & 7))) & 1) === 1
  for (let at = members.length; at < signers.length * 8; at++) if (marked(at)) refuse('a signer outside the committee')
  return members.filter((_, at) => marked(at))
}

/**
 * Puts a certificate together from signatures by member, with no more of them than a quorum needs.
 * @returns null while there are too few
 */
export function certify(
  checkpoint: Checkpoint,
  members: CommitteeMembers,
  signatures: ReadonlyMap<number, Uint8Array>
): Certificate | null {
  const byStake = [...signatures.keys()].sort((a, b) => {
    const [left, right] = [members[a]?.[1] ?? 0n, members[b]?.[1] ?? 0n]
    return left === right ? a - b : left > right ? -1 : 1
  })
  const chosen: number[] = []
  let stake = 0n
  for (const member of byStake) {
    if (stake >= quorumOf(members)) break
    chosen.push(member)
    stake += members[member]?.[1] ?? 0n
  }
  if (stake < quorumOf(members)) return null
  const signers = new Uint8Array(Math.ceil(members.length / 8))
  chosen.sort((a, b) => a - b)
  for (const member of chosen) signers[member >>> 3] = (signers[member >>> 3] ?? 0) | (128 >>> (member & 7))
  const ordered = chosen.map(member => signatures.get(member) ?? new Uint8Array(64))
  return { checkpoint, signers, signatures: concat(...ordered) }
}

/**
 * Whom a checkpoint lets its reader trust in the epoch after it.
 * @param members what somebody says is that epoch's committee
 * @throws PekkaError PROOF_INVALID
 */
export function trustNext({ network, epoch, nextCommittee }: Checkpoint, members: CommitteeMembers): Trust {
  const next = { network, epoch: epoch + 1, members }
  if (nextCommittee === null) refuse('a checkpoint names no next committee')
  else if (!equalBytes(nextCommittee, committeeDigest(network, next.epoch, members)))
    refuse('a checkpoint names another next committee')
  return next
}

/** Largest encoded certificate: 100 signatures and some 400 bytes. */
export const MAX_CERTIFICATE_BYTES = 8 << 10

export const encodeCertificate = (certificate: Certificate): Uint8Array => encodeCanonical(certificate)

/** Nothing is verified here. @throws PekkaError ENCODING_NOT_CANONICAL, PROOF_INVALID */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  if (bytes.length > MAX_CERTIFICATE_BYTES) refuse('it is too large')
  const parsed = certificateSchema.safeParse(decodeCanonical(bytes))
  return parsed.success ? parsed.data : refuse('it is no certificate of this version')
}
