import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import {
  bidCommit,
  decimalCredits,
  equalBytes,
  hex32,
  toHex,
  type Ask,
  type AuctionView,
  type LedgerAccess,
  type Random
} from '@pekka/node/protocol'
import { fits } from '@pekka/node/ledger'
import { pause } from '@pekka/node/host/network'
import { replaceFile } from '../../../host/files/index.js'
import type { LedgerLane } from './ledger-lane.js'

export interface AuctionsComponents {
  ledger: Pick<LedgerAccess, 'auctions'>
  lane: Pick<LedgerLane, 'send'>
  random: Random
  /** Our live asks. */
  asks: () => readonly Ask[]
  /** Whether a task could start soon. */
  free: () => boolean
  log: { info(data: object, text: string): void; warn(data: object, text: string): void }
}

export interface AuctionsInit {
  network: Uint8Array
  provider: Uint8Array
  /** Where bids are kept until they are over: who forgets its price can't reveal it, and loses the deposit. */
  file: string
  /** Lowest price per second that we work for, micro-credits; null: what the ask says. */
  pricePerSecond: bigint | null
}

const bidSchema = z.strictObject({ auction: hex32, ask: hex32, pricePerSecond: decimalCredits, salt: hex32 })
type Bid = z.infer<typeof bidSchema>

/** Tries of one transaction while the ledger can't be reached, and the pause between them, ms: within the shortest window. */
const TRIES = 8
const RETRY_MS = 300

/**
 * Bids that may be open at once, each with a deposit locked and a line on the disk: anybody can open auctions, and may fill neither. More
 * than a machine could run of what it wins; what is bound already is never dropped for another.
 */
export const MAX_OPEN_BIDS = 16

/**
 * The price at which a task is ours where we won it by auction (R31), in micro-credits a second; null: it wasn't, or the auction's row has
 * gone. The ledger is asked, so this holds after a restart too.
 */
export async function awardedPrice(
  ledger: Pick<LedgerAccess, 'auctions'>,
  provider: Uint8Array,
  task: Uint8Array
): Promise<bigint | null> {
  const award = (await ledger.auctions(task))[0]?.award ?? null
  return award !== null && equalBytes(award.provider, provider) ? award.pricePerSecond : null
}

/**
 * Bids in auctions for what we sell (R31), at the price that we would work for: where the second lowest price is paid, saying less or more
 * gains nothing. Reveals each bid, also after a restart.
 */
export class Auctions {
  #bids = new Map<string, Bid>()
  readonly #seen = new Set<string>()
  #saving: Promise<void> = Promise.resolve()
  readonly #running = new Set<Promise<void>>()
  readonly #stopping = new AbortController()

  constructor(
    private readonly components: AuctionsComponents,
    private readonly init: AuctionsInit
  ) {}

  /** Reads the bids of an earlier life, and what they have become. Changes must be coming in already. */
  async start(signal?: AbortSignal): Promise<void> {
    const text = await readFile(this.init.file, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      return '[]'
    })
    for (const bid of z.array(bidSchema).parse(JSON.parse(text))) this.#bids.set(toHex(bid.auction), bid)
    await this.askAnew(signal)
  }

  /** What has become of auctions, where changes were missed. */
  async askAnew(signal?: AbortSignal): Promise<void> {
    for (const view of await this.components.ledger.auctions(null, signal)) this.take(view)
    for (const { auction } of [...this.#bids.values()]) {
      const [view] = await this.components.ledger.auctions(auction, signal)
      if (view === undefined) await this.#forget(toHex(auction))
      else this.take(view)
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('the provider stops'))
    await Promise.allSettled(this.#running)
    await this.#saving
  }

  /** An auction has changed. */
  take(view: AuctionView): void {
    const id = toHex(view.auction)
    const work = this.#next(id, view)
    if (work === null) return
    const kept = work
      .catch((error: unknown) => {
        // What the ledger says next is another chance; bids are only made once.
        this.#seen.delete(`${id}/revealing`)
        if (!this.#stopping.signal.aborted)
          this.components.log.warn({ err: error, auction: id }, 'an auction goes on without us')
      })
      .finally(() => this.#running.delete(kept))
    this.#running.add(kept)
  }

  #next(id: string, view: AuctionView): Promise<void> | null {
    const step = `${id}/${view.state}`
    if (this.#seen.has(step)) return null
    const ours = view.bids.find(({ provider }) => equalBytes(provider, this.init.provider))
    switch (view.state) {
      case 'bidding':
        if (ours !== undefined) return null
        this.#seen.add(step)
        return this.#bid(id, view)
      case 'revealing':
        if (ours === undefined || ours.revealed !== null) return null
        this.#seen.add(step)
        return this.#reveal(id, view)
      case 'awarded':
        return null
      case 'ended':
        for (const state of ['bidding', 'revealing']) this.#seen.delete(`${id}/${state}`)
        return this.#forget(id)
    }
  }

  async #bid(id: string, { auction, terms }: AuctionView): Promise<void> {
    const { asks, free, random, lane, log } = this.components
    const { network, provider } = this.init
    // The one that lives longest: the winner's offer must find it there.
    const ask = asks()
      .filter(one => serves(one, terms))
      .reduce<Ask | undefined>((best, one) => (best !== undefined && best.expiry >= one.expiry ? best : one), undefined)
    const kept = this.#bids.get(id)
    if (ask === undefined || !free() || (kept === undefined && this.#bids.size >= MAX_OPEN_BIDS)) return
    const price = this.init.pricePerSecond ?? ask.pricePerSecond
    const bid = kept ?? { auction, ask: ask.ask, pricePerSecond: price > 0n ? price : 1n, salt: random.bytes(32) }
    this.#bids.set(id, bid)
    await this.#save()
    const commitment = bidCommit({ network, auction, bidder: provider }, bid)
    const outcome = await this.#send(() => lane.send({ kind: 'auction-bid', auction, ask: bid.ask, commitment }))
    if (outcome.status === 'applied') return log.info({ auction: id }, 'a bid is bound')
    log.info({ auction: id, code: outcome.code }, 'a bid was not taken')
    // Another try of ours may have been, and bidding may have ended since: then the price is still needed. Its end forgets it anyway.
    if (outcome.code !== 'OBJECT_EXISTS' && outcome.code !== 'TASK_STATE') await this.#forget(id)
  }

  async #reveal(id: string, { auction }: AuctionView): Promise<void> {
    const { lane, log } = this.components
    const bid = this.#bids.get(id)
    if (bid === undefined) return log.warn({ auction: id }, 'the price of a bid is lost, and its deposit')
    const { pricePerSecond, salt } = bid
    const outcome = await this.#send(() => lane.send({ kind: 'auction-reveal', auction, pricePerSecond, salt }))
    if (outcome.status !== 'applied') log.warn({ auction: id, code: outcome.code }, 'a price was not revealed')
  }

  /** Sends until the ledger has answered; what it refuses outright is an answer too. */
  async #send<T>(send: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await send()
      } catch (error) {
        if (this.#stopping.signal.aborted || tries >= TRIES) throw error
        await pause(RETRY_MS, this.#stopping.signal)
      }
    }
  }

  async #forget(id: string): Promise<void> {
    if (this.#bids.delete(id)) await this.#save()
  }

  #save(): Promise<void> {
    const saved = this.#saving.then(() => {
      const bids = [...this.#bids.values()].map(({ auction, ask, pricePerSecond, salt }) => ({
        auction: toHex(auction),
        ask: toHex(ask),
        pricePerSecond: pricePerSecond.toString(),
        salt: toHex(salt)
      }))
      return replaceFile(this.init.file, JSON.stringify(bids))
    })
    this.#saving = saved.catch(() => undefined)
    return saved
  }
}

const serves = (ask: Ask, { image, resources }: AuctionView['terms']): boolean =>
  ask.image.name === image.name && equalBytes(ask.image.digest, image.digest) && fits(resources, ask.resources)
