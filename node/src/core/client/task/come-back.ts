import type { LiveSocket } from '../transport.js'

/** The part of a socket.io client that is used. */
export interface RefusableSocket extends LiveSocket {
  /** Whether it is connected, or tries to be by itself. */
  readonly active: boolean
}

export interface ComeBackInit {
  /** Calls back after some ms. */
  later: (work: () => void, ms: number) => unknown
  /** The first pause and the longest, ms; they double. */
  first: number
  longest: number
}

/**
 * socket.io gives up where the server itself refused or ended a connection: a token that it no longer knows after a restart, a
 * reader that it had to drop. We try again until {@link LiveSocket.disconnect}.
 */
export function comeBack(socket: RefusableSocket, { later, first, longest }: ComeBackInit): LiveSocket {
  let wait = first
  let waiting = false
  let ended = false
  const again = (): void => {
    if (socket.active || waiting || ended) return
    waiting = true
    later(() => {
      waiting = false
      if (!socket.active && !ended) socket.connect()
    }, wait)
    wait = Math.min(wait * 2, longest)
  }
  socket.on('connect', () => {
    wait = first
  })
  socket.on('connect_error', again)
  socket.on('disconnect', reason => {
    if (reason === 'io server disconnect') again()
  })
  return {
    get connected() {
      return socket.connected
    },
    on: (event, listener) => socket.on(event, listener),
    emit: (event, ...args) => socket.emit(event, ...args),
    connect: () => socket.connect(),
    disconnect: () => {
      ended = true
      return socket.disconnect()
    }
  }
}
