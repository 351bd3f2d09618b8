/**
 * What the ledger costs, on disk with synced writes:
 *
 *   commit_p50_ms, commit_p95_ms   one transaction at a time, from submit to final
 *   tasks_per_s                    tasks from offer to settled (three transactions each), many at once
 *   fsync_p50_ms                   the same disk, one small write and fsync, beside it
 *   ratio_to_verify                transfers checked, applied, Merkle-rooted and stored per CPU-second, over bare signature
 *                                  verifications per CPU-second (ratio.ts); ratio_without_roots: the same without roots
 *   proof_bytes, proof_check_ms    an account's proof under 21 witnesses and 9,901 accounts, checked in Chromium where there is one
 *                                  (proof_checked_in), else by Node's WebCrypto (proof.ts)
 *   finality_p50_ms, _p99_ms       four witness processes on the loopback net at 500 transfers a second, from submit to final
 *   sustained_tps                  the highest load of a row that they bear with the 99th percentile below 2 s (finality.ts)
 *   delay_ratio_n4, _n10, _n20     finality over the one-way delay of the links, in the seeded world (node/simulation/delays.ts): no clock of this
 *                                  machine is in them
 *   restart_s                      a witness process on 10^6 transactions of history, from its start to when it serves (restart.ts);
 *                                  PEKKA_BENCH_HISTORY=10000 for a shorter one
 *
 *   node --conditions=pekka-source --import=tsx node/bench/ledger.ts [--json]
 */
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdtemp, open, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  accountId,
  CREDIT,
  encodeCanonical,
  encodeSigned,
  objectId,
  peerVouchMessage,
  networkId,
  signTransaction,
  transactionId,
  type Ask,
  type Body,
  type Signer
} from '@pekka/node/protocol'
import { createDevnetGenesis } from '@pekka/node/ledger'
import { createLoneLedger, type LocalLedger } from '@pekka/node/agents/witness'
import { createSigner, createVerifier, systemClock } from '@pekka/node/host/crypto'
import { createLedgerStore } from '@pekka/node/host/storage'
import { delayRatios } from '../simulation/delays.js'
import { finalityFigures } from './finality.js'
import { proofFigures } from './proof.js'
import { ratios } from './ratio.js'
import { restartFigure } from './restart.js'

/** Transactions on disk at the restart that is measured. */
const HISTORY = Number(process.env['PEKKA_BENCH_HISTORY'] ?? 1_000_000)
/** The witness as it is built: translating its source would count as its start. */
const BUILT = new URL('../dist/agents/witness/main.js', import.meta.url)

const TASKS = 600
const IN_FLIGHT = 50
const SINGLE = 200

const bytes = (length: number): Uint8Array => new Uint8Array(randomBytes(length))
const quiet = { info: () => {}, error: () => {} }

/** A lane that signs without asking, as a client does that knows its head. */
class Lane {
  #sequence = 0
  #previous: Uint8Array | null = null

  constructor(
    readonly ledger: LocalLedger,
    readonly network: Uint8Array,
    readonly account: Uint8Array,
    readonly key: Uint8Array | null,
    readonly signer: Signer
  ) {}

  async send(body: Body): Promise<void> {
    const place = { sequence: this.#sequence, previous: this.#previous }
    const lane = { v: 1 as const, network: this.network, account: this.account, key: this.key }
    const transaction = { ...lane, ...place, parents: [this.network], expiry: Date.now() + 60_000, body }
    this.#sequence += 1
    this.#previous = transactionId(transaction)
    const outcome = await this.ledger.submit(encodeSigned(await signTransaction(transaction, [this.signer])))
    if (outcome.status !== 'applied') throw new Error(`${body.kind}: ${JSON.stringify(outcome)}`)
  }
}

const percentile = (values: number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ?? 0

async function timeEach(count: number, work: (i: number) => Promise<void>): Promise<number[]> {
  const times: number[] = []
  for (let i = 0; i < count; i++) {
    const start = performance.now()
    await work(i)
    times.push(performance.now() - start)
  }
  return times
}

const folder = await mkdtemp(join(tmpdir(), 'pekka-bench-ledger-'))
const [witness, owner, client, operator, agent, peer] = Array.from({ length: 6 }, () => createSigner(bytes(32))) as [
  Signer,
  Signer,
  Signer,
  Signer,
  Signer,
  Signer
]
const policy = { threshold: 1, keys: [owner.publicKey] }
const providerPolicy = { threshold: 1, keys: [operator.publicKey] }
const genesis = createDevnetGenesis({
  createdAt: Date.now(),
  nonce: bytes(16),
  witness: witness.publicKey,
  demo: policy,
  providers: [providerPolicy]
})
const network = networkId(genesis)
const ledger = createLoneLedger(
  { store: createLedgerStore({ folder }), signer: witness, verifier: createVerifier(), clock: systemClock, log: quiet },
  { genesis: encodeCanonical(genesis) }
)
try {
  const probe = await open(join(folder, 'probe'), 'w')
  const fsync = await timeEach(SINGLE, async () => {
    await probe.write(bytes(1024))
    await probe.sync()
  })
  await probe.close()

  await ledger.start()
  const [account, provider] = [accountId(policy), accountId(providerPolicy)]
  const own = new Lane(ledger, network, account, null, owner)
  const operates = new Lane(ledger, network, provider, null, operator)
  const buys = new Lane(ledger, network, account, client.publicKey, client)
  const runs = new Lane(ledger, network, provider, agent.publicKey, agent)
  const expiry = Date.now() + 80_000_000
  // As whoever uses the network much has: what comes of accounts with nothing behind them is looked at so often a second and no more.
  for (const lane of [own, operates]) await lane.send({ kind: 'bond', amount: CREDIT })
  const single = await timeEach(SINGLE, () => own.send({ kind: 'faucet', amount: CREDIT }))
  const grant = { cap: 1_000n * CREDIT, perTask: CREDIT, expiry }
  await own.send({ kind: 'grant', delegate: { key: client.publicKey, ...grant, bodies: ['offer', 'cancel'] } })
  const peerSignature = await peer.sign(peerVouchMessage(network, provider))
  await operates.send({
    kind: 'register-provider',
    name: 'bench',
    operator: null,
    peerKey: peer.publicKey,
    peerSignature
  })
  await operates.send({
    kind: 'grant',
    delegate: { key: agent.publicKey, ...grant, bodies: ['ask', 'accept', 'commit'] }
  })
  const nonce = bytes(16)
  const image = { name: 'base', digest: bytes(32) }
  const resources = { milliCpus: 1000, memoryBytes: 1 << 30, diskBytes: 1 << 30, gpu: null }
  const ask: Ask = {
    ask: objectId(provider, nonce),
    nonce,
    image,
    contentDigest: bytes(32),
    resources,
    concurrency: 64,
    pricePerSecond: 100n,
    holdPricePerSecond: null,
    pricePerGiB: 0n,
    isolation: 2,
    runtime: 'none',
    cpuClass: 'none',
    kemKey: bytes(32),
    kemExpiry: expiry,
    expiry
  }
  await runs.send({ kind: 'ask', ask })

  const one = async (): Promise<void> => {
    const taskNonce = bytes(16)
    const task = objectId(account, taskNonce)
    const later = { replicas: 1 as const, fixedPrice: null, datasets: [], checkpoint: null, session: null, gang: null }
    const terms = {
      task,
      nonce: taskNonce,
      candidates: [{ provider, ask: ask.ask, pricePerSecond: ask.pricePerSecond, holdPricePerSecond: null }],
      image,
      resources,
      limits: { wallMs: 60_000, cpuMs: 60_000, outputBytes: 1 << 20 },
      bundle: { hash: bytes(32), size: 512 },
      keyCommit: bytes(32),
      readKey: bytes(32),
      cap: 1000n,
      audit: 'allowed' as const,
      finishBy: null,
      ...later
    }
    await buys.send({ kind: 'offer', tasks: [terms] })
    await runs.send({ kind: 'accept', task })
    const claim = { commitment: bytes(32), run: 1, count: 1, head: bytes(32), usage: { wallMs: 10, cpuMs: 10 } }
    await runs.send({
      kind: 'commit',
      task,
      attempt: 1,
      claim: { ...claim, outcome: 'ok', stored: null, session: null }
    })
  }
  const start = performance.now()
  let left = TASKS
  const worker = async (): Promise<void> => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: IN_FLIGHT }, worker))
  const seconds = (performance.now() - start) / 1000

  const figures = {
    commit_p50_ms: Number(percentile(single, 0.5).toFixed(2)),
    commit_p95_ms: Number(percentile(single, 0.95).toFixed(2)),
    fsync_p50_ms: Number(percentile(fsync, 0.5).toFixed(2)),
    tasks_per_s: Math.round(TASKS / seconds),
    ...(await ratios()),
    ...(await proofFigures()),
    ...delayRatios(['delay']),
    ...(await finalityFigures()),
    ...(await restartFigure(HISTORY, existsSync(BUILT) ? BUILT : undefined))
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify(figures))
  else console.table(figures)
} finally {
  await ledger.stop().catch(() => {})
  await rm(folder, { recursive: true, force: true })
}
