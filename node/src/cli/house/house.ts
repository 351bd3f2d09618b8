import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { holder, type Holder } from '@pekka/node/setup/hold'
import { createImageStore } from '@pekka/node/host/images'
import { BASE_IMAGE } from '@pekka/node/setup/index'
import { placesIn, ROOT } from '@pekka/node/setup/places'
import { uvIn } from '@pekka/node/setup/python'
import { Steps, StepError } from '@pekka/node/setup/steps'
import {
  addressesOf,
  listenAgain,
  portAgain,
  readAddresses,
  textOf,
  writeAddresses,
  type Addresses
} from './state/addresses.js'
import { agentChild } from './processes/agents.js'
import { Child, StartError, type ChildSpec, type Ready } from './processes/child.js'
import { HOLD_PRICE, PROVIDERS } from './constants.js'
import type { Devnet } from './state/devnet.js'
import { jupyterChild, pageConfigOf } from './processes/jupyter.js'
import { recordChildren } from './processes/leftovers.js'
import { ownBridgeSettings } from './state/own-settings.js'
import { folderOf, type HousePlaces } from './state/places.js'
import type { Reservation } from './ports.js'
import { chooseRedis, type RedisAddress } from './processes/redis.js'
import { witnessChildren } from './processes/witnesses.js'

export interface HouseComponents {
  places: HousePlaces
  devnet: Devnet
  /** Prints the steps of the start. */
  steps: Steps
  /** A line for people: a child died. */
  say: (line: string) => void
}

export interface HouseInit {
  env: NodeJS.ProcessEnv
  /** JupyterLab, if it is wanted. */
  lab?: { port: Reservation; token: string; work: string }
  /** IP address at which other machines may join, beside loopback. */
  listen?: string | undefined
}

/** Where the running network is reached on this computer. */
export interface HouseAddress {
  /** The bridge's http address. */
  bridge: string
  wallet: { url: string; socket: string }
  /** JupyterLab's, without token. */
  lab?: string
}

/** The processes of an embedded network, started in order, watched, and stopped in order. */
export class House {
  /** In order of start. */
  private readonly children: Child[] = []
  private recording: Promise<void> = Promise.resolve()

  constructor(
    private readonly components: HouseComponents,
    private readonly init: HouseInit
  ) {}

  /** Starts all processes; throws a StepError for people if one can't be started, and then none runs. */
  async start(signal: AbortSignal): Promise<HouseAddress> {
    const { steps } = this.components
    const gone = new AbortController()
    const begun = AbortSignal.any([signal, gone.signal])
    try {
      const lab = this.startLab(steps, begun)
      // a failure of one step ends the others; the first is what is told
      lab.catch(() => undefined)
      const { places, devnet } = this.components
      const before = await readAddresses(places, devnet.outside)
      const ledger = this.startLedger(steps, begun, before)
      ledger.catch(() => undefined)
      // where their addresses are known from before, nobody waits for witness and bridge: all try until they are there
      const { bridge, bridges, witnesses } = before === undefined ? await ledger : reachedAt(before)
      const [{ said }, wallet] = await Promise.all([
        ledger,
        this.startWallet(steps, begun, bridge, before?.wallet),
        this.startMachines(steps, begun, { bridges, witnesses })
      ])
      await writeAddresses(places, { ...said, wallet })
      return { bridge, wallet: { url: wallet.url, socket: walletSocket(places) }, lab: await lab }
    } catch (error) {
      gone.abort(error)
      await this.stop(AbortSignal.abort())
      throw error
    }
  }

  /** Stops all processes, those first that need the others. Never throws. */
  async stop(hurry: AbortSignal): Promise<void> {
    const named = (...names: string[]): Promise<unknown> =>
      Promise.all(
        this.children
          .filter(child => names.some(name => child.spec.name.startsWith(name)))
          .map(child => child.stop(hurry))
      )
    await named('jupyter', 'provider')
    await named('wallet')
    await named('bridge')
    await named('witness', 'valkey')
    await this.recording
  }

  private async startLab(steps: Steps, signal: AbortSignal): Promise<string | undefined> {
    const { lab, env } = this.init
    if (lab === undefined) return undefined
    const { places } = this.components
    const spec = jupyterChild(places, { ...lab, env, python: placesIn(places.home).python })
    let url: string | undefined
    await steps.step('JupyterLab', async () => {
      url = textOf(await this.startChild(spec, signal), 'url')
      return 'ready'
    })
    return url
  }

  private async startLedger(
    steps: Steps,
    signal: AbortSignal,
    before: Addresses | undefined
  ): Promise<Reached & { said: Omit<Addresses, 'wallet'> }> {
    const { places, devnet } = this.components
    const { env, lab } = this.init
    let started: Omit<Addresses, 'wallet'> | undefined
    await steps.step('Ledger, bridge', async () => {
      const own = await ownBridgeSettings(places)
      const redis = await chooseRedis(places, placesIn(places.home).python, env)
      if (redis === undefined)
        throw new StepError({
          step: 'Ledger, bridge',
          reason: 'there is no Redis and no Valkey; "pekka doctor" shows how to get one'
        })
      const specs = await witnessChildren(places, devnet, env, before?.witness)
      // All at once: those of a committee begin with a quorum.
      const witness = Promise.all(specs.map(spec => this.startChild(spec, signal))).then(said => ({
        addresses: devnet.outside === null ? said.flatMap(addressesOf) : [...devnet.outside]
      }))
      witness.catch(() => undefined)
      if (redis.child) await this.startChild(redis.child, signal)
      const witnesses = addressesOf(before?.witness ?? (await witness))
      const labPort = lab?.port.port
      const bridge = this.startChild(
        agentChild(
          places,
          'bridge',
          'bridge',
          devnet.network,
          env,
          async last => ({
            // everything it keeps stands in a folder of its own, so that it may as well run on another machine
            home: folderOf(places, 'bridge'),
            http: { host: '127.0.0.1', port: await portAgain(last) },
            libp2p: { listen: await listenAgain(last, this.init.listen) },
            redis: redis.address satisfies RedisAddress,
            witnesses,
            allowedOrigins: labPort === undefined ? [] : [`http://127.0.0.1:${labPort}`, `http://localhost:${labPort}`],
            allowedHosts: ['127.0.0.1', 'localhost'],
            layers: { ...layersOf(places), ...own.layers },
            // its own people's bridge: every public server may be asked, unless they say otherwise
            inputs: own.inputs,
            images: devnet.images
          }),
          before?.bridge
        ),
        signal
      )
      const [ordering, serving] = await Promise.all([witness, bridge])
      started = {
        witness: ordering,
        bridge: { addresses: addressesOf(serving), url: textOf(serving, 'url') }
      }
      return 'ready'
    })
    if (started === undefined) throw new Error('the ledger has not been started')
    return { ...reachedAt(started), said: started }
  }

  private async startWallet(
    steps: Steps,
    signal: AbortSignal,
    bridge: string,
    before: Ready | undefined
  ): Promise<{ url: string }> {
    const { places, devnet } = this.components
    const { env, lab } = this.init
    const settings = async (last: Ready | undefined): Promise<object> => ({
      http: { host: '127.0.0.1', port: await portAgain(last) },
      socket: walletSocket(places),
      bridge,
      ...(lab && {
        pageConfig: pageConfigOf(places),
        allowedOrigins: [`http://127.0.0.1:${lab.port.port}`, `http://localhost:${lab.port.port}`]
      })
    })
    let url = ''
    await steps.step('Wallet', async () => {
      const spec = agentChild(places, 'wallet', 'wallet', devnet.network, env, settings, before)
      url = textOf(await this.startChild(spec, signal), 'url')
      return 'ready'
    })
    return { url }
  }

  private async startMachines(
    steps: Steps,
    signal: AbortSignal,
    ledger: Pick<Reached, 'bridges' | 'witnesses'>
  ): Promise<void> {
    const { places, devnet } = this.components
    const { env } = this.init
    await steps.step('Machines', async () => {
      const image = await builtImage(places)
      const said = await Promise.all(
        PROVIDERS.map(name =>
          this.startChild(
            agentChild(places, name, 'provider', devnet.network, env, () => ({
              name,
              account: devnet.providers[name],
              bridges: ledger.bridges,
              witnesses: ledger.witnesses,
              images: { home: places.home, names: 'built' },
              pool: { [image]: 1 },
              holdPricePerSecond: HOLD_PRICE
            })),
            signal
          )
        )
      )
      const [first] = said
      return `${said.length} ready, ${String(first?.runtime)}, isolation ${String(first?.isolation)} of 4`
    })
  }

  /** Starts a child and keeps it; whatever becomes of it, the record of children stays true. */
  private async startChild(spec: ChildSpec, signal: AbortSignal): Promise<Ready> {
    const { say } = this.components
    const child = new Child(spec, {
      ready: () => undefined,
      changed: () => this.record(),
      died: (how, wait) =>
        say(
          wait === undefined
            ? `${spec.name} ${how} once more and is given up; its log: ${spec.log}`
            : `${spec.name} ${how}; started again in ${wait / 1000} s   log: ${spec.log}`
        )
    })
    this.children.push(child)
    try {
      return await child.start(signal)
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      throw new StepError({ step: error.child, reason: error.how, log: error.log, lastLines: [...error.lastLines] })
    }
  }

  /** Keeps the record of the children that run, for the start after a `kill -9` of this process. */
  private record(): void {
    const children: Record<string, Holder> = {}
    for (const child of this.children) if (child.pid !== undefined) children[child.spec.name] = holder(child.pid)
    const { places } = this.components
    this.recording = this.recording.then(() => recordChildren(places, children)).catch(() => undefined)
  }
}

/** Where the ledger and the bridge are reached: `bridge` over HTTP, the others over libp2p. */
interface Reached {
  bridge: string
  bridges: string[]
  witnesses: string[]
}

const reachedAt = ({ witness, bridge }: Omit<Addresses, 'wallet'>): Reached => ({
  bridge: bridge.url,
  bridges: bridge.addresses,
  witnesses: witness.addresses
})

const walletSocket = (places: HousePlaces): string => join(places.sockets, 'wallet')

/** The base image; where its download failed, the small one that set-up made instead. */
/** The bridge adds packages with the uv of the set-up, or the one on PATH. */
function layersOf({ home }: HousePlaces): object {
  const uv = uvIn(placesIn(home).tools)
  return existsSync(uv) ? { uv } : {}
}

async function builtImage({ home }: HousePlaces): Promise<string> {
  const images = createImageStore(
    { uv: async () => uvIn(placesIn(home).tools), log: { info: () => undefined, warn: () => undefined } },
    { home, definitions: join(ROOT, 'sandbox-images') }
  )
  return (await images.get(BASE_IMAGE)) === undefined ? 'base-small' : BASE_IMAGE
}
