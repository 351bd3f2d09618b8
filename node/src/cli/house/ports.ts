import { createServer, type Server } from 'node:net'

/** Ports tried after a taken one. JupyterLab itself tries 50. */
const TRIES = 50

/** A port of 127.0.0.1 that nobody else gets until it is given back, for a process that starts later. */
export interface Reservation {
  port: number
  /** Frees the port for the process that is started next. May be called again. */
  release(): Promise<void>
}

/**
 * Reserves `first`, or the next port up; 0 lets the system choose. Undefined if all that were tried are taken. What asks here
 * afterwards, from any home, passes the port over as long as this process lives: also in the moment between {@link
 * Reservation.release} and the start of whoever listens next.
 */
export async function reservePort(first: number): Promise<Reservation | undefined> {
  for (let port = first; port < first + TRIES; port++) {
    const claim = port === 0 ? null : await claimOf(port)
    if (claim === undefined) continue
    const server = await listen(port)
    if (server === undefined) {
      claim?.close()
      continue
    }
    server.unref()
    return { port: portOf(server), release: () => closed(server) }
  }
  return undefined
}

/**
 * What only one process of this computer can have for a port: an abstract unix socket, which goes with its process (unix(7)).
 * Undefined where another has it, null where there are none.
 */
const claimOf = (port: number): Promise<Server | null | undefined> =>
  new Promise(resolve => {
    const server = createServer(socket => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EADDRINUSE' ? undefined : null))
    server.listen(`\0pekka-port-${port}`, () => resolve(server.unref()))
  })

/** A free port on 127.0.0.1: `first`, or the next one up; 0 lets the system choose. Undefined if all that were tried are taken. */
export async function freePort(first: number): Promise<number | undefined> {
  for (let port = first; port < first + TRIES; port++) {
    const server = await listen(port)
    if (server === undefined) continue
    const found = portOf(server)
    await closed(server)
    return found
  }
  return undefined
}

/** Whether nobody listens on this port of 127.0.0.1. */
export async function isFree(port: number): Promise<boolean> {
  const server = await listen(port)
  if (server !== undefined) await closed(server)
  return server !== undefined
}

/** Whoever connects meanwhile is turned away at once; undefined where the port is taken. */
const listen = (port: number): Promise<Server | undefined> =>
  new Promise(resolve => {
    const server = createServer(socket => socket.destroy())
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(server))
  })

const closed = (server: Server): Promise<void> => new Promise(resolve => server.close(() => resolve()))

function portOf(server: Server): number {
  const address = server.address()
  if (address === null || typeof address === 'string') throw new TypeError('a TCP server has a port')
  return address.port
}
