import { contentHash, encodeSigned, submittedSchema, toCid, toHex } from '../../protocol/index.js'
import type { TokenSource } from '../credentials.js'
import type { Lane } from '../ledger/lane.js'
import type { Http } from '../transport.js'
import type { PreparedTask } from './offer.js'

/** How often one task is signed anew before its refusal is shown. */
const RESUBMITS = 5

export interface HandInComponents {
  http: Http
  tokens: TokenSource
  lane: Lane
  /** Gives a token, and another one where the bridge no longer knows it. */
  authorised: <T>(work: (token: string) => Promise<T>) => Promise<T>
}

/** Brings prepared tasks to the bridge, and once more where their place in the lane was taken. */
export class HandIn {
  /** Tasks that may have to be sent again, until they end. */
  readonly #prepared = new Map<string, { prepared: PreparedTask; tries: number }>()

  constructor(private readonly components: HandInComponents) {}

  /** Brings a bundle that is too large for the request of its offer to the bridge. */
  async upload({ inline, sealedBundle }: Pick<PreparedTask, 'inline' | 'sealedBundle'>): Promise<void> {
    if (inline) return
    const { http, tokens } = this.components
    const path = `/v1/blobs/${toCid(contentHash(sealedBundle), 'raw')}`
    await http.bytes('PUT', path, { body: sealedBundle, token: await tokens.get() })
  }

  /** @param prepared its bundle is with the bridge, or travels along */
  async offer(prepared: PreparedTask): Promise<void> {
    await this.#send(prepared)
    this.#prepared.set(toHex(prepared.offer.task), { prepared, tries: 0 })
  }

  /**
   * The same task, signed anew for its new place in the lane (R27): the id stays, so it can't run twice (R13). False where it isn't
   * one of ours, or was refused for another reason or too often.
   */
  async again(task: Uint8Array, code: string): Promise<boolean> {
    const entry = this.#prepared.get(toHex(task))
    const moved = code === 'LANE_SEQUENCE' || code === 'PARENT_UNKNOWN' || code === 'TRANSACTION_EXPIRED'
    if (!entry || !moved || entry.tries++ >= RESUBMITS) return false
    this.components.lane.forget()
    await this.#send(entry.prepared)
    return true
  }

  /** It has ended. */
  forget(task: Uint8Array): void {
    this.#prepared.delete(toHex(task))
  }

  async #send(prepared: PreparedTask): Promise<void> {
    const { http, lane, authorised } = this.components
    const { boxes, inline, sealedBundle, note, parts } = prepared
    await lane.send({ kind: 'offer', tasks: [prepared.offer] }, async signed => {
      const body = {
        transaction: encodeSigned(signed),
        tasks: [{ boxes, bundle: inline ? sealedBundle : null, note, parts }]
      }
      return await authorised(token => http.request('POST', '/v1/tasks', submittedSchema, { body, token }))
    })
  }
}
