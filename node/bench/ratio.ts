import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  accountId,
  CREDIT,
  encodeCanonical,
  encodeSigned,
  networkId,
  sha256,
  signingMessage,
  signTransaction,
  toHex,
  transactionId,
  u32,
  type Genesis,
  type SignedTransaction,
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
  verifyTransaction,
  type MemoryState
} from '@pekka/node/ledger'
import { batchOf, commitView } from '@pekka/node/agents/witness'
import { createHashing, createSigner, createVerifier, verifyNow } from '@pekka/node/host/crypto'
import { createLedgerStore, type LedgerStore } from '@pekka/node/host/storage'

/** Accounts that send, and rows of the state that only lie there: about 10,000 accounts of two rows. */
const SENDERS = 50
const BYSTANDERS = 9_900
const TRANSACTIONS = 5_000
const PER_COMMIT = 100
/** As often as a checkpoint a second at ten commits a second. */
const COMMITS_PER_CHECKPOINT = 10

/** Of a commit's header: nobody reads these commits. */
const NOT_SIGNED = new Uint8Array(64)

/** CPU seconds of this process, all threads. */
async function cpuOf(work: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1e6
}

const signerOf = (at: number) => createSigner(sha256(u32(at)))
const policyOf = (at: number) => ({ threshold: 1, keys: [signerOf(at).publicKey] })

function makeGenesis(): Genesis {
  const genesis = createDevnetGenesis({
    createdAt: Date.now(),
    nonce: sha256(u32(0)).slice(0, 16),
    witness: signerOf(0).publicKey,
    demo: policyOf(0),
    providers: Array.from({ length: SENDERS }, (_, at) => policyOf(at + 1))
  })
  // Nobody signs for these, so their keys needn't be points.
  const idle = Array.from({ length: BYSTANDERS }, (_, at) => ({
    policy: { threshold: 1, keys: [sha256(u32(at + 1_000_000))] },
    balance: CREDIT
  }))
  return { ...genesis, accounts: [...genesis.accounts, ...idle] }
}

/** Transfers of all senders in turn, signed. */
async function transfers(network: Uint8Array): Promise<SignedTransaction[]> {
  const heads = new Map<number, Uint8Array>()
  const made: SignedTransaction[] = []
  for (let at = 0; at < TRANSACTIONS; at++) {
    const sender = (at % SENDERS) + 1
    const to = accountId(policyOf(((at * 7) % SENDERS) + 1))
    const transaction: Transaction = {
      v: 1,
      network,
      account: accountId(policyOf(sender)),
      key: null,
      sequence: Math.floor(at / SENDERS),
      previous: heads.get(sender) ?? null,
      parents: [network],
      expiry: Date.now() + 600_000,
      body: { kind: 'transfer', to, amount: 1n }
    }
    heads.set(sender, transactionId(transaction))
    made.push(await signTransaction(transaction, [signerOf(sender)]))
  }
  return made
}

/** One witness's way of a transaction: checked, applied, stored with a synced write a commit, and rooted where `rooted`. */
async function pipeline(genesis: Genesis, encoded: Uint8Array[], store: LedgerStore, rooted: boolean): Promise<number> {
  const state: MemoryState = genesisState(genesis)
  await store.start()
  const rows = TABLE_NAMES.flatMap(table =>
    [...scan(state, table)].map(([key, row]) => ({ table, key, value: encodeRow(row) }))
  )
  await store.create(encodeCanonical(genesis), rows)
  const trees = rooted ? new CheckpointTrees(createHashing(), state) : null
  const place = { epoch: 0, previous: networkId(genesis), committee: networkId(genesis), nextCommittee: null }
  const verifier = createVerifier()
  const seconds = await cpuOf(async () => {
    for (let from = 0; from < encoded.length; from += PER_COMMIT) {
      const batch = encoded.slice(from, from + PER_COMMIT)
      const transactions = await Promise.all(batch.map(bytes => verifyTransaction(bytes, verifier)))
      const timestamp = Date.now()
      const witness = signerOf(0).publicKey
      const result = executeCommit(state, { timestamp, transactions, witness, isFinal: () => false })
      await store.write(batchOf(result, commitView(result, NOT_SIGNED)))
      trees?.add(result, state)
      state.write(result.writes)
      if ((result.header.index + 1) % COMMITS_PER_CHECKPOINT === 0) trees?.checkpoint(state, place)
      if (result.ordered.some(({ outcome }) => outcome.status !== 'applied')) throw new Error('a transfer failed')
    }
  })
  await store.stop()
  return seconds
}

/**
 * ratio_to_verify: transfers checked, applied, Merkle-rooted and stored per CPU-second, over bare verifications per CPU-second in the
 * same run; ratio_without_roots: the same without the checkpoints.
 */
export async function ratios(): Promise<{ ratio_to_verify: number; ratio_without_roots: number }> {
  const genesis = makeGenesis()
  const signed = await transfers(networkId(genesis))
  const encoded = signed.map(encodeSigned)
  const bare = signed.map(({ transaction, signatures }) => ({ message: signingMessage(transaction), signatures }))
  const verify = async (): Promise<void> => {
    for (const { message, signatures } of bare) {
      for (const { key, signature } of signatures) if (!verifyNow(key, message, signature)) throw new Error(toHex(key))
    }
  }
  const once = async (rooted: boolean): Promise<number> => {
    const folder = await mkdtemp(join(tmpdir(), 'pekka-bench-ratio-'))
    try {
      return await pipeline(genesis, encoded, createLedgerStore({ folder }), rooted)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  }
  // Alternating, and the best of each, so that other work on the machine weighs on all alike.
  const best = { bare: Infinity, rooted: Infinity, plain: Infinity }
  for (let round = 0; round < 3; round++) {
    best.bare = Math.min(best.bare, await cpuOf(verify))
    best.rooted = Math.min(best.rooted, await once(true))
    best.plain = Math.min(best.plain, await once(false))
  }
  return {
    ratio_to_verify: Number((best.bare / best.rooted).toFixed(2)),
    ratio_without_roots: Number((best.bare / best.plain).toFixed(2))
  }
}
