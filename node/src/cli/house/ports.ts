import { createServer, type Server } from 'node:net'

/** Ports tried after a taken one. JupyterLab itself tries 50. */
const TRIES = 50

/** A port of 127.0.0.1 that nobody else gets until it is given back, for a process that starts later. */
export interface Reservation {
  port: number
  /** Frees the port for the process that is started next. May be called again. */
  release(): Promise<void>
}

/** Reserves `first`, or the next port up; 0 lets the system choose. Undefined if all that were tried are taken. */
export async function reservePort(first: number): Promise<Reservation | undefined> {
  for (let port = first; port < first + TRIES; port++) {
    const server = await listen(port)
    if (server === undefined) continue
    server.unref()
    return { port: portOf(server), release: () => closed(server) }
  }
  return undefined
}

/** A free port on 127.0.0.1: `first`, or the next one up; 0 lets the system choose. Undefined if all that were tried are taken. */
export async function freePort(first: number): Promise<number | undefined> {
  const reserved = await reservePort(first)
  await reserved?.release()
  return reserved?.port
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
