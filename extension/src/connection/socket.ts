import { io, type Socket } from 'socket.io-client'
import { SOCKET_PATH } from '@pekka/node/protocol'
import { comeBack, type LiveFactory } from '@pekka/node/client'
import { SOCKET_RETRY_MAX_MS, SOCKET_RETRY_MS } from './constants.js'

/** socket.io to one bridge. */
export interface LiveDoor {
  open: LiveFactory
  /** Tries to reconnect now, instead of after its wait. */
  retry: () => void
}

/** A bridge's address may have a path in front, as behind Lab's proxy. */
export function liveDoor(base: string): LiveDoor {
  const { origin, pathname } = new URL(base)
  let socket: Socket | undefined
  const open: LiveFactory = token => {
    socket = io(origin, {
      path: `${pathname.replace(/\/+$/, '')}${SOCKET_PATH}`,
      transports: ['websocket'],
      autoConnect: false,
      // Each client has its own: a shared one would be closed by the other.
      forceNew: true,
      reconnectionDelay: SOCKET_RETRY_MS,
      reconnectionDelayMax: SOCKET_RETRY_MAX_MS,
      auth: done => {
        // Without a token the bridge refuses, and the next try asks again.
        token().then(
          value => done({ token: value }),
          () => done({})
        )
      }
    })
    return comeBack(socket, {
      later: (work, ms) => setTimeout(work, ms),
      first: SOCKET_RETRY_MS,
      longest: SOCKET_RETRY_MAX_MS
    })
  }
  return { open, retry: () => void socket?.disconnect().connect() }
}
