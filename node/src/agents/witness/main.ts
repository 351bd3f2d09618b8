/** The witness process: `main.js --settings FILE`. */
import { readFile, rm } from 'node:fs/promises'
import { replaceFile } from '../../host/files/index.js'
import { pino } from 'pino'
import {
  asPekkaError,
  decodeCanonical,
  equalBytes,
  genesisSchema,
  networkId,
  PekkaError,
  toHex
} from '@pekka/node/protocol'
import { createHashing, createVerifier, readSigner, systemClock } from '@pekka/node/host/crypto'
import { createNetworkHost, loadPeerKey, serveLedger } from '@pekka/node/host/network'
import { createLedgerStore } from '@pekka/node/host/storage'
import { processRegistry, serveMetrics, type MetricsServer } from '@pekka/node/host/metrics'
import { createLoneLedger, HistoryPruner, parseSettings, type LocalLedger } from './index.js'
import { countCommits, createWitnessMetrics } from './metrics.js'
import {
  type AgreementStatus,
  beginWithSnapshot,
  type CommitteeSequencer,
  createCommitteeLedger,
  LastProposed,
  Registrar,
  serveSnapshots,
  serveStatus,
  SnapshotMaker,
  type SnapshotOffer
} from './network/index.js'

const path = process.argv.slice(2).find(argument => argument !== '--settings')
if (path === undefined) throw new TypeError('usage: witness --settings FILE')
const settings = parseSettings(path, JSON.parse(await readFile(path, 'utf8')))
const level = process.env['PEKKA_LOG_LEVEL'] ?? settings.logLevel
// Synchronous: the last words before an exit must not be lost.
const log = pino({ level, name: 'witness' }, pino.destination({ dest: 2, sync: true }))

const genesis = new Uint8Array(await readFile(settings.genesis))
const content = genesisSchema.parse(decodeCanonical(genesis))
const network = networkId(content)
const signer = await readSigner(settings.blockKey)
if (toHex(network) !== settings.network) throw new PekkaError('NETWORK_MISMATCH')
// Where a committee decides, who has no seat follows and serves reads, and may be elected later.
if (content.agreement === undefined && !content.witnesses.some(({ key }) => equalBytes(key, signer.publicKey))) {
  throw new PekkaError('TRANSACTION_INVALID', { issue: 'the genesis does not name this witness' })
}

const host = createNetworkHost(
  { key: await loadPeerKey(settings.peerKey) },
  {
    listen: settings.listen,
    announce: settings.announce,
    onHandlerError: (protocol, peer, error) => log.warn({ protocol, peer, error: String(error) }, 'a stream failed')
  }
)
const store = createLedgerStore({ folder: settings.data })
const components = { store, signer, verifier: createVerifier(), clock: systemClock, log }
// The supervisor starts the process again; what was acknowledged is on disk.
const init = { genesis, onFailure: () => process.exit(1) }

/** How often who waits for a quorum is told of it, ms. */
const WAITING_LOOK_MS = 1_000

const starting = new AbortController()
let committee: CommitteeSequencer | null = null
let maker: SnapshotMaker | null = null
const registry = settings.metrics === null ? null : processRegistry()
const statusNow = async (): Promise<AgreementStatus | null> => (await committee?.status()) ?? null
const metrics = registry === null ? null : createWitnessMetrics({ registry, store, status: statusNow })
const serving = metrics === null ? {} : { submitted: metrics.submitted }
let metricsServer: MetricsServer | null = null
let registrar: Registrar | null = null
let pruner: HistoryPruner | null = null

/** What it tells of its start (cli/witness/start-news.ts). */
type News =
  | { trouble: { address: string; code: string } }
  | { restoring: { index: number; bytes: number } }
  | { waiting: { commit: number; here: number; of: number } }
  | { failed: { code: string; data: object } }

/** To whoever started this process, for people; what isn't heard is lost. */
function tell(news: News): void {
  if (settings.notices && process.connected) process.send?.(news)
}

/** While there is no quorum nothing is final: says who is there already. */
async function tellWaiting(sequencer: CommitteeSequencer): Promise<void> {
  const status = await sequencer.status().catch(() => null)
  if (status === null) return
  const { commit, peers, committee: members } = status
  const own = toHex(signer.publicKey)
  const here = members.filter(({ key }) => key === own || peers.some(peer => peer.key === key)).length
  tell({ waiting: { commit, here, of: members.length } })
}

/** The genesis says who decides. */
async function startLedger(): Promise<LocalLedger> {
  if (content.agreement === undefined) {
    const ledger = createLoneLedger(components, init)
    await ledger.start()
    await serveLedger(host, ledger, serving)
    await host.start()
    return ledger
  }
  const lastProposed = new LastProposed(settings.lastProposed)
  const { peers } = settings
  const { data, snapshot: file } = settings
  const snapshots = new SnapshotMaker({ store, log }, { network, genesis, folder: settings.snapshots })
  const { ledger, sequencer } = createCommitteeLedger(
    { ...components, host, lastProposed, snapshots },
    { ...init, peers, onTrouble: (address, error) => tell({ trouble: { address, code: asPekkaError(error).code } }) }
  )
  committee = sequencer
  // The first commit takes a quorum of witnesses; who asks for the status meanwhile is answered.
  await serveStatus(host, sequencer)
  await serveSnapshots(host, snapshots)
  await host.start()
  const onFetch = ({ index, size }: SnapshotOffer): void => tell({ restoring: { index, bytes: size } })
  const beginning = { store, host, verifier: components.verifier, hashing: createHashing(), log }
  // LevelDB opens what is made, and another one looks at the folder first.
  await store.stop()
  await beginWithSnapshot(beginning, { network, data, peers, file, onFetch }, starting.signal)
  starting.signal.throwIfAborted()
  maker = snapshots
  const waiting = setInterval(() => void tellWaiting(sequencer), WAITING_LOOK_MS)
  try {
    await ledger.start()
    await sequencer.caughtUp(starting.signal)
  } finally {
    clearInterval(waiting)
  }
  await serveLedger(host, ledger, serving)
  if (settings.accountKey !== null) {
    const account = await readSigner(settings.accountKey)
    const chainEnd = (epoch: number): Uint8Array => sequencer.chainEnd(epoch)
    registrar = new Registrar({ ledger, signer, account, epoch: () => sequencer.epoch, chainEnd, log })
    registrar.start()
  }
  return ledger
}

async function hasSeat(sequencer: CommitteeSequencer): Promise<boolean> {
  const own = toHex(signer.publicKey)
  return (await sequencer.status())?.committee.some(({ key }) => key === own) ?? false
}

let ledger: LocalLedger | null = null
let stopping = false
async function stop(): Promise<void> {
  if (stopping) return
  stopping = true
  starting.abort()
  await rm(settings.readyFile, { force: true })
  // The commit under way is stored and answered; then nobody is served any more. Before the start is over nobody was.
  await metricsServer?.stop()
  await registrar?.stop()
  // They read the ledger's store.
  await pruner?.stop()
  await maker?.stop()
  await ledger?.stop()
  await host.stop()
  log.info({}, 'witness stopped')
  process.exit(0)
}
process.on('SIGTERM', () => void stop())
process.on('SIGINT', () => void stop())
process.on('disconnect', () => void stop())

try {
  ledger = await startLedger()
} catch (error) {
  if (stopping) await new Promise(() => {})
  log.error({ error: String(error) }, 'the witness could not be started')
  const { code, data } = asPekkaError(error).toProblem()
  tell({ failed: { code, data } })
  process.exit(1)
}
if (settings.keepHistory !== null && !stopping) {
  const { state } = ledger
  const needed = (): boolean => maker?.making ?? false
  pruner = new HistoryPruner({ store, state: () => state, needed, log }, { keep: settings.keepHistory })
  pruner.start()
}
if (metrics !== null && registry !== null && settings.metrics !== null) {
  void countCommits(ledger, metrics, store.last(), starting.signal)
  metricsServer = await serveMetrics(registry, settings.metrics)
}
// Set while the ledger started, which the compiler can't see.
const sequencer = committee as CommitteeSequencer | null
const ready = {
  pid: process.pid,
  addresses: host.addresses(),
  // Whether it has a seat now; null: it decides alone.
  seat: sequencer === null ? null : await hasSeat(sequencer),
  ...(metricsServer === null ? {} : { metrics: metricsServer.url })
}
await replaceFile(settings.readyFile, JSON.stringify(ready), { flush: false })
process.send?.({ ready: true, ...ready })
log.info({ addresses: ready.addresses }, 'witness ready')
sequencer?.staysCaughtUp(starting.signal).catch((error: unknown) => {
  if (stopping) return
  // Under a supervisor somebody does; "pekka witness start" ends with this one, and says so.
  log.error(
    { error: String(error) },
    'this witness has fallen behind for good, and ends; started again, it begins with a snapshot'
  )
  const { code, data } = asPekkaError(error).toProblem()
  tell({ failed: { code, data } })
  init.onFailure()
})
