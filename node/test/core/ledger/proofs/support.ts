import assert from 'node:assert/strict'
import {
  certify,
  committeeDigest,
  concat,
  encodeProof,
  sha256,
  signCheckpoint,
  u32,
  verifyProof,
  type Certificate,
  type Checkpoint,
  type Claim,
  type CommitteeMembers,
  type Fact,
  type LedgerProof,
  type Signer,
  type Trust,
  type Verifier
} from '@pekka/node/protocol'
import { CheckpointTrees, genesisState, scriptHashing, type MemoryState } from '@pekka/node/ledger'
import { createSigner, createVerifier } from '@pekka/node/host/crypto'
import { claimOf, offerTask, openMarket, type Market } from '../support.js'

export const verifier: Verifier = createVerifier()

export interface Witnesses {
  members: CommitteeMembers
  signers: Signer[]
}

/** A committee whose keys anyone can make. */
export function witnesses(count: number, epoch: number, stake: (at: number) => bigint = () => 1n): Witnesses {
  const signers = Array.from({ length: count }, (_, at) => createSigner(sha256(concat(u32(epoch), u32(at)))))
  return { signers, members: signers.map(({ publicKey }, at) => [publicKey, stake(at)]) }
}

export async function certificateOf(
  checkpoint: Checkpoint,
  { members, signers }: Witnesses,
  who = members.map((_, at) => at)
): Promise<Certificate | null> {
  const signatures = new Map<number, Uint8Array>()
  for (const at of who) {
    const signer = signers[at]
    assert.ok(signer)
    signatures.set(at, await signCheckpoint(checkpoint, signer))
  }
  return certify(checkpoint, members, signatures)
}

export interface World {
  market: Market
  task: Uint8Array
  trees: CheckpointTrees
  checkpoint: Checkpoint
  committee: Witnesses
  trust: Trust
  transaction: Uint8Array
}

export const trustOf = ({ network, epoch }: Checkpoint, { members }: Witnesses): Trust => ({ network, epoch, members })

/** A market whose task has settled, with a checkpoint over all of it. */
export function world(committee: Witnesses, nextCommittee: Uint8Array | null = null): World {
  const market = openMarket(2)
  const { chain, providers } = market
  const task = offerTask(market)
  const agent = providers[0]?.agent
  assert.ok(agent)
  chain.done(agent, { kind: 'accept', task })
  chain.commit(2000)
  const { id } = chain.done(agent, { kind: 'commit', task, attempt: 1, claim: claimOf() })
  const { trees } = follow(market)
  const digest = committeeDigest(chain.network, 3, committee.members)
  const place = { epoch: 3, previous: chain.network, committee: digest, nextCommittee }
  const checkpoint = trees.checkpoint(chain.state, place)
  return { market, task, trees, checkpoint, committee, trust: trustOf(checkpoint, committee), transaction: id }
}

/** The trees of a chain that already is, with its commits noted as a witness notes them. */
export function follow({ chain }: Market): { trees: CheckpointTrees; state: MemoryState } {
  const state = genesisState(chain.genesis)
  const trees = new CheckpointTrees(scriptHashing, state)
  for (const result of chain.results) {
    trees.add(result, state)
    state.write(result.writes)
  }
  return { trees, state }
}

export async function proofOf(made: World, claims: Claim[]): Promise<LedgerProof> {
  const certificate = await certificateOf(made.checkpoint, made.committee)
  assert.ok(certificate)
  return { v: 1, steps: [], certificate, claims }
}

export const check = async (proof: LedgerProof, trust: Trust): Promise<Fact[]> =>
  (await verifyProof(encodeProof(proof), trust, verifier)).facts

export const refuses = async (proof: LedgerProof, trust: Trust): Promise<void> => {
  await assert.rejects(check(proof, trust), { code: 'PROOF_INVALID' })
}
