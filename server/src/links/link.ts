import { PekkaError, encodeCbor, type AccountView, type BridgeMessage } from '@pekka/node/protocol'
import type { MessageChannel } from '@pekka/node/host/network'
import { OUTBOX_BYTES } from './constants.js'
import type { ProviderLink } from './index.js'

/** One life of a provider's link, after its hello. */
export class Link implements ProviderLink {
  #queued = 0

  constructor(
    private readonly channel: MessageChannel,
    readonly account: AccountView,
    readonly name: string
  ) {}

  get provider(): Uint8Array {
    return this.account.account
  }

  get peer(): string {
    return this.channel.remotePeer
  }

  tell(message: BridgeMessage): void {
    const bytes = encodeCbor(message)
    this.#queued += bytes.length
    if (this.#queued > OUTBOX_BYTES) {
      this.end(new PekkaError('LINK_LOST', { reason: 'it reads nothing' }))
      return
    }
    this.channel.send(bytes).then(
      () => (this.#queued -= bytes.length),
      // The link is gone, which its reader finds out; what was said is said again when the provider is back.
      () => undefined
    )
  }

  end(error: Error): void {
    this.channel.abort(error)
  }
}
