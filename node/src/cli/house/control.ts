import { createServer, connect, type Server, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { HouseAddress } from './house.js'

/** What a house says of itself, at once to whoever connects and again whenever it changes. */
export type HouseStatus =
  | { state: 'starting'; pid: number; kind: HouseKind }
  | { state: 'ready'; pid: number; kind: HouseKind; address: HouseAddress; users?: number }
  | { state: 'stopping'; pid: number; kind: HouseKind }
  | { state: 'failed'; pid: number; kind: HouseKind; reason: string }

/** `up`: runs until it is stopped. `temporary`: made by `pekka run`, ends with its last user. */
export type HouseKind = 'up' | 'temporary'

/** What is asked of a house. `leave` is answered by a status with the number of `users` that are left. */
export type HouseRequest = { op: 'use' } | { op: 'leave' } | { op: 'stop' }

export interface ControlEvents {
  /** Someone wants the house to end. */
  stop: () => void
  /** The number of those who use the network has changed. */
  users: (count: number) => void
}

/**
 * The socket of a running house. A connection that said `use` counts as a user until it closes, so that a killed `pekka run` never
 * keeps a temporary network alive.
 */
export class Control {
  private readonly server: Server
  private readonly sockets = new Set<Socket>()
  private readonly users = new Set<Socket>()

  constructor(
    private status: HouseStatus,
    private readonly events: ControlEvents
  ) {
    this.server = createServer(socket => this.serve(socket))
  }

  listen(path: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(path, resolve)
    })
  }

  /** Tells all who are connected. */
  tell(status: HouseStatus): void {
    this.status = status
    for (const socket of this.sockets) socket.write(`${JSON.stringify(status)}\n`)
  }

  async close(): Promise<void> {
    const closed = new Promise(resolve => this.server.close(resolve))
    for (const socket of this.sockets) socket.end()
    await Promise.race([closed, new Promise(resolve => setTimeout(resolve, 500))])
    for (const socket of this.sockets) socket.destroy()
  }

  private serve(socket: Socket): void {
    this.sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      this.sockets.delete(socket)
      if (this.users.delete(socket)) this.events.users(this.users.size)
    })
    socket.write(`${JSON.stringify(this.status)}\n`)
    linesOf(socket, line => {
      const request = parse(line)
      if (request?.op === 'stop') this.events.stop()
      if (request?.op === 'use' && !this.users.has(socket)) {
        this.users.add(socket)
        this.events.users(this.users.size)
      }
      if (request?.op === 'leave') {
        if (this.users.delete(socket)) this.events.users(this.users.size)
        socket.write(`${JSON.stringify({ ...this.status, users: this.users.size })}\n`)
      }
    })
  }
}

/** readline passes an error of its input on, and one that nobody listens for ends the process: a peer that was killed isn't worth that. */
function linesOf(socket: Socket, listen: (line: string) => void): void {
  createInterface({ input: socket })
    .on('error', () => socket.destroy())
    .on('line', listen)
}

function parse(line: string): HouseRequest | undefined {
  try {
    const request: unknown = JSON.parse(line)
    const op = request !== null && typeof request === 'object' && 'op' in request ? request.op : undefined
    return op === 'use' || op === 'leave' || op === 'stop' ? { op } : undefined
  } catch {
    return undefined
  }
}

/** A connection to a house. */
export interface HouseLink {
  send: (request: HouseRequest) => void
  /** The next status that `wanted` accepts; undefined once the house has gone. */
  until: (wanted: (status: HouseStatus) => boolean) => Promise<HouseStatus | undefined>
  /** Resolves when the house has closed the connection. */
  closed: Promise<void>
  close: () => void
}

/** Connects to the house at this socket; undefined if none listens. */
export async function connectHouse(path: string): Promise<HouseLink | undefined> {
  const socket = connect(path)
  const connected = await new Promise<boolean>(resolve => {
    socket.once('connect', () => resolve(true))
    socket.once('error', () => resolve(false))
  })
  if (!connected) return undefined
  let last: HouseStatus | undefined
  let over = false
  const listeners = new Set<() => void>()
  const changed = (): void => [...listeners].forEach(listener => listener())
  socket.on('error', () => socket.destroy())
  const closed = new Promise<void>(resolve =>
    socket.once('close', () => {
      over = true
      changed()
      resolve()
    })
  )
  linesOf(socket, line => {
    last = JSON.parse(line) as HouseStatus // both ends are this file
    changed()
  })
  return {
    send: request => void socket.write(`${JSON.stringify(request)}\n`),
    until: wanted =>
      new Promise(resolve => {
        const look = (): void => {
          const found = last !== undefined && wanted(last)
          if (!found && !over) return
          listeners.delete(look)
          resolve(found ? last : undefined)
        }
        listeners.add(look)
        look()
      }),
    closed,
    close: () => socket.destroy()
  }
}
