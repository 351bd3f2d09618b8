import assert from 'node:assert/strict'
import type { ProofFile } from '@pekka/node/client'
import {
  certify,
  committeeDigest,
  encodeCanonical,
  encodeProof,
  networkId,
  sha256,
  signCheckpoint,
  type Certificate,
  type Checkpoint,
  type CommitteeMembers,
  type Signer
} from '@pekka/node/protocol'
import { createSigner } from '@pekka/node/host/crypto'
import { createTestNetwork } from '../../agents/witness/support.js'

const [first, second, third, stranger] = [1, 2, 3, 4].map(fill => createSigner(new Uint8Array(32).fill(fill)))
assert.ok(first && second && third && stranger)
const genesis = { ...createTestNetwork().genesis, witnesses: [{ key: first.publicKey, stake: 1n }] }
const network = networkId(genesis)

/** Each epoch has one witness; a way leads over one checkpoint of each, a hundred commits apart. */
export const HONEST: readonly Signer[] = [first, second, third]
/** With the first witness's key, stolen long after its epoch, anyone can name others for the epochs since. */
export const STOLEN: readonly Signer[] = [first, stranger, stranger]
export const STRANGER: readonly Signer[] = [stranger]

const membersOf = (signer: Signer): CommitteeMembers => [[signer.publicKey, 1n]]

async function certificateOf(
  signers: readonly Signer[],
  epoch: number,
  index: number,
  state = 0
): Promise<Certificate> {
  const signer = signers[epoch] ?? assert.fail()
  const next = signers[epoch + 1]
  const some = sha256(Uint8Array.of(index % 256, state))
  const checkpoint: Checkpoint = {
    ...{ v: 1, network, epoch, index, head: some, timestamp: index, contractTime: index },
    ...{ previous: some, stateRoot: some, transactionsRoot: some, transactions: 0 },
    committee: committeeDigest(network, epoch, membersOf(signer)),
    nextCommittee: next === undefined ? null : committeeDigest(network, epoch + 1, membersOf(next))
  }
  const signatures = new Map([[0, await signCheckpoint(checkpoint, signer)]])
  return certify(checkpoint, membersOf(signer), signatures) ?? assert.fail()
}

/** A file that leads from the genesis to a commit of an epoch. @param state another one makes another checkpoint there */
export async function proofTo(
  signers: readonly Signer[],
  epoch: number,
  index: number,
  state?: number
): Promise<ProofFile> {
  const steps = await Promise.all(
    Array.from({ length: epoch }, async (_, at) => ({
      certificate: await certificateOf(signers, at, at * 100 + 5),
      next: membersOf(signers[at + 1] ?? assert.fail())
    }))
  )
  const certificate = await certificateOf(signers, epoch, index, state)
  const proof = encodeProof({ v: 1, steps, certificate, claims: [] })
  return { v: 1, network, genesis: encodeCanonical(genesis), proof }
}
