import { createHashing, createSigner } from '@pekka/node/host/crypto'
import { StateTree } from '@pekka/node/ledger'
import {
  certify,
  committeeDigest,
  encodeCanonical,
  encodeProof,
  sha256,
  signCheckpoint,
  stateKey,
  stateValue,
  toHex,
  u32,
  type AccountRow,
  type CommitteeMembers
} from '@pekka/node/protocol'
import type { PlainTrust } from './harness.js'

const WITNESSES = 21
const ROWS = 20_000

/** The proof of one account among many, signed by a quorum of a large committee. */
export async function largeProof(): Promise<{ trust: PlainTrust; proof: string }> {
  const signers = Array.from({ length: WITNESSES }, (_, at) => createSigner(sha256(u32(at))))
  const members = signers.map(({ publicKey }): CommitteeMembers[number] => [publicKey, 1_000_000n])
  const account = sha256(u32(7))
  const row: AccountRow = {
    account,
    policy: { threshold: 1, keys: [account] },
    balance: 5_000_000n,
    locked: 0n,
    bond: 0n,
    bondReserved: 0n,
    unbonding: [],
    faucetDrawn: 0n,
    lanes: 1,
    opened: null
  }
  const value = stateValue(encodeCanonical(row))
  const rows = Array.from({ length: ROWS }, (_, at) => ({ key: stateKey('account', toHex(sha256(u32(at)))), value }))
  const tree = StateTree.empty(createHashing()).update(rows)
  const network = sha256(u32(0))
  const checkpoint = {
    v: 1 as const,
    network,
    epoch: 0,
    index: 1_000_000,
    head: network,
    timestamp: 1_750_000_000_000,
    contractTime: 1_750_000_000_000,
    previous: network,
    stateRoot: tree.root,
    transactionsRoot: new Uint8Array(32),
    transactions: 0,
    committee: committeeDigest(network, 0, members),
    nextCommittee: network
  }
  const signatures = new Map<number, Uint8Array>()
  for (const [at, signer] of signers.entries()) signatures.set(at, await signCheckpoint(checkpoint, signer))
  const certificate = certify(checkpoint, members, signatures)
  if (certificate === null) throw new TypeError('all of them are a quorum')
  const { path } = tree.prove(stateKey('account', toHex(account)))
  const claims = [
    { kind: 'row' as const, table: 'account' as const, key: toHex(account), row: encodeCanonical(row), path }
  ]
  return {
    trust: {
      network: toHex(network),
      epoch: 0,
      members: members.map(([key, stake]): [string, string] => [toHex(key), stake.toString()])
    },
    proof: toHex(encodeProof({ v: 1, steps: [], certificate, claims }))
  }
}
