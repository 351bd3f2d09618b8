import {
  accountId,
  certify,
  committeeDigest,
  CREDIT,
  encodeProof,
  networkId,
  sha256,
  signCheckpoint,
  trustGenesis,
  u32,
  verifyProof,
  type Genesis,
  type Verifier
} from '@pekka/node/protocol'
import { CheckpointTrees, createDevnetGenesis, genesisState } from '@pekka/node/ledger'
import { createHashing, createSigner } from '@pekka/node/host/crypto'
import { timesInChromium } from './browser.js'

const WITNESSES = 21
/** As many as a genesis may have. */
const ACCOUNTS = 9_900
const ROUNDS = 40

/** Ed25519 as a browser has it; here it is Node's WebCrypto. */
const webVerifier: Verifier = {
  verify: async (key, message, signature) => {
    const imported = await crypto.subtle.importKey('raw', key.slice(), 'Ed25519', false, ['verify'])
    return await crypto.subtle.verify('Ed25519', imported, signature.slice(), message.slice())
  }
}

/** The size of an account's proof under a committee of 21, and the median time to check it: in Chromium, or here where there is none. */
export async function proofFigures(): Promise<{
  proof_bytes: number
  proof_check_ms: number
  proof_checked_in: 'chromium' | 'node'
}> {
  const signers = Array.from({ length: WITNESSES }, (_, at) => createSigner(sha256(u32(at + 5_000_000))))
  const policy = { threshold: 1, keys: [sha256(u32(1_000_000))] }
  const devnet = createDevnetGenesis({
    createdAt: 1,
    nonce: sha256(u32(0)).slice(0, 16),
    witness: sha256(u32(1)),
    demo: policy,
    providers: []
  })
  const idle = Array.from({ length: ACCOUNTS }, (_, at) => ({
    policy: { threshold: 1, keys: [sha256(u32(at + 2_000_000))] },
    balance: CREDIT
  }))
  const genesis: Genesis = {
    ...devnet,
    witnesses: signers.map(({ publicKey }) => ({ key: publicKey, stake: 1n })),
    accounts: [...devnet.accounts, ...idle]
  }
  const trust = trustGenesis(genesis)
  const state = genesisState(genesis)
  const network = networkId(genesis)
  const trees = new CheckpointTrees(createHashing(), state)
  const checkpoint = trees.checkpoint(state, {
    epoch: 0,
    previous: network,
    committee: committeeDigest(network, 0, trust.members),
    nextCommittee: null
  })
  // The genesis' state is of no commit yet; a checkpoint names one.
  const named = { ...checkpoint, index: Math.max(0, checkpoint.index) }
  const signatures = new Map<number, Uint8Array>()
  for (const [at, signer] of signers.entries()) signatures.set(at, await signCheckpoint(named, signer))
  const certificate = certify(named, trust.members, signatures)
  if (certificate === null) throw new Error('no quorum')
  const claims = [trees.proveRow(state, 'account', accountId(policy))]
  const proof = encodeProof({ v: 1, steps: [], certificate, claims })
  const inBrowser = await timesInChromium(proof, trust, ROUNDS)
  const times: number[] = inBrowser ?? []
  for (let round = times.length; round < ROUNDS; round++) {
    const start = performance.now()
    await verifyProof(proof, trust, webVerifier)
    times.push(performance.now() - start)
  }
  const median = times.toSorted((a, b) => a - b)[ROUNDS / 2] ?? 0
  const checked = { proof_checked_in: inBrowser === null ? ('node' as const) : ('chromium' as const) }
  return { proof_bytes: proof.length, proof_check_ms: Number(median.toFixed(2)), ...checked }
}
