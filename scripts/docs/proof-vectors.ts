/**
 * Makes docs/vectors/proofs.json: trees, a chain of checkpoints and proofs under it, and proofs that must be refused, so that
 * another light client can be checked. `npm run docs:vectors`; a test fails while the file is behind, and
 * node/test/core/protocol/vectors.py reads it with nothing of ours.
 */
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { createSigner } from '@pekka/node/host/crypto'
import { scriptHashing, StateTree, TransactionTree } from '@pekka/node/ledger'
import {
  certify,
  checkpointDigest,
  checkpointMessage,
  committeeDigest,
  concat,
  encodeCanonical,
  encodeProof,
  sha256,
  signCheckpoint,
  stateKey,
  stateValue,
  toHex,
  toJson,
  utf8,
  type AccountRow,
  type Certificate,
  type Checkpoint,
  type Claim,
  type CommitteeMembers,
  type LedgerProof,
  type Signer
} from '@pekka/node/protocol'

export const PROOF_VECTORS = fileURLToPath(new URL('../../docs/vectors/proofs.json', import.meta.url))

/** 32 bytes that anyone can make: SHA-256 of a name. */
const fixed = (name: string): Uint8Array => sha256(utf8(`pekka proofs ${name}`))
const network = fixed('network')

interface Committee {
  members: CommitteeMembers
  signers: Signer[]
}

/** Four witnesses of an epoch with stakes 4, 3, 2, 1: 7 of 10 are a quorum. */
function committeeOf(epoch: number): Committee {
  const signers = [0, 1, 2, 3].map(at => createSigner(fixed(`witness ${epoch} ${at}`)))
  return { signers, members: signers.map(({ publicKey }, at) => [publicKey, BigInt(4 - at)]) }
}

async function certificateOf(checkpoint: Checkpoint, { members, signers }: Committee): Promise<Certificate> {
  const signatures = new Map<number, Uint8Array>()
  for (const [at, signer] of signers.entries()) signatures.set(at, await signCheckpoint(checkpoint, signer))
  const certificate = certify(checkpoint, members, signatures)
  if (certificate === null) throw new TypeError('all witnesses are a quorum')
  return certificate
}

const accountOf = (at: number): AccountRow => ({
  account: fixed(`account ${at}`),
  policy: { threshold: 1, keys: [fixed(`key ${at}`)] },
  balance: 1_000_000n * BigInt(at),
  locked: 0n,
  bond: 0n,
  bondReserved: 0n,
  unbonding: [],
  faucetDrawn: 0n,
  lanes: 0,
  opened: null
})

const keyOf = (id: Uint8Array): Uint8Array => stateKey('account', toHex(id))

/** A state of accounts alone, since the form of the tree doesn't depend on what is in it. */
function stateOf(count: number): { rows: Map<string, Uint8Array>; tree: StateTree } {
  const accounts = Array.from({ length: count }, (_, at) => accountOf(at))
  const rows = new Map(accounts.map(row => [toHex(row.account), encodeCanonical(row)]))
  const changes = accounts.map(row => ({ key: keyOf(row.account), value: stateValue(encodeCanonical(row)) }))
  return { rows, tree: StateTree.empty(scriptHashing).update(changes) }
}

const orderedOf = (count: number) =>
  Array.from({ length: count }, (_, at) => ({
    index: 40 + Math.floor(at / 2),
    position: at % 2,
    id: fixed(`transaction ${at}`),
    code: at === 3 ? 'FUNDS_MISSING' : null
  }))

export async function proofVectors(): Promise<string> {
  const [first, second] = [committeeOf(0), committeeOf(1)]
  const { rows, tree } = stateOf(25)
  const ordered = orderedOf(11)
  const transactions = new TransactionTree(ordered, scriptHashing)
  const digestOf = (epoch: number, { members }: Committee) => committeeDigest(network, epoch, members)
  const common = { v: 1 as const, network, contractTime: 1_749_999_000_000 }
  const boundary: Checkpoint = {
    ...common,
    epoch: 0,
    index: 39,
    head: fixed('header 39'),
    timestamp: 1_750_000_000_000,
    previous: network,
    stateRoot: fixed('an earlier state'),
    transactionsRoot: new Uint8Array(32),
    transactions: 0,
    committee: digestOf(0, first),
    nextCommittee: digestOf(1, second)
  }
  const last: Checkpoint = {
    ...common,
    epoch: 1,
    index: 45,
    head: fixed('header 45'),
    timestamp: 1_750_000_001_000,
    previous: checkpointDigest(boundary),
    stateRoot: tree.root,
    transactionsRoot: transactions.root,
    transactions: ordered.length,
    committee: digestOf(1, second),
    nextCommittee: null
  }
  const [step, certificate] = [await certificateOf(boundary, first), await certificateOf(last, second)]
  const proof = (claims: Claim[], change: Partial<LedgerProof> = {}): LedgerProof => ({
    v: 1,
    steps: [{ certificate: step, next: second.members }],
    certificate,
    claims,
    ...change
  })
  const account = (id: Uint8Array): Extract<Claim, { kind: 'row' }> => ({
    kind: 'row',
    table: 'account',
    key: toHex(id),
    row: rows.get(toHex(id)) ?? null,
    path: tree.prove(keyOf(id)).path
  })
  const transaction = (at: number): Extract<Claim, { kind: 'transaction' }> => ({
    kind: 'transaction',
    ordered: ordered[at] ?? { index: 0, position: 0, id: network, code: null },
    path: transactions.prove(at)
  })
  const here = account(accountOf(7).account)
  const absences = [0, 1, 2, 3, 4, 5, 6, 7].map(at => account(fixed(`nobody ${at}`)))
  const beside = absences.find(({ path }) => path.other !== null)
  const empty = absences.find(({ path }) => path.other === null)
  if (beside === undefined || empty === undefined || here.row === null) throw new TypeError('both kinds of absence')

  const valid = [
    { name: 'an account', claims: [here] },
    { name: 'no such account: another one is alone there', claims: [beside] },
    { name: 'no such account: nothing is there', claims: [empty] },
    { name: 'an applied transaction', claims: [transaction(0)] },
    { name: 'a failed transaction', claims: [transaction(3)] },
    { name: 'the last transaction, whose way up has fewer steps', claims: [transaction(10)] },
    { name: 'several at once', claims: [here, beside, transaction(5)] }
  ]
  const cut = certificate.signatures.slice(0, -64)
  const path = here.path
  const refused: { name: string; proof: LedgerProof }[] = [
    { name: 'the account with another row', proof: proof([{ ...here, row: encodeCanonical(accountOf(8)) }]) },
    { name: 'the account as absent', proof: proof([{ ...here, row: null }]) },
    {
      name: 'the account as absent beside itself',
      proof: proof([
        {
          ...here,
          row: null,
          path: { ...path, other: { key: keyOf(accountOf(7).account), value: stateValue(here.row) } }
        }
      ])
    },
    { name: 'the path of another key', proof: proof([{ ...here, path: beside.path }]) },
    { name: 'a sibling too many', proof: proof([withPath(here, { siblings: concat(path.siblings, network) })]) },
    { name: 'a sibling too few', proof: proof([withPath(here, { siblings: path.siblings.slice(32) })]) },
    {
      name: 'two siblings swapped',
      proof: proof([
        withPath(here, {
          siblings: concat(path.siblings.slice(32, 64), path.siblings.slice(0, 32), path.siblings.slice(64))
        })
      ])
    },
    { name: 'a mark below the path', proof: proof([withPath(here, { empty: path.empty.map(byte => byte | 1) })]) },
    { name: 'another depth', proof: proof([withPath(here, { depth: path.depth + 1 })]) },
    {
      name: 'a failed transaction as an applied one',
      proof: proof([{ ...transaction(3), ordered: { ...transaction(3).ordered, code: null } }])
    },
    { name: 'a transaction in another place', proof: proof([{ ...transaction(2), path: transactions.prove(4) }]) },
    {
      name: 'less than a quorum of the stake',
      proof: proof([here], { certificate: { ...certificate, signatures: cut } })
    },
    {
      name: 'one witness counted twice',
      proof: proof([here], {
        certificate: { ...certificate, signatures: concat(cut, certificate.signatures.slice(0, 64)) }
      })
    },
    {
      name: 'signatures of another epoch’s committee',
      proof: proof([here], { certificate: { ...certificate, signatures: step.signatures } })
    },
    {
      name: 'another root than the one that was signed',
      proof: proof([here], { certificate: { ...certificate, checkpoint: { ...last, stateRoot: network } } })
    },
    { name: 'an epoch left out', proof: proof([here], { steps: [] }) },
    {
      name: 'a next committee that the epoch before does not name',
      proof: proof([here], { steps: [{ certificate: step, next: first.members }] })
    }
  ]
  const vectors = {
    about:
      'Merkle trees, checkpoints and proofs; docs/protocol.md says how each is made. Bytes are hexadecimal; in `facts` amounts are decimal text.',
    stateTrees: [0, 1, 2, 3, 25].map(count => ({
      rows: [...stateOf(count).rows].map(([key, row]) => ({ table: 'account', key, row: toHex(row) })),
      root: toHex(stateOf(count).tree.root)
    })),
    transactionTrees: [0, 1, 2, 3, 5, 11].map(count => ({
      ordered: toJson(orderedOf(count)),
      root: toHex(new TransactionTree(orderedOf(count), scriptHashing).root)
    })),
    trust: toJson({ network, epoch: 0, members: first.members }),
    checkpoints: [boundary, last].map(checkpoint => ({
      value: toJson(checkpoint),
      canonical: toHex(encodeCanonical(checkpoint)),
      digest: toHex(checkpointDigest(checkpoint)),
      message: toHex(checkpointMessage(checkpoint))
    })),
    proofs: valid.map(({ name, claims }) => ({
      name,
      proof: toHex(encodeProof(proof(claims))),
      facts: claims.map(claim =>
        claim.kind === 'row'
          ? { table: claim.table, key: claim.key, row: claim.row === null ? null : toHex(claim.row) }
          : toJson(claim.ordered)
      )
    })),
    refused: refused.map(({ name, proof: bad }) => ({ name, proof: toHex(encodeProof(bad)) }))
  }
  return `${JSON.stringify(vectors, null, 2)}\n`
}

const withPath = (claim: Extract<Claim, { kind: 'row' }>, change: Partial<typeof claim.path>): Claim => ({
  ...claim,
  path: { ...claim.path, ...change }
})

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeFile(PROOF_VECTORS, await proofVectors())
