import { createServer } from 'node:net'

/** Ports tried after a taken one. JupyterLab itself tries 50. */
const TRIES = 50

/** A free port on 127.0.0.1: `first`, or the next one up; 0 lets the system choose. Undefined if all that were tried are taken. */
export async function freePort(first: number): Promise<number | undefined> {
  for (let port = first; port < first + TRIES; port++) {
    const free = await tryPort(port)
    if (free !== undefined) return free
  }
  return undefined
}

/** Whether nobody listens on this port of 127.0.0.1. */
export const isFree = async (port: number): Promise<boolean> => (await tryPort(port)) !== undefined

const tryPort = (port: number): Promise<number | undefined> =>
  new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(undefined))
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : undefined))
    })
  })
