import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  accountId,
  certify,
  checkpointDigest,
  committeeDigest,
  encodeCanonical,
  encodeCertificate,
  encodeSigned,
  networkId,
  sha256,
  signCheckpoint,
  transactionId,
  trustGenesis,
  u32,
  type Genesis,
  type Signer,
  type Transaction
} from '@pekka/node/protocol'
import {
  CheckpointTrees,
  createDevnetGenesis,
  encodeRow,
  executeCommit,
  genesisState,
  scan,
  TABLE_NAMES,
  type VerifiedTransaction
} from '@pekka/node/ledger'
import { batchOf, commitView } from '@pekka/node/agents/witness'
import { createHashing, createSigner } from '@pekka/node/host/crypto'
import { createLedgerStore } from '@pekka/node/host/storage'
import { WitnessProcess } from '../test/agents/witness/process.js'

const SENDERS = 200
const PER_COMMIT = 500
const COMMITS_PER_CHECKPOINT = 4

/** Of a commit's header: nobody reads these commits. */
const NOT_SIGNED = new Uint8Array(64)

const signerOf = (at: number) => createSigner(sha256(u32(at + 9_000_000)))
const policyOf = (at: number) => ({ threshold: 1, keys: [signerOf(at).publicKey] })

/** Transfers without signatures that hold: what is on disk was verified before. */
function* transfers(network: Uint8Array, count: number): Generator<VerifiedTransaction> {
  const accounts = Array.from({ length: SENDERS }, (_, at) => {
    const policy = policyOf(at)
    return { account: accountId(policy), signatures: policy.keys.map(key => ({ key, signature: new Uint8Array(64) })) }
  })
  const heads = new Map<number, Uint8Array>()
  for (let at = 0; at < count; at++) {
    const sender = at % SENDERS
    const from = accounts[sender]
    const to = accounts[(sender + 1) % SENDERS]
    if (from === undefined || to === undefined) throw new TypeError('no accounts')
    const transaction: Transaction = {
      v: 1,
      network,
      account: from.account,
      key: null,
      sequence: Math.floor(at / SENDERS),
      previous: heads.get(sender) ?? null,
      parents: [network],
      expiry: 4_000_000_000_000,
      body: { kind: 'transfer', to: to.account, amount: 1n }
    }
    const id = transactionId(transaction)
    heads.set(sender, id)
    const { signatures } = from
    yield { transaction, signatures, id, bytes: encodeSigned({ transaction, signatures }) }
  }
}

/** Executes and stores a history with the ledger's rules and the witness's store. */
async function makeHistory(genesis: Genesis, data: string, count: number, signer: Signer): Promise<void> {
  // The witness's own store; only that thousands of writes don't wait for the disk one after the other.
  const store = createLedgerStore({ folder: data, synced: false })
  const state = genesisState(genesis)
  const witness = signer.publicKey
  const { network, members } = trustGenesis(genesis)
  const trees = new CheckpointTrees(createHashing(), state)
  let previous = network
  /** As the witness does four times a second under load: a restart goes on from the last one. */
  const certifyNow = async (index: number): Promise<void> => {
    const committee = committeeDigest(network, 0, members)
    const checkpoint = trees.checkpoint(state, { epoch: 0, previous, committee, nextCommittee: null })
    previous = checkpointDigest(checkpoint)
    const certificate = certify(checkpoint, members, new Map([[0, await signCheckpoint(checkpoint, signer)]]))
    if (certificate === null) throw new Error('no quorum')
    await store.writeCheckpoint({ index, certificate: encodeCertificate(certificate) }, 0)
  }
  await store.start()
  const rows = TABLE_NAMES.flatMap(table =>
    [...scan(state, table)].map(([key, row]) => ({ table, key, value: encodeRow(row) }))
  )
  await store.create(encodeCanonical(genesis), rows)
  const commit = async (transactions: VerifiedTransaction[]): Promise<void> => {
    const timestamp = genesis.createdAt + 1_000
    const result = executeCommit(state, { timestamp, transactions, witness, isFinal: () => false })
    if (result.refused.length > 0) throw new Error(JSON.stringify(result.refused[0]?.outcome))
    await store.write(batchOf(result, commitView(result, NOT_SIGNED)))
    trees.add(result, state)
    state.write(result.writes)
    if (transactions.length < PER_COMMIT || result.header.index % COMMITS_PER_CHECKPOINT === 0) {
      await certifyNow(result.header.index)
    }
  }
  const batch: VerifiedTransaction[] = []
  for (const transaction of transfers(networkId(genesis), count)) {
    batch.push(transaction)
    if (batch.length === PER_COMMIT) await commit(batch.splice(0))
  }
  await commit(batch)
  await store.stop()
}

/**
 * Seconds from starting a witness process to its first answer, on a history of so many transactions. `main`: the built program, where
 * there is one; else its source is translated first.
 */
export async function restartFigure(count: number, main?: URL): Promise<{ restart_s: number }> {
  const folder = await mkdtemp(join(tmpdir(), 'pekka-bench-restart-'))
  const witnessSeed = new Uint8Array(randomBytes(32))
  const signer = createSigner(witnessSeed)
  const genesis = createDevnetGenesis({
    createdAt: Date.now(),
    nonce: new Uint8Array(randomBytes(16)),
    witness: signer.publicKey,
    demo: policyOf(SENDERS),
    providers: Array.from({ length: SENDERS }, (_, at) => policyOf(at))
  })
  const process = new WitnessProcess(folder, { genesis, bytes: encodeCanonical(genesis), witnessSeed }, { main })
  try {
    await makeHistory(genesis, join(folder, 'ledger'), count, signer)
    const began = performance.now()
    await process.start()
    return { restart_s: Number(((performance.now() - began) / 1_000).toFixed(2)) }
  } finally {
    await process.end('SIGKILL')
    await rm(folder, { recursive: true, force: true })
  }
}
