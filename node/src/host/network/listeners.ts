import type { Listener, Transport } from '@libp2p/interface'
import type { Multiaddr } from '@multiformats/multiaddr'

export interface RecordedTransport<Components, T extends Transport> {
  factory: (components: Components) => T
  /** Where its listeners listen, wildcards expanded, with the ports they got. */
  addresses: () => Multiaddr[]
}

/**
 * Remembers the listeners that a transport makes, so that the host can say where it listens: the library's own list leaves
 * out public addresses until strangers have confirmed them, and with `announce` set it doesn't tell the port it got.
 */
export function recordListeners<Components, T extends Transport>(
  make: (components: Components) => T
): RecordedTransport<Components, T> {
  const listeners = new Set<Listener>()
  return {
    addresses: () => [...listeners].flatMap(listener => listener.getAddrs()),
    factory: components => {
      const transport = make(components)
      const createListener = transport.createListener.bind(transport)
      transport.createListener = options => {
        const listener = createListener(options)
        listeners.add(listener)
        listener.addEventListener('close', () => listeners.delete(listener))
        return listener
      }
      return transport
    }
  }
}
