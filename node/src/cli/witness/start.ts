import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { resolve } from 'node:path'
import { StepError } from '@pekka/node/setup/steps'
import { MIN_KEPT_COMMITS, parseKeepHistory } from '../../agents/witness/keep-history.js'
import { equalBytes, fromProblem, PekkaError } from '../../core/protocol/index.js'
import { replaceFile } from '../../host/files/index.js'
import type { CliContext } from '../context.js'
import { listenAgain } from '../house/state/addresses.js'
import { ENTRY_POINTS } from '../house/processes/agents.js'
import { ENGINE_FLAGS } from '../house/processes/engine.js'
import { lastWords, openLog } from '../house/log.js'
import { readGenesis, type GenesisFile } from './files.js'
import { makeWitnessKeys } from './init.js'
import { multiaddrOf, readEndpoint, type Endpoint, type WitnessPlaces } from './places.js'
import { StartNews } from './start-news.js'

export interface StartInit {
  /** Needed the first time; later it must be the same. */
  genesis?: string
  /** Addresses of other witnesses, added to those of the first start. */
  join: readonly string[]
  listen?: string
  /** Where others reach it, where that is another address than it listens at. */
  announce: readonly string[]
  /** A snapshot to begin with. */
  snapshot?: string
  /** How much of the past it keeps from now on, also at later starts: `30d`, a number of commits, `all`. */
  keepHistory?: string
  /** Where `GET /metrics` is served. */
  metrics?: Endpoint
}

/** What the settings file of a witness holds that a later start goes on with. */
interface KnownSettings {
  listen?: string[]
  announce?: string[]
  peers?: string[]
  [name: string]: unknown
}

/** Runs a witness until it ends or the user stops it; gives its exit code. */
export async function startWitness(context: CliContext, places: WitnessPlaces, init: StartInit): Promise<number> {
  checkKeepHistory(init.keepHistory)
  await mkdir(places.folder, { recursive: true, mode: 0o700 })
  const genesis = await keepGenesis(places, init.genesis)
  await makeWitnessKeys(places)
  const settings = await writeSettings(context, places, genesis, init)
  await checkPort(settings.listen)
  const log = `${places.folder}/witness.log`
  return await serve(context, places, { log, network: genesis.network, peers: settings.peers })
}

/** @throws PekkaError USAGE */
function checkKeepHistory(text: string | undefined): void {
  if (text === undefined || parseKeepHistory(text) !== undefined) return
  throw new PekkaError('USAGE', {
    issue: `--keep-history ${text} is not understood; write all, a time such as 36h, 30d or 8w, or a number of commits from ${MIN_KEPT_COMMITS} on.`
  })
}

/** The genesis of this folder: fixed by its first start. */
async function keepGenesis(places: WitnessPlaces, path: string | undefined): Promise<GenesisFile> {
  const known = existsSync(places.genesis) ? await readGenesis(places.genesis) : null
  if (path === undefined) {
    if (known === null)
      throw new PekkaError('USAGE', { issue: 'The first start needs the genesis of the network: --genesis FILE.' })
    return known
  }
  const given = await readGenesis(path)
  if (known !== null && !equalBytes(known.bytes, given.bytes))
    throw new PekkaError('USAGE', {
      issue: `${path} is the genesis of network ${given.network.slice(0, 8)}, and the witness in ${places.folder} is one of network ${known.network.slice(0, 8)}. Give the file that it began with, or run the other one in a folder of its own: --folder.`
    })
  if (given.genesis.agreement === undefined)
    throw new PekkaError('USAGE', {
      issue: `${path} is the genesis of a network that one witness decides alone, as "pekka up" makes it. "pekka witness genesis" makes one for several.`
    })
  await replaceFile(places.genesis, given.bytes, { mode: 0o644 })
  return given
}

/** Settings of the first start are kept; a later start changes what it names. */
async function writeSettings(
  { env }: CliContext,
  places: WitnessPlaces,
  { network }: GenesisFile,
  init: StartInit
): Promise<{ listen: string[]; peers: string[] }> {
  const known = await readSettings(places)
  const listen =
    init.listen !== undefined
      ? [multiaddrOf(readEndpoint(init.listen))]
      : (known.listen ?? (await listenAgain(undefined)))
  const peers = [...new Set([...(known.peers ?? []), ...init.join])]
  const settings = {
    ...known,
    network,
    genesis: places.genesis,
    data: places.data,
    blockKey: places.blockKey,
    accountKey: places.accountKey,
    peerKey: places.peerKey,
    lastProposed: places.lastProposed,
    readyFile: places.ready,
    snapshots: places.snapshots,
    // For this start alone.
    snapshot: init.snapshot === undefined ? null : resolve(init.snapshot),
    notices: true,
    logLevel: env.PEKKA_LOG_LEVEL ?? 'info',
    listen,
    peers,
    ...(init.announce.length === 0 ? {} : { announce: init.announce }),
    ...(init.keepHistory === undefined ? {} : { keepHistory: init.keepHistory }),
    ...(init.metrics === undefined ? {} : { metrics: { host: init.metrics.ip, port: init.metrics.port } })
  }
  await replaceFile(places.settings, JSON.stringify(settings, null, 2))
  return { listen, peers }
}

/** What an earlier start, or `init`, wrote; nothing where there was none. */
export async function readSettings({ settings }: WitnessPlaces): Promise<KnownSettings> {
  if (!existsSync(settings)) return {}
  try {
    return Object(JSON.parse(await readFile(settings, 'utf8')))
  } catch (cause) {
    throw new PekkaError('USAGE', { issue: `${settings} is no JSON; mend or delete it.` }, { cause })
  }
}

/** `init` was told where it will listen: `start` does so without being told again. */
export async function rememberListen(places: WitnessPlaces, endpoint: Endpoint): Promise<void> {
  const known = await readSettings(places)
  await replaceFile(places.settings, JSON.stringify({ ...known, listen: [multiaddrOf(endpoint)] }, null, 2))
}

/** Said before anything is started: the process's own words for it would be libp2p's. @throws PekkaError PORT_TAKEN, USAGE */
async function checkPort(listen: readonly string[]): Promise<void> {
  for (const address of listen) {
    const { ip, port } = readEndpoint(address)
    const server = createServer()
    try {
      await new Promise<void>((listening, reject) => {
        server.once('error', reject)
        server.listen({ host: ip, port, exclusive: true }, () => listening())
      })
    } catch (error) {
      const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE'
      if (taken) throw new PekkaError('PORT_TAKEN', { port }, { cause: error })
      throw new PekkaError(
        'USAGE',
        { issue: `This computer can’t listen at ${ip} port ${port}: ${String(error)}` },
        { cause: error }
      )
    } finally {
      await new Promise(closed => server.close(closed))
    }
  }
}

async function serve(
  context: CliContext,
  places: WitnessPlaces,
  { log, network, peers }: { log: string; network: string; peers: readonly string[] }
): Promise<number> {
  const file = await openLog(log)
  const child: ChildProcess = spawn(
    process.execPath,
    [...ENGINE_FLAGS, ENTRY_POINTS.witness, '--settings', places.settings],
    {
      stdio: ['ignore', file.fd, file.fd, 'ipc'],
      env: context.env
    }
  )
  await file.close()
  const news = new StartNews(context, { network, folder: places.folder, log, others: peers.length })
  child.on('message', message => news.hear(message))
  const stop = (): void => void child.kill('SIGTERM')
  const hurry = (): void => void child.kill('SIGKILL')
  context.signal.addEventListener('abort', stop, { once: true })
  context.hurry.addEventListener('abort', hurry, { once: true })
  if (context.signal.aborted) stop()
  try {
    const [code] = await once(child, 'exit')
    if (news.failure !== null && news.failure.code !== 'INTERNAL') throw fromProblem(news.failure)
    if (news.failure !== null)
      throw new StepError({
        step: 'The witness',
        reason: 'could not be started',
        log,
        lastLines: await lastWords(log, 12)
      })
    if (code !== 0 && !context.signal.aborted)
      context.say(
        `The witness ended by itself${typeof code === 'number' ? `, with exit code ${code}` : ''}; its log: ${log}`
      )
    return typeof code === 'number' ? code : 1
  } finally {
    context.signal.removeEventListener('abort', stop)
    context.hurry.removeEventListener('abort', hurry)
  }
}
