import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { Level } from 'level'
import type { Logger } from 'pino'
import {
  PekkaError,
  decodeCanonical,
  equalBytes,
  fromHex,
  genesisSchema,
  isEnded,
  networkId,
  toHex,
  type Clock,
  type LedgerAccess,
  type Signer
} from '@pekka/node/protocol'
import { ROOT } from '@pekka/node/setup/places'
import { createPrimitives, readSigner, systemClock, writeSigner } from '@pekka/node/host/crypto'
import { LedgerClient, createNetworkHost, loadPeerKey } from '@pekka/node/host/network'
import {
  Guard,
  HEADERS_TIMEOUT_MS,
  LOOPBACK_REQUESTS,
  REMOTE_REQUESTS,
  REQUEST_TIMEOUT_MS,
  RequestLimit,
  Tokens,
  auctionRoutes,
  createApp,
  ledgerQueries,
  ledgerRoutes,
  networkRoutes,
  proofRoutes,
  taskRoutes,
  type Route
} from './api/index.js'
import { DiskSpace } from './disk.js'
import { createBlobStore, createEventLog } from './eventlog/index.js'
import { Inputs, inputRoutes } from './inputs/index.js'
import { Downloader, Layers, definitionsIn, layerRoutes, uvOf } from './layers/index.js'
import { LedgerExplorer, LedgerFeed, LedgerMirror } from './ledger/index.js'
import { Invites, LinkServer, ReaderGate } from './links/index.js'
import { Listener } from './listener.js'
import { createMetrics, type Metrics } from './metrics.js'
import { Candidates, JobQueue, Sweeper, TaskDriver } from './queue/index.js'
import { SessionCells, sessionRoutes } from './sessions/index.js'
import type { Settings } from './settings.js'
import { LiveStream } from './stream/index.js'
import { BlobRefs, GroupWriter, TaskStore, Uploads } from './tasks/index.js'

export const VERSION = '0.1.0'

export interface BridgeComponents {
  log: Logger
  /** Called when the bridge can't go on, e.g. because Redis is open to everybody. */
  fatal: (error: unknown) => void
  /** The ledger, where it isn't reached through the witnesses of the settings. */
  ledger?: LedgerAccess
  clock?: Clock
}

/** A bridge that serves. */
export interface Bridge {
  readonly url: string
  /** libp2p addresses for providers. */
  readonly addresses: string[]
  /** The bridge's Ed25519 key. */
  readonly key: Uint8Array
  readonly metrics: Metrics
  readonly routes: Route[]
  /** Deletes and repairs now what the sweeper does every few seconds. */
  sweep(): Promise<void>
  /** Stops taking requests, writes what it holds, closes. */
  stop(): Promise<void>
}

/** Puts a bridge together and starts it. Resolves once it serves; waits for a witness where it has never met one. */
export async function startBridge(settings: Settings, components: BridgeComponents): Promise<Bridge> {
  const { log } = components
  const clock = components.clock ?? systemClock
  const { verifier, random } = createPrimitives()
  const metrics = createMetrics()
  // Before anything is opened: what is wrong with it is the operator's to mend.
  const listener = await Listener.create(settings, log)
  await mkdir(settings.home, { recursive: true, mode: 0o700 })
  const disk = new DiskSpace({ metrics, log }, { path: settings.home, reserve: settings.reserve })
  await disk.start()
  const signer = await loadSigner(join(settings.home, 'bridge.key'), random.bytes(32))
  const table = new Level<string, Uint8Array>(join(settings.home, 'level'), {
    keyEncoding: 'utf8',
    valueEncoding: 'view'
  })
  await table.open()
  const host = createNetworkHost(
    { key: await loadPeerKey(join(settings.home, 'peer.key')) },
    {
      listen: settings.libp2p.listen,
      announce: settings.libp2p.announce,
      onHandlerError: (protocol, peer, error) => log.debug({ err: error, protocol, peer }, 'a stream was reset')
    }
  )
  await host.start()
  const client = new LedgerClient({ host }, { addresses: settings.witnesses })
  const ledger = components.ledger ?? client
  const genesisBytes = await loadGenesis(table, ledger, settings, log)
  const genesis = genesisSchema.parse(decodeCanonical(genesisBytes))
  const network = networkId(genesis)

  // After a write that failed, level writes nothing more and its files end in the middle: opened anew it repairs itself.
  const broken = (error: unknown): void => {
    log.error({ err: error }, 'the task table could not be written')
    components.fatal(error)
  }
  const writer = () => new GroupWriter(table, broken, { has: () => disk.has('table'), look: () => disk.look() })
  const store = await TaskStore.open(table, writer())
  const refs = new BlobRefs(table, writer())
  const later = writer()
  const extras = keptIn(table, later)
  const logs = await createEventLog({ index: countsIn(extras) }, join(settings.home, 'logs'))
  const blobs = await createBlobStore(join(settings.home, 'blobs'))
  const mirror = new LedgerMirror({ ledger, log })
  const feed = new LedgerFeed({ ledger, mirror })
  const gate = new ReaderGate(metrics)
  const invites = new Invites(clock)
  const tokens = await Tokens.open({ ledger, verifier, clock, bridge: signer.publicKey, table: extras })
  const layers = settings.layers === undefined ? null : await startLayers(settings, settings.layers, { clock, log })
  const inputs = settings.inputs === undefined ? null : await startInputs(settings, settings.inputs, log)
  const windowMs = (): number => genesis.parameters.windowMs
  const links = new LinkServer(
    {
      host,
      ledger,
      store,
      refs,
      logs,
      blobs,
      mirror,
      gate,
      invites,
      shared: async hash => (await layers?.blob(hash)) ?? (await inputs?.blob(hash)) ?? null,
      verifier,
      signer,
      random,
      clock,
      metrics,
      disk,
      log,
      network,
      windowMs
    },
    { witnesses: settings.witnesses, genesis: genesisBytes }
  )
  const cells = new SessionCells({
    table,
    writer: writer(),
    store,
    refs,
    blobs,
    logs,
    links,
    verifier,
    disk,
    network
  })
  const candidates = new Candidates({ store, links }, () => genesis.parameters)
  const driver = new TaskDriver({ ledger, mirror, store, candidates, clock, metrics, log })
  const queue = new JobQueue(
    { drive: (task, signal) => driver.drive(task, signal), metrics, log },
    { redis: settings.redis, workers: settings.workers }
  )
  const sweeper = new Sweeper(
    { store, refs, queue, driver, ledger, mirror, logs, blobs, disk, clock, metrics, log },
    { retention: settings.retention, contestMs: genesis.parameters.contestWindowMs }
  )

  const quiet = (work: Promise<unknown>): void =>
    void work.catch(error => log.warn({ err: error }, 'a step failed; the sweeper repeats it'))
  mirror.on('task', view => quiet(driver.see(view)))
  mirror.on('commit', ({ contractTime }) => quiet(driver.tick(contractTime)))
  mirror.on('connected', () => quiet(driver.reconcile()))
  links.onArrival((link, resume) => quiet(driver.arrived(link, resume)))
  driver.onChange(record => {
    if (record.view === null || !isEnded(record.view.state)) return
    links.done(record.task)
    if (record.view.offer.session !== null) quiet(cells.done(record.task))
  })
  links.onCells((link, said) => quiet(cells.taken(link, said)))
  queue.onReady(() => quiet(sweeper.addMissing(0)))

  const images = settings.images === undefined ? undefined : new Uint8Array(await readFile(settings.images))
  const guard = new Guard(settings)
  const startedAt = clock.now()
  const facts = () => ({
    network,
    bridge: signer.publicKey,
    name: settings.name,
    addresses: host.addresses(),
    witnesses: settings.witnesses,
    genesis: genesisBytes,
    ...(images !== undefined && { images })
  })
  const ledgerPages = ledgerRoutes(new LedgerExplorer({ ledger }, { network }))
  const routes = [
    ...networkRoutes({
      ledger,
      mirror,
      tokens,
      invites,
      verifier,
      clock,
      network: facts,
      queueConnected: () => queue.connected,
      providers: () => links.size,
      version: VERSION,
      startedAt
    }),
    ...taskRoutes({
      store,
      refs,
      blobs,
      logs,
      mirror,
      ledger,
      verifier,
      signer,
      clock,
      metrics,
      disk,
      uploads: new Uploads({ blobs, refs }, settings.uploads),
      network,
      enqueue: task => {
        quiet(queue.add(task))
        // Without Redis a task waits for it: nothing would bring it on if this process ended now.
        if (queue.connected) quiet(driver.hurry(task))
      }
    }),
    ...sessionRoutes(cells),
    ...proofRoutes({ ledger, mirror }),
    ...auctionRoutes({ ledger }),
    ...ledgerPages,
    ...layerRoutes(layers),
    ...inputRoutes(inputs)
  ]
  const limit = new RequestLimit(LOOPBACK_REQUESTS, REMOTE_REQUESTS)
  const app = createApp({ routes, guard, limit, tokens, store, metrics, log, version: VERSION })
  const { server } = listener
  server.on('request', app)
  server.headersTimeout = HEADERS_TIMEOUT_MS
  server.requestTimeout = REQUEST_TIMEOUT_MS
  const live = new LiveStream(server, {
    ...{ guard, limit, tokens, store, logs, gate, driver, mirror, feed, ledger, metrics, log },
    query: ledgerQueries(ledgerPages)
  })

  mirror.start()
  queue.start().catch(error => components.fatal(error))
  await links.start()
  const url = await listener.listen()
  sweeper.start()

  return {
    url,
    addresses: host.addresses(),
    key: signer.publicKey,
    metrics,
    routes,
    sweep: async () => {
      await Promise.all([sweeper.sweep(), listener.renew()])
    },
    stop: async () => {
      await sweeper.stop()
      // Also closes the HTTP server.
      await live.stop()
      listener.close()
      await queue.stop()
      await layers?.stop()
      await inputs?.stop()
      feed.stop()
      await mirror.stop()
      await client.stop()
      await host.stop()
      await logs.close()
      await store.settled()
      await cells.settled()
      await later.settled()
      disk.stop()
      await table.close()
    }
  }
}

async function startLayers(
  { home }: Settings,
  { uv, ...init }: NonNullable<Settings['layers']>,
  components: { clock: Clock; log: Logger }
): Promise<Layers> {
  const folder = join(home, 'layers')
  const uvHere = uvOf(uv, folder)
  const downloader = new Downloader(async () => (await uvHere()).environment)
  const pins = definitionsIn(join(ROOT, 'sandbox-images'), home)
  const layers = new Layers({ ...components, pins, uv: uvHere, downloader }, { folder, ...init })
  await layers.start()
  return layers
}

async function startInputs(
  { home }: Settings,
  { allow, allowPrivate, ca, maxInputBytes, ...init }: NonNullable<Settings['inputs']>,
  log: Logger
): Promise<Inputs> {
  const own = ca === undefined ? undefined : [...rootCertificates, await readFile(ca, 'utf8')].join('\n')
  const policy = { allow, allowPrivate, maxBytes: maxInputBytes, ca: own }
  const inputs = new Inputs({ log }, { folder: join(home, 'inputs'), policy, ...init })
  await inputs.start()
  return inputs
}

async function loadSigner(path: string, seed: Uint8Array): Promise<Signer> {
  try {
    return await readSigner(path)
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    return writeSigner(path, seed)
  }
}

const GENESIS_KEY = 'meta/genesis'

/** The network's first state: what was kept, else what a witness says, checked against the settings. */
async function loadGenesis(
  table: Level<string, Uint8Array>,
  ledger: LedgerAccess,
  settings: Settings,
  log: Logger
): Promise<Uint8Array> {
  const kept = await table.get(GENESIS_KEY)
  const bytes = kept ?? (await untilReached(ledger, log))
  const network = networkId(genesisSchema.parse(decodeCanonical(bytes)))
  if (settings.network !== undefined && !equalBytes(network, fromHex(settings.network)))
    throw new PekkaError('USAGE', {
      issue: `The data in ${settings.home} belongs to network ${toHex(network)}, the settings name ${settings.network}.`
    })
  if (kept === undefined) await table.put(GENESIS_KEY, bytes, { sync: true })
  return bytes
}

async function untilReached(ledger: LedgerAccess, log: Logger): Promise<Uint8Array> {
  for (;;) {
    try {
      return await ledger.genesis()
    } catch (error) {
      // The client below waits between its own tries; a bridge without a network has nothing else to do.
      log.warn({ err: error }, 'no witness answers yet')
      await new Promise(resolve => setTimeout(resolve, 500))
    }
  }
}

type Extras = ReturnType<typeof keptIn>

/** What may be lost without harm (hashes of tokens, counts of logs): written soon, and on a full disk it waits in memory. */
function keptIn(table: Level<string, Uint8Array>, later: GroupWriter) {
  return {
    get: async (key: string): Promise<Uint8Array | undefined> => {
      const coming = later.peek(key)
      return coming === undefined ? table.get(key) : coming.type === 'put' ? coming.value : undefined
    },
    put: async (key: string, value: Uint8Array): Promise<void> => later.writeLazily([{ type: 'put', key, value }]),
    del: async (key: string): Promise<void> => later.writeLazily([{ type: 'del', key }]),
    iterator: (range: { gte: string; lt: string }) => table.iterator(range)
  }
}

/** Counts of closed logs. Nobody waits for them: one that a crash loses is counted again. */
const countsIn = (extras: Extras) => ({
  get: (key: string) => extras.get(`log/${key}`),
  put: (key: string, value: Uint8Array) => extras.put(`log/${key}`, value),
  del: (key: string) => extras.del(`log/${key}`)
})
