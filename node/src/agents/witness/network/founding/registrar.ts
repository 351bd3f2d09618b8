import { PekkaError, toHex, type Signer } from '@pekka/node/protocol'
import type { Reader } from '@pekka/node/ledger'
import { pause } from '@pekka/node/host/network'
import type { LocalLedger } from '../../local-ledger.js'
import { OwnerLane } from './owner-lane.js'
import { REGISTER_AHEAD, REGISTER_LOOK_MS, REGISTER_WHEN_LEFT } from '../constants.js'

export interface RegistrarComponents {
  ledger: Pick<LocalLedger, 'state' | 'time' | 'account' | 'submit'>
  /** The block key. */
  signer: Signer
  /** The one key of the account that stakes on it. */
  account: Signer
  /** The epoch this witness is in; null before it runs. */
  epoch: () => number | null
  /** End of the own hash chain of an epoch. */
  chainEnd: (epoch: number) => Uint8Array
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

/**
 * Registers a witness's hash chains for epochs to come, well before their elections: who has none can't be elected, and where nobody
 * has, the ledger stands still.
 */
export class Registrar {
  readonly #stopping = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(
    private readonly components: RegistrarComponents,
    /** How often it looks, ms. */
    private readonly init: { interval?: number } = {}
  ) {}

  start(): void {
    this.#running = this.#run(this.#stopping.signal)
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new PekkaError('LEDGER_UNREACHABLE'))
    await this.#running
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { log } = this.components
    while (!signal.aborted) {
      try {
        await this.#look(signal)
      } catch (error) {
        if (signal.aborted) return
        log.warn({ error: String(error) }, 'this witness is not registered for the next epochs yet')
      }
      // Epochs end by commits, of which this process hears; but a quarter of an hour is the least they take.
      await pause(this.init.interval ?? REGISTER_LOOK_MS, signal)
    }
  }

  async #look(signal: AbortSignal): Promise<void> {
    const { ledger, epoch, signer, log } = this.components
    const now = epoch()
    const last = lastChain(ledger.state, signer.publicKey)
    if (now === null || last === null || last - now >= REGISTER_WHEN_LEFT) return
    const chains: { epoch: number; tip: Uint8Array }[] = []
    for (let next = Math.max(last + 1, now + 2); next <= now + REGISTER_AHEAD; next++) {
      const began = performance.now()
      chains.push({ epoch: next, tip: this.components.chainEnd(next) })
      // Making one takes some 0.3 s of the process; blocks go first.
      await pause(2 * (performance.now() - began), signal)
    }
    if (chains.length === 0 || signal.aborted) return
    await new OwnerLane({ ledger, signer, owner: this.components.account }).stake(0n, chains, signal)
    log.info({ from: chains[0]?.epoch, to: chains.at(-1)?.epoch }, 'registered for epochs to come')
  }
}

/** The last epoch that a witness is registered for; null: nobody has staked on it. */
function lastChain(state: Reader, key: Uint8Array): number | null {
  const row = state.get('witness', toHex(key))
  return row === undefined ? null : (row.chains.at(-1)?.epoch ?? -1)
}
